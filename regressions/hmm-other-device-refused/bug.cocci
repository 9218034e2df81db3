// Only the caller's own private pages are known; all others end as an error.
@@
expression entry;
identifier test =~ "^(is_device_private_entry|softleaf_is_device_private)$";
identifier fault;
@@
 hmm_vma_handle_pte(...)
 {
 <...
-if (test(entry))
-	goto fault;
 ...>
 }
