@@
symbol mm, src_pmd, src_pmdval;
@@
 move_pages_huge_pmd(...)
 {
 <...
 pmd_migration_entry_wait(mm,
-	src_pmd
+	&src_pmdval
 	);
 ...>
 }
