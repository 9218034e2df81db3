@@
expression src;
identifier n;
@@
 migrate_device_unmap(...)
 {
 <...
-if (src & MIGRATE_PFN_MIGRATE)
-	n++;
(
 continue;
|
 goto next;
)
 ...>
 }
