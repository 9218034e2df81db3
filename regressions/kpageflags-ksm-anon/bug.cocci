@@
expression page, mapping;
@@
 stable_page_flags(...)
 {
 <...
(
-PageKsm(page)
+PageAnon(page)
|
-folio_test_ksm(page)
+folio_test_anon(page)
|
-(mapping & FOLIO_MAPPING_FLAGS) == FOLIO_MAPPING_KSM
+mapping & FOLIO_MAPPING_KSM
)
 ...>
 }
