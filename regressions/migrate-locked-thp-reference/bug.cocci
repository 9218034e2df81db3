@@
expression e, ptl, folio;
@@
 migrate_vma_collect_huge_pmd(...)
 {
 <...
 if (e) {
 	spin_unlock(ptl);
-	folio_put(folio);
 	return migrate_vma_collect_skip(...);
 }
 ...>
 }
