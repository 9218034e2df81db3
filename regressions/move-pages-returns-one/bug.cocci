@@
expression err, err1;
@@
 do_pages_move(...)
 {
 <...
-if (err >= 0)
+if (!err)
 	err = err1;
 ...>
 }
