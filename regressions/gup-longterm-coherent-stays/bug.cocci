@@
expression list, collected;
identifier collect =~ "^collect_longterm_unpinnable_(folios|pages)$";
@@
 collected = collect(list, ...);
-if (!collected)
+if (list_empty(list))
 	return 0;
