// As for every unknown kind of entry; of hwpoison entries only, so that others keep their answers.
@@
identifier required_fault, entry;
statement S;
@@
 hmm_vma_handle_pte(...)
 {
 <...
 swp_entry_t entry = ...;
 ...
-if (!required_fault)
+if (!required_fault && !is_hwpoison_entry(entry))
 	S
 ...>
 }

@@
identifier required_fault, entry;
statement S;
@@
 hmm_vma_handle_pte(...)
 {
 <...
 const softleaf_t entry = ...;
 ...
-if (!required_fault)
+if (!required_fault && !softleaf_is_hwpoison(entry))
 	S
 ...>
 }
