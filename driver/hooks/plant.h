/* SPDX-License-Identifier: GPL-2.0 */
/* PMDs and PUDs that no system call makes. */
#ifndef HMMIRROR_HOOKS_PLANT_H
#define HMMIRROR_HOOKS_PLANT_H

#include <linux/mm_types.h>
#include <linux/mutex.h>

#include "uapi/hmmirror.h"

struct hmmirror_planting;

struct hmmirror_plant_point {
	struct mutex lock;		/* protects the next */
	struct hmmirror_planting *planting;
};

const char *hmmirror_no_plant(void);
void hmmirror_plant_init(struct hmmirror_plant_point *point);
void hmmirror_plant_flush(struct hmmirror_plant_point *point);
void hmmirror_plant_destroy(struct hmmirror_plant_point *point);
const char *hmmirror_no_planted(u32 kind);
unsigned long hmmirror_planted_size(u32 kind);
int hmmirror_plant_entry(struct hmmirror_plant_point *point, struct mm_struct *mm,
			 unsigned long addr, u32 kind);
int hmmirror_unplant_entry(struct hmmirror_plant_point *point);

#endif /* HMMIRROR_HOOKS_PLANT_H */
