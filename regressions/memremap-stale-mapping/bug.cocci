@@
expression page;
identifier f =~ "^(free_zone_device_page|free_devmap_managed_page)$";
@@
 f(...)
 {
 <...
-page->mapping = NULL;
 ...>
 }
