@@
expression folio, page;
@@
 make_device_exclusive(...)
 {
 <...
 folio = page_folio(page);
+if (PageTail(page)) {
+	folio_put(folio);
+	return ERR_PTR(-EBUSY);
+}
 ...>
 }
