@@
expression pteval, swp;
identifier f =~ "^try_to_(unmap|migrate)_one$";
@@
 f(...)
 {
 <...
-if (pte_swp_soft_dirty(pteval))
-	swp = pte_swp_mksoft_dirty(swp);
 ...>
 }
