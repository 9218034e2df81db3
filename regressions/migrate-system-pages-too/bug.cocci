@@
expression page, flags;
@@
 migrate_vma_collect_pmd(...)
 {
 <...
-page && !is_zone_device_page(page) && !(flags & MIGRATE_VMA_SELECT_SYSTEM)
+0
 ...>
 }
@@
expression folio, flags;
@@
 migrate_vma_collect_pmd(...)
 {
 <...
-folio && !folio_is_zone_device(folio) && !(flags & MIGRATE_VMA_SELECT_SYSTEM)
+0
 ...>
 }
@@
expression flags;
@@
 migrate_vma_collect_pmd(...)
 {
 <...
-if (!(flags & MIGRATE_VMA_SELECT_SYSTEM))
-	goto next;
 ...>
 }
