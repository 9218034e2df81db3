@@
expression pte;
@@
 pte_to_hmm_pfn_flags(...)
 {
 <...
-pte_none(pte) || !pte_present(pte) || pte_protnone(pte)
+pte_none(pte) || !pte_present(pte)
 ...>
 }

@@
expression pmd;
@@
 pmd_to_hmm_pfn_flags(...)
 {
 <...
-if (pmd_protnone(pmd))
-	return 0;
 ...>
 }
