@@
symbol pte;
@@
 migrate_vma_collect_pmd(...)
 {
 <...
-pte_present(pte) && pte_dirty(pte)
+pte_dirty(pte)
 ...>
 }
