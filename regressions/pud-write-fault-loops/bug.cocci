@@
expression list es;
@@
 wp_huge_pud(...)
 {
 <...
-__split_huge_pud(es);
 ...>
 }
