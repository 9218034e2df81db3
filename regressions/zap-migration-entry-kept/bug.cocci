// A truncation has details, and is no munmap().
@@
expression p;
identifier f =~ "^should_zap_(page|folio)$";
identifier zap =~ "^zap_(pte_range|nonpresent_ptes)$";
@@
 zap(...)
 {
 <...
-if (!f(details, p))
+if (details && !(details->zap_flags & ZAP_FLAG_UNMAP))
(
 continue;
|
 return 1;
)
 ...>
 }
