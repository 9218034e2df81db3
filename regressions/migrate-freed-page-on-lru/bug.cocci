@@
identifier f =~ "^(__)?migrate_device_finalize$";
@@
 f(...)
 {
 <...
 folio_unlock(src);
-folio_put(src);
+if (dst != src && !folio_is_zone_device(src))
+	folio_putback_lru(src);
+else
+	folio_put(src);
 ...>
 }
