// Both of a PMD that is not present, and of a bad one
@@
expression walk, pfns, n;
identifier f =~ "^hmm_vma_(walk|handle_absent)_pmd$";
@@
 f(...)
 {
 <...
-if (hmm_range_need_fault(walk, pfns, n, 0))
 	return -EFAULT;
 ...>
 }
