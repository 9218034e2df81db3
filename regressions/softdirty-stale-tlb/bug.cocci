@@
expression e;
@@
 clear_refs_write(...)
 {
 <...
-flush_tlb_mm(e);
 ...>
 }
