@@
statement S;
expression e1, e2, e3;
@@
 zone_device_page_init(...)
 {
 <...
-for (e1; e2; e3)
-	S
 ...>
 }
