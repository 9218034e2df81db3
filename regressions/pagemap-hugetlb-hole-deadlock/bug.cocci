@@
symbol vma, err;
statement S1, S2;
@@
 pagemap_scan_pte_hole(...)
 {
 <...
-if (is_vm_hugetlb_page(vma))
-	S1
-else
 	S2
 ...>
 }
