@@
expression mss, page, locked, e;
@@
 smaps_pte_entry(...)
 {
 <...
-smaps_account(mss, page, false, young, dirty, locked, e);
+smaps_account(mss, page, false, pte_young(ptent), pte_dirty(ptent), locked, e);
 ...>
 }
