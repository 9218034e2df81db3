@@
expression pmd;
identifier test =~ "^(is_pmd_migration_entry|pmd_is_migration_entry)$";
@@
 hmm_vma_walk_pmd(...)
 {
 <...
-thp_migration_supported() && test(pmd)
+0
 ...>
 }
