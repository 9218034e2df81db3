@@
expression folio, e;
@@
 migrate_vma_collect_pmd(...)
 {
 <...
-if (e)
-	folio_mark_dirty(folio);
 ...>
 }
