@@
expression e;
@@
 check_pte(...)
 {
 <...
-if (!softleaf_is_migration(e))
+if (!softleaf_is_migration(e) && !softleaf_is_device_exclusive(e))
 	return false;
 ...>
 }
