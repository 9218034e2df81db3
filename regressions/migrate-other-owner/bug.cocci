@@
expression flags, page, mine;
@@
 migrate_vma_collect_pmd(...)
 {
 <...
-!(flags & MIGRATE_VMA_SELECT_DEVICE_PRIVATE) || page->pgmap->owner != mine
+!(flags & MIGRATE_VMA_SELECT_DEVICE_PRIVATE)
 ...>
 }
