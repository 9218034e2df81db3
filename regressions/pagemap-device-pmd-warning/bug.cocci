@@
symbol pmd;
statement S;
@@
 pagemap_pmd_range_thp(...)
 {
 <...
+VM_WARN_ON_ONCE(!pmd_is_migration_entry(pmd));
 if (pmd_swp_soft_dirty(pmd))
 	S
 ...>
 }
