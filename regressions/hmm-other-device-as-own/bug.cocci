@@
expression entry, owner1, owner2;
identifier test =~ "^(is_device_private_entry|softleaf_is_device_private)$";
@@
 hmm_vma_handle_pte(...)
 {
 <...
-test(entry) && owner1 == owner2
+test(entry)
 ...>
 }

@@
expression entry, owner1, owner2;
@@
 hmm_is_device_private_entry(...)
 {
 <...
-is_device_private_entry(entry) && owner1 == owner2
+is_device_private_entry(entry)
 ...>
 }
