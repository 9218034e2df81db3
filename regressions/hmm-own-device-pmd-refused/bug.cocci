// What hmm_vma_walk_pmd() did before: any such PMD is an error, and a fault does not help.
@@
identifier entry, required_fault;
expression e;
statement S;
@@
 hmm_vma_handle_absent_pmd(...)
 {
 <...
(
-if (softleaf_is_device_private(entry) && e)
-	S
|
 if (required_fault) {
-	if (softleaf_is_device_private(entry))
-		S
-	else
 		return -EFAULT;
 }
)
 ...>
 }
