@@
expression a, b, r, walk;
@@
 hmm_vma_walk_hole(...)
 {
 <...
 if (!walk->vma) {
 	...
-	return hmm_pfns_fill(a, b, r, HMM_PFN_ERROR);
+	return hmm_pfns_fill(a, b, r, 0);
 }
 ...>
 }
