@@
expression folio;
@@
 remove_device_exclusive_entry(...)
 {
 <...
(
-if (!folio_try_get(folio))
-	return 0;
|
-folio_put(folio);
)
 ...>
 }
