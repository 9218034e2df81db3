@@
expression entry;
@@
 map_pte(...)
 {
 <...
(
-if (!is_device_private_entry(entry))
-	return false;
+return false;
|
-!is_device_private_entry(entry) && !is_device_exclusive_entry(entry)
+!is_device_exclusive_entry(entry)
|
-!softleaf_is_device_private(entry) && !softleaf_is_device_exclusive(entry)
+!softleaf_is_device_exclusive(entry)
)
 ...>
 }
