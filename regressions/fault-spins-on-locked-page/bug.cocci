@@
expression pte, ptl, entry;
@@
 do_swap_page(...)
 {
 <...
-pte_unmap(pte);
-softleaf_entry_wait_on_locked(entry, ptl);
+pte_unmap_unlock(pte, ptl);
 ...>
 }
