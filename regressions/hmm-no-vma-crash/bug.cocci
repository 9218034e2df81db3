@@
expression walk;
@@
 hmm_vma_walk_hole(...)
 {
 <...
-if (!walk->vma) {
-	...
-}
 ...>
 }
