@@
expression e, pte;
identifier clear =~ "^pte_swp_clear_uffd(_wp)?$";
@@
 copy_nonpresent_pte(...)
 {
 <...
-if (e)
-	pte = clear(pte);
 ...>
 }
