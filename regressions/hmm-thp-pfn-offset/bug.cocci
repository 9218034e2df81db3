@@
expression pmd, addr;
@@
 hmm_vma_handle_pmd(...)
 {
 <...
-pmd_pfn(pmd) + ((addr & ~PMD_MASK) >> PAGE_SHIFT)
+pmd_pfn(pmd)
 ...>
 }
