// The frame number of an entry that is not present means nothing.
@@
identifier entry, pfn;
@@
 try_to_unmap_one(...)
 {
 <...
-pfn = softleaf_to_pfn(entry);
+pfn = softleaf_is_device_exclusive(entry) ? pte_pfn(pteval) : softleaf_to_pfn(entry);
 ...>
 }
