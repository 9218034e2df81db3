/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libhmmirror: everything that a program needs to drive hmmirror.ko and to
 * bring memory into a known state first.
 *
 * Rules for every function here:
 *  - it returns 0 or a count on success and a negative errno on failure, or
 *    says otherwise where it is declared;
 *  - it prints nothing, never exits, and keeps no state of its own: what must
 *    be remembered is in a struct that the caller owns;
 *  - addresses are of the calling process, sizes are bytes, "pages" are of
 *    hmm_page_size() bytes.
 */
#ifndef HMMIRROR_LIB_H
#define HMMIRROR_LIB_H

#include "hmm_area.h"
#include "hmm_buffer.h"
#include "hmm_call.h"
#include "hmm_count.h"
#include "hmm_device.h"
#include "hmm_hooks.h"
#include "hmm_ksm.h"
#include "hmm_pagemap.h"
#include "hmm_peer.h"
#include "hmm_process.h"
#include "hmm_prove.h"
#include "hmm_state.h"
#include "hmm_system.h"
#include "hmm_tag.h"
#include "hmm_uffd.h"

#endif /* HMMIRROR_LIB_H */
