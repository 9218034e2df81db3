@@
identifier f =~ "^(hmm_vma_fault|hmm_do_fault)$";
identifier fault_flags;
@@
 f(...)
 {
 ...
-unsigned int fault_flags = FAULT_FLAG_REMOTE;
+unsigned int fault_flags = FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_REMOTE;
 ...
 }
