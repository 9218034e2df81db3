@@
expression ret, folio;
@@
 make_device_exclusive(...)
 {
 <...
-ret = folio_lock_killable(folio);
+ret = folio_trylock(folio) ? 0 : -EBUSY;
 ...>
 }
