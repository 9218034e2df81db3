@@
identifier f =~ "^(migrate_device_range|migrate_device_pfns)$";
expression nr, npages, i;
statement S;
@@
 f(...)
 {
 <...
-if (nr > npages - i)
-	S
 ...>
 }
