@@
expression e;
symbol nr;
@@
 __migrate_device_pages(...)
 {
 <...
 VM_WARN_ON_ONCE(e);
-nr = 1;
 ...>
 }
