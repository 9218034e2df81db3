@@
expression folio;
@@
 remove_device_exclusive_entry(...)
 {
 <...
-!folio_try_get(folio)
+!get_page_unless_zero(vmf->page)
 ...>
 }
