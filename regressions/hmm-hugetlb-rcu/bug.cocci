@@
symbol err;
@@
 walk_hugetlb_range(...)
 {
 ...
 int err = 0;
+rcu_read_lock();
 ...
+rcu_read_unlock();
 return err;
 }
