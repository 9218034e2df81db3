@@
expression list es;
identifier r, mapping;
symbol folio;
@@
 __migrate_device_pages(...)
 {
 <...
(
-mapping = folio_mapping(folio);
 r = folio_migrate_mapping(es);
|
 if (mapping) {
 	...
-	mapping = folio_mapping(folio);
 }
)
 ...>
 }
