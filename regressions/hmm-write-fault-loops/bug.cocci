@@
expression vma;
@@
(
-if (!(vma->vm_flags & VM_WRITE))
-	return -EPERM;
|
-if (!(vma->vm_flags & VM_WRITE)) {
-	...
-	return -EPERM;
-}
)
