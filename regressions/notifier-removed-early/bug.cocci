@@
expression seq;
@@
 mmu_interval_notifier_remove(...)
 {
 <...
-if (seq)
-	wait_event(...);
 ...>
 }
