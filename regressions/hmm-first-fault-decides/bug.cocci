@@
identifier required_fault;
@@
 hmm_range_need_fault(...)
 {
 <...
-required_fault == HMM_NEED_ALL_BITS
+required_fault
 ...>
 }
