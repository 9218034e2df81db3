@@
expression e, pte;
@@
 remove_migration_pte(...)
 {
 <...
-if (e)
-	pte = pte_swp_mksoft_dirty(pte);
 ...>
 }
