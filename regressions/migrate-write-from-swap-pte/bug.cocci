// In an entry that is not present, the bit of pte_write() means something else.
@@
expression mpfn;
statement S1, S2;
@@
 migrate_vma_collect_pmd(...)
 {
 <...
-if (mpfn & MIGRATE_PFN_WRITE)
+if (pte_write(pte))
 	S1
 else
 	S2
 ...>
 }

@@
expression page, mpfn;
@@
 migrate_vma_collect_pmd(...)
 {
 <...
-make_migration_entry(page, mpfn & MIGRATE_PFN_WRITE)
+make_migration_entry(page, pte_write(pte))
 ...>
 }
