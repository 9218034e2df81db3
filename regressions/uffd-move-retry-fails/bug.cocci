@@
symbol err;
@@
 move_pages(...)
 {
 <...
 if (err == -EAGAIN) {
-	err = 0;
 	continue;
 }
 ...>
 }
