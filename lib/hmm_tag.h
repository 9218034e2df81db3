/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Allocation tags: four bits that the CPU keeps for each granule of 16 bytes, beside the data
 * (Arm's Memory Tagging Extension). An access whose pointer has another tag than the granule is
 * a fault if the thread asks for that. Only memory that is mapped with PROT_MTE has tags.
 */
#ifndef HMM_TAG_H
#define HMM_TAG_H

#include <stddef.h>

#include "hmm_area.h"

/*
 * hmm_tag_supported - for REQUIRE(): does the machine have tags? HMM_SKIP and area->why if not
 *
 * Call it before hmm_tag_fill(): it finds out how near to each other two tags can be.
 */
int hmm_tag_supported(struct hmm_area *area);

/**
 * hmm_tag_enable - let a range have tags, which are 0 at first (PROT_MTE)
 * @area: the area
 * @addr: first byte, page aligned
 * @length: bytes, page multiple
 *
 * It becomes readable and writable. Pages that it has keep their contents. There is no way back.
 *
 * Return: 0 or -errno with area->why.
 */
int hmm_tag_enable(struct hmm_area *area, char *addr, size_t length);

/**
 * hmm_tag_fill - give each granule a tag that depends on its address, and is not 0
 * @addr: first byte, page aligned, after hmm_tag_enable()
 * @length: bytes, page multiple
 * @seed: distinguishes tags at the same address
 *
 * This is a write for the page table, and changes no byte.
 */
void hmm_tag_fill(char *addr, size_t length, unsigned int seed);

/**
 * hmm_tag_check - are these tags still there?
 * @addr: as for hmm_tag_fill()
 * @length: as for hmm_tag_fill()
 * @seed: as for hmm_tag_fill()
 *
 * This is a read for the page table.
 *
 * Return: -1 if so, else the offset of the first other granule.
 */
long hmm_tag_check(const char *addr, size_t length, unsigned int seed);

/* hmm_tag_is_zero - as hmm_tag_check(), for memory that nobody has tagged */
long hmm_tag_is_zero(const char *addr, size_t length);

/**
 * hmm_tag_pointer - a pointer with the tag that hmm_tag_fill() gave its granule
 * @addr: any byte
 * @seed: as for hmm_tag_fill()
 */
char *hmm_tag_pointer(char *addr, unsigned int seed);

/* hmm_tag_check_accesses - let a mismatch be a SIGSEGV in this thread, at once; 0 or -errno */
int hmm_tag_check_accesses(void);

#endif /* HMM_TAG_H */
