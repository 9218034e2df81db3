/* SPDX-License-Identifier: GPL-2.0 */
#ifndef PIDFD_H
#define PIDFD_H

/* what the linker makes of syscall() with --wrap=syscall: the C library's, and ours */
long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);

#endif /* PIDFD_H */
