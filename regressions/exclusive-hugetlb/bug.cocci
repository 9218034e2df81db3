@@
expression folio;
@@
 folio_make_device_exclusive(...)
 {
 <...
-!folio_test_anon(folio) || folio_test_hugetlb(folio)
+!folio_test_anon(folio)
 ...>
 }
