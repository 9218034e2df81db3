@@
expression e, pte;
@@
 remove_migration_pte(...)
 {
 <...
 if (e)
(
-	pte = pte_swp_mkuffd_wp(pte);
+	pte = pte_mkuffd_wp(pte);
|
-	pte = pte_swp_mkuffd(pte);
+	pte = pte_mkuffd(pte);
)
 ...>
 }
