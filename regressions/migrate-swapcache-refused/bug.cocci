@@
expression folio;
@@
 __migrate_device_pages(...)
 {
 <...
-!folio_test_anon(folio) || !folio_free_swap(folio)
+1
 ...>
 }
