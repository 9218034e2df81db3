@@
expression page;
@@
 add_page_for_migration(...)
 {
 <...
 if (is_zone_device_page(page))
-	goto out_putpage;
+	goto out;
 ...>
 }
