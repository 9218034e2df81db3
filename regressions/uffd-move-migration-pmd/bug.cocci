@@
symbol src_pmd;
statement S;
@@
 move_pages(...)
 {
 <...
-if (pmd_present(*src_pmd))
 	S
 ...>
 }
