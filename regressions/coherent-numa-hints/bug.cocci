@@
expression page, e;
@@
 change_pte_range(...)
 {
 <...
(
-!page || is_zone_device_page(page) || e
+!page || e
|
-!page || folio_is_zone_device(page) || e
+!page || e
)
 ...>
 }
