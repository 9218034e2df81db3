// The exclusive entry maps no page, as before 6.15.
@@
expression mm, addr, ptep, pte;
@@
 make_device_exclusive(...)
 {
 <...
 set_pte_at(mm, addr, ptep, pte);
+folio_remove_rmap_pte(folio, page, vma);
 ...>
 }

@@
expression mm, ptep, pte;
identifier address;
@@
 restore_exclusive_pte(...)
 {
 <...
+folio_add_anon_rmap_pte(folio, page, vma, address, RMAP_NONE);
 set_pte_at(mm, address, ptep, pte);
 ...>
 }

@@
expression folio, page, vma;
@@
 zap_nonpresent_ptes(...)
 {
 <...
+if (softleaf_is_device_private(entry))
 folio_remove_rmap_pte(folio, page, vma);
 ...>
 }
