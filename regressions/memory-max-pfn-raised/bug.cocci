@@
@@
 add_pages(...)
 {
 <...
-if (!params->pgmap)
 	update_end_of_memory_vars(...);
 ...>
 }
