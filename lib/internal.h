/* SPDX-License-Identifier: GPL-2.0 */
/* What files of the library share with each other. */
#ifndef HMM_INTERNAL_H
#define HMM_INTERNAL_H

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

#endif /* HMM_INTERNAL_H */
