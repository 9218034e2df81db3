@@
identifier old_entry;
symbol pmdval;
@@
 set_pmd_migration_entry(...)
 {
 <...
(
-softleaf_is_device_private_write(old_entry)
+pmd_write(pmdval)
|
-pmd_swp_soft_dirty(pmdval)
+pmd_soft_dirty(pmdval)
|
-pmd_swp_uffd_wp(pmdval)
+pmd_uffd_wp(pmdval)
|
-pmd_swp_uffd(pmdval)
+pmd_uffd(pmdval)
)
 ...>
 }

@@
symbol present, pmdval;
@@
 set_pmd_migration_entry(...)
 {
 <...
-present && pmd_dirty(pmdval)
+pmd_dirty(pmdval)
 ...>
 }
