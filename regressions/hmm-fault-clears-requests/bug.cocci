@@
identifier f =~ "^(hmm_vma_fault|hmm_do_fault)$";
identifier addr, end;
statement S;
@@
 f(...)
 {
 <...
+memset(&hmm_vma_walk->range->hmm_pfns[(addr - hmm_vma_walk->range->start) >> PAGE_SHIFT],
+       0, ((end - addr) >> PAGE_SHIFT) * sizeof(unsigned long));
 for (; addr < end; addr += PAGE_SIZE)
 	S
 ...>
 }
