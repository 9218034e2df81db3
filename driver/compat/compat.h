/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel at hand lacks of the newest kernel's interface, one subject a
 * file. features.h is made by the probes, see probes/Kbuild.
 */
#ifndef HMMIRROR_COMPAT_H
#define HMMIRROR_COMPAT_H

#include "features.h"
#include "alloc.h"
#include "pagemap.h"
#include "exclusive.h"
#include "migrate.h"
#include "notifier.h"

#endif /* HMMIRROR_COMPAT_H */
