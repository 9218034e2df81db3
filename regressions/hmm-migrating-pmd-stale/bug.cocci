@@
expression walk, pfns, n, start, end, range;
@@
 hmm_vma_walk_pmd(...)
 {
 <...
 if (hmm_range_need_fault(walk, pfns, n, 0)) {
 	...
 	return -EBUSY;
 }
-return hmm_pfns_fill(start, end, range, 0);
+return 0;
 ...>
 }
@@
expression walk, pfns, n, start, end, range;
identifier e;
@@
 hmm_vma_walk_pmd(...)
 {
 <...
 if (hmm_range_need_fault(walk, pfns, n, 0)) {
 	...
 	return e;
 }
-return hmm_pfns_fill(start, end, range, 0);
+return 0;
 ...>
 }
