@@
expression entry, writable;
statement S1, S2;
@@
 try_to_migrate_one(...)
 {
 <...
(
-if (is_writable_device_private_entry(entry))
-	S1
-else
 	S2
|
-writable = softleaf_is_device_private_write(entry);
+writable = false;
|
-writable = is_writable_device_private_entry(entry);
+writable = false;
)
 ...>
 }
