/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel at hand lacks of the newest kernel's interface, one subject a
 * file. features.h is made by the probes, see probes/Kbuild.
 */
#ifndef HMMIRROR_COMPAT_H
#define HMMIRROR_COMPAT_H

#include "features.h"
#include "alloc.h"
#include "busy.h"
#include "coherent.h"
#include "debug.h"
#include "dma.h"
#include "evict.h"
#include "exclusive.h"
#include "folio.h"
#include "interval.h"
#include "migrate.h"
#include "mm.h"
#include "notifier.h"
#include "pagemap.h"
#include "regs.h"
#include "shared.h"
#include "table.h"
#include "thp.h"
#include "traits.h"
#include "uaccess.h"
#include "vma.h"
#include "walk.h"

#endif /* HMMIRROR_COMPAT_H */
