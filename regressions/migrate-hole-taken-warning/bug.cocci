@@
symbol folio;
@@
 migrate_vma_insert_huge_pmd_page(...)
 {
 <...
 VM_WARN_ON_ONCE(!folio);
+VM_WARN_ON_ONCE(!pmd_none(*pmdp) && !is_huge_zero_pmd(*pmdp));
 ...>
 }
