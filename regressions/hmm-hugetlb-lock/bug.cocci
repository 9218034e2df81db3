@@
expression vma;
@@
 hmm_vma_walk_hugetlb_entry(...)
 {
 <...
-hugetlb_vma_unlock_read(vma);
 ...>
 }

@@
expression vma;
@@
 hmm_vma_walk_hugetlb_entry(...)
 {
 <...
-hugetlb_vma_lock_read(vma);
 ...>
 }
