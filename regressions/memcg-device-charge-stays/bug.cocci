@@
expression ent;
@@
 mc_handle_swap_pte(..., pte_t ptent, swp_entry_t *entry)
 {
 <...
-if (!(mc.flags & MOVE_ANON))
+if (!(mc.flags & MOVE_ANON) || non_swap_entry(ent))
	return NULL;
 if (is_device_private_entry(ent)) {
 ...
 }
 ...>
 }
