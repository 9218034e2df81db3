@@
identifier csa_ret;
symbol abort, unlock_abort;
@@
 migrate_vma_insert_huge_pmd_page(...)
 {
 <...
 if (csa_ret)
-	goto unlock_abort;
+	goto abort;
 ...>
 }
