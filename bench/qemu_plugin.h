/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The part of QEMU's interface for TCG plugins that plugin.c uses, declared here because Debian
 * packages no header of it. QEMU_API is the version of the interface: 1 before QEMU 9.0, 2 in
 * 9.0, 3 since 9.1.
 */
#ifndef QEMU_PLUGIN_DECLARED_H
#define QEMU_PLUGIN_DECLARED_H

#include <linux/types.h>
#include <stddef.h>

#define QEMU_EXPORT	__attribute__((visibility("default")))

typedef __u64 qemu_plugin_id_t;

struct qemu_plugin_tb;
struct qemu_plugin_insn;

/* arguments of the functions below that plugin.c needs only one value of */
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
					   void (*fn)(qemu_plugin_id_t id,
						      struct qemu_plugin_tb *tb));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
__u64 qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*fn)(unsigned int cpu, void *data),
					    enum qemu_plugin_cb_flags flags, void *data);

#if QEMU_API >= 3
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to, size_t size);
#else
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
#endif

#if QEMU_API >= 2
struct qemu_plugin_scoreboard;

/* a counter that each virtual CPU has its own of */
struct qemu_plugin_u64 {
	struct qemu_plugin_scoreboard *score;
	size_t offset;
};

struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t element_size);
__u64 qemu_plugin_u64_sum(struct qemu_plugin_u64 entry);
void qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(struct qemu_plugin_insn *insn,
							 enum qemu_plugin_op op,
							 struct qemu_plugin_u64 entry,
							 __u64 operand);
#else
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn,
						enum qemu_plugin_op op, void *counter,
						__u64 operand);
#endif

#endif /* QEMU_PLUGIN_DECLARED_H */
