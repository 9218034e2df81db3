@@
identifier f =~ "^(zap_pte_range|zap_nonpresent_ptes)$";
identifier test =~ "^(PageAnon|folio_test_anon)$";
identifier vma;
expression e;
@@
 f(..., struct vm_area_struct *vma, ...)
 {
 <...
-WARN_ON_ONCE(!test(e));
+WARN_ON_ONCE(!vma_is_anonymous(vma));
 ...>
 }
