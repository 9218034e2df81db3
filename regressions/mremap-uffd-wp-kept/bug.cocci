@@
identifier clear;
@@
 move_ptes(...)
 {
 <...
-bool clear = vma_has_uffd_without_event_remap(vma);
+bool clear = false;
 ...>
 }
