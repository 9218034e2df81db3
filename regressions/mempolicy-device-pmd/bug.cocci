// Only migration entries are known; any other PMD that is not present is taken for a folio.
@@
expression pmdval;
@@
 queue_folios_pmd(...)
 {
 <...
-!pmd_present(pmdval)
+pmd_is_migration_entry(pmdval)
 ...>
 }
