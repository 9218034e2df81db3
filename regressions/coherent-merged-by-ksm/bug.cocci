@@
expression folio;
@@
(
-folio_is_zone_device(folio) || !folio_test_anon(folio)
+!folio_test_anon(folio)
|
-!folio_is_zone_device(folio) && folio_test_anon(folio)
+folio_test_anon(folio)
)

@@
expression page;
@@
 get_mergeable_page(...)
 {
 <...
-if (is_zone_device_page(page))
-	goto out_putpage;
 ...>
 }
