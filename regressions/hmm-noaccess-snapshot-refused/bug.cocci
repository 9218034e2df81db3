@@
@@
 hmm_vma_walk_test(...)
 {
 <...
-if (hmm_range_need_fault(...))
 	return -EFAULT;
 ...>
 }
