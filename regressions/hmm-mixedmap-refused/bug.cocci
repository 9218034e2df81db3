@@
@@
 hmm_vma_walk_test(...)
 {
 <...
-(VM_IO | VM_PFNMAP)
+(VM_IO | VM_PFNMAP | VM_MIXEDMAP)
 ...>
 }
