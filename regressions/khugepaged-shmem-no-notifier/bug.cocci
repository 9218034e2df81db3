// The function that collapses anonymous memory has a range, too, and keeps it.
@@
identifier f =~ "^(collapse_and_free_pmd|collapse_pte_mapped_thp|try_collapse_pte_mapped_thp|retract_page_tables)$";
@@
 f(...)
 {
 <...
(
-mmu_notifier_invalidate_range_start(...);
|
-mmu_notifier_invalidate_range_end(...);
)
 ...>
 }
