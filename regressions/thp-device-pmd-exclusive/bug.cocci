@@
symbol folio, entry;
@@
 remove_migration_pmd(...)
 {
 <...
 if (folio_is_device_private(folio)) {
-	swp_entry_t entry;
 	...
 }
 ...>
 }
