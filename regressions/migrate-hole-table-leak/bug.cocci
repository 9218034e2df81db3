@@
expression mm, pgtable;
statement S;
symbol abort;
@@
 migrate_vma_insert_huge_pmd_page(...)
 {
 <...
-pte_free(mm, pgtable);
 abort:
 	S
 ...>
 }
