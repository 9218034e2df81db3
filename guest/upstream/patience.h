/* SPDX-License-Identifier: GPL-2.0 */
#ifndef PATIENCE_H
#define PATIENCE_H

#include <poll.h>

/* what the linker makes of them with --wrap: the C library's, and ours */
unsigned int __real_alarm(unsigned int seconds);
unsigned int __wrap_alarm(unsigned int seconds);
int __real_poll(struct pollfd *fds, nfds_t nr, int ms);
int __wrap_poll(struct pollfd *fds, nfds_t nr, int ms);

#endif /* PATIENCE_H */
