@@
expression start, mask;
@@
 hmm_vma_walk_hugetlb_entry(...)
 {
 <...
-(start & ~mask) >> PAGE_SHIFT
+(start & mask) >> PAGE_SHIFT
 ...>
 }
