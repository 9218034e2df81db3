@@
symbol pmde;
@@
 page_vma_mapped_walk(...)
 {
 <...
-pmd_trans_huge(pmde) || pmd_is_migration_entry(pmde) || pmd_is_device_private_entry(pmde)
+pmd_trans_huge(pmde) || pmd_is_migration_entry(pmde)
 ...>
 }

@@
symbol pmde, mm, pvmw;
expression e;
@@
 page_vma_mapped_walk(...)
 {
 <...
+if (pmd_is_device_private_entry(pmde)) {
+	pvmw->ptl = pmd_lock(mm, pvmw->pmd);
+	return true;
+}
 if (e)
 	sync_with_folio_pmd_zap(mm, pvmw->pmd);
 ...>
 }
