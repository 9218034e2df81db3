// The frame number of an entry that is not present means nothing.
@@
expression folio, subpage;
@@
 try_to_migrate_one(...)
 {
 <...
-if (folio_is_zone_device(folio)) {
-	...
-	subpage = &folio->page;
-} else {
-	subpage = folio_page(folio, pte_pfn(*pvmw.pte) - folio_pfn(folio));
-}
+subpage = folio_page(folio, pte_pfn(*pvmw.pte) - folio_pfn(folio));
 ...>
 }

@@
expression folio, subpage, pfn;
@@
 try_to_migrate_one(...)
 {
 <...
-if (folio_is_zone_device(folio)) {
-	...
-	subpage = &folio->page;
-} else {
-	subpage = folio_page(folio, pfn - folio_pfn(folio));
-}
+subpage = folio_page(folio, pte_pfn(ptep_get(pvmw.pte)) - folio_pfn(folio));
 ...>
 }

// 5.10 sets it right where it is needed
@@
@@
 try_to_unmap_one(...)
 {
 <...
-subpage = page;
 goto discard;
 ...>
 }
