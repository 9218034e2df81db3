@@
expression vmf;
@@
 do_swap_page(...)
 {
 <...
-get_page(vmf->page);
 ...>
 }

@@
expression vmf;
@@
 do_swap_page(...)
 {
 <...
-put_page(vmf->page);
 ...>
 }
