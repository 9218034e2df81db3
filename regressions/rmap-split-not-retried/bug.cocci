@@
identifier flags, pvmw;
@@
 try_to_migrate_one(...)
 {
 <...
-flags &= ~TTU_SPLIT_HUGE_PMD;
-page_vma_mapped_walk_restart(&pvmw);
-continue;
+ret = false;
+page_vma_mapped_walk_done(&pvmw);
+break;
 ...>
 }
