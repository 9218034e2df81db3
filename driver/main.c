// SPDX-License-Identifier: GPL-2.0
/*
 * hmmirror: devices that mirror the address space of the process that opens them, to test the
 * kernel's HMM. This file has the module and its parameters, the devices and their files, the
 * table of calls, and the table of parts that every mirror has.
 *
 * Folders are layers: abi > access > memory > core > hooks > compat. Calls and includes go
 * down only.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "abi/calls.h"
#include "abi/hooks.h"
#include "abi/test_abi.h"
#include "access/dma.h"
#include "compat/compat.h"
#include "core/mirror.h"
#include "core/span.h"
#include "hooks/fixture.h"
#include "memory/chunk.h"
#include "memory/evict.h"
#include "uapi/hmmirror.h"
#include "uapi/test_abi.h"

#define MIN_CHUNK_MB	HMMIRROR_HUGE_MB
#define MAX_CHUNK_MB	(1024 * 1024)
#define MAX_RANGE_MB	(128 * 1024)

/* hardware parameters: a kernel that is locked down refuses them */
module_param_hw_named(spm_addr_dev0, hmmirror_spm_addr[0], ulong, iomem, 0444);
MODULE_PARM_DESC(spm_addr_dev0, "Physical address of memory reserved for coherent device 2");
module_param_hw_named(spm_addr_dev1, hmmirror_spm_addr[1], ulong, iomem, 0444);
MODULE_PARM_DESC(spm_addr_dev1, "Physical address of memory reserved for coherent device 3");

module_param_named(spm_size_mb, hmmirror_spm_size_mb, uint, 0444);
MODULE_PARM_DESC(spm_size_mb, "Size of each of these two in MiB, a multiple of what a PMD maps; 256 or that if 0");

module_param_named(chunk_mb, hmmirror_chunk_mb, uint, 0444);
MODULE_PARM_DESC(chunk_mb, "Private device memory that is added at a time in MiB, a multiple of what a PMD maps; 128 or that if 0");

module_param_named(max_device_mb, hmmirror_max_device_mb, uint, 0644);
MODULE_PARM_DESC(max_device_mb, "Most private memory of each device in MiB; a quarter of the machine's if 0");

module_param_named(max_range_mb, hmmirror_max_range_mb, uint, 0444);
MODULE_PARM_DESC(max_range_mb, "Longest range of one call in MiB; needs up to 40 bytes a page");

static char *test_abi = "";
module_param(test_abi, charp, 0444);
MODULE_PARM_DESC(test_abi, "Numbers of the kernel's test ABI: empty for those since 6.0, or 5.10");

/* What every mirror has beside its page table. */
static const struct hmmirror_part *const parts[] = {
	&hmmirror_hooks_part,
	&hmmirror_dma_part,
	NULL,
};

static struct hmmirror_device devices[HMMIRROR_NR_DEVICES];
static unsigned int nr_devices;

static int hmmirror_open(struct inode *inode, struct file *file)
{
	/* the misc core leaves its struct in private_data */
	struct hmmirror_device *device = container_of(file->private_data,
						      struct hmmirror_device, misc);
	struct hmmirror *mirror = hmmirror_create(device, parts);

	if (IS_ERR(mirror))
		return PTR_ERR(mirror);
	file->private_data = mirror;
	return 0;
}

/* Called for each close() of a descriptor, also by an exit. release() comes with the last. */
static int hmmirror_flush(struct file *file, fl_owner_t id)
{
	hmmirror_flush_parts(file->private_data);
	return 0;
}

static int hmmirror_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct hmmirror *mirror = file->private_data;

	return hmmirror_fixture_mmap(vma, &mirror->hooks.hold, hmmirror_max_range());
}

static int hmmirror_release(struct inode *inode, struct file *file)
{
	hmmirror_destroy(file->private_data);
	return 0;
}

union hmmirror_arg {
	u32 size;
	struct hmmirror_query query;
	struct hmmirror_range range;
	struct hmmirror_copy copy;
	struct hmmirror_migrate migrate;
	struct hmmirror_exclusive exclusive;
	struct hmmirror_stats stats;
	struct hmmirror_hold hold;
	struct hmmirror_plant plant;
	struct hmmirror_inject inject;
	struct hmmirror_dma dma;
	struct hmmirror_pmd_race_args race;
};

static const struct {
	unsigned int cmd;
	size_t size;		/* of the struct */
	size_t min_size;	/* of its first version */
	int (*handler)(struct hmmirror *mirror, void *arg);
} calls[] = {
	{
		HMMIRROR_QUERY, sizeof(struct hmmirror_query),
		offsetofend(struct hmmirror_query, reason), hmmirror_ioctl_query,
	}, {
		HMMIRROR_RANGE, sizeof(struct hmmirror_range),
		offsetofend(struct hmmirror_range, reserved), hmmirror_ioctl_range,
	}, {
		HMMIRROR_COPY, sizeof(struct hmmirror_copy),
		offsetofend(struct hmmirror_copy, reserved), hmmirror_ioctl_copy,
	}, {
		HMMIRROR_MIGRATE, sizeof(struct hmmirror_migrate),
		offsetofend(struct hmmirror_migrate, reserved), hmmirror_ioctl_migrate,
	}, {
		HMMIRROR_EXCLUSIVE, sizeof(struct hmmirror_exclusive),
		offsetofend(struct hmmirror_exclusive, value), hmmirror_ioctl_exclusive,
	}, {
		HMMIRROR_STATS, sizeof(struct hmmirror_stats),
		offsetofend(struct hmmirror_stats, device_pages_free), hmmirror_ioctl_stats,
	}, {
		HMMIRROR_HOLD, sizeof(struct hmmirror_hold),
		offsetofend(struct hmmirror_hold, reserved), hmmirror_ioctl_hold,
	}, {
		HMMIRROR_PLANT, sizeof(struct hmmirror_plant),
		offsetofend(struct hmmirror_plant, reserved), hmmirror_ioctl_plant,
	}, {
		HMMIRROR_INJECT, sizeof(struct hmmirror_inject),
		offsetofend(struct hmmirror_inject, hits), hmmirror_ioctl_inject,
	}, {
		HMMIRROR_DMA, sizeof(struct hmmirror_dma),
		offsetofend(struct hmmirror_dma, way), hmmirror_ioctl_dma,
	}, {
		HMMIRROR_PMD_RACE, sizeof(struct hmmirror_pmd_race_args),
		offsetofend(struct hmmirror_pmd_race_args, reserved), hmmirror_ioctl_pmd_race,
	},
};

static long own_abi(struct hmmirror *mirror, unsigned int cmd, void __user *uarg)
{
	union hmmirror_arg arg;
	unsigned int i;
	u32 size;
	int ret;

	for (i = 0; i < ARRAY_SIZE(calls) && calls[i].cmd != cmd; i++)
		;
	if (i == ARRAY_SIZE(calls))
		return -ENOTTY;

	if (get_user(size, (u32 __user *)uarg))
		return -EFAULT;
	if (size < calls[i].min_size)
		return -EINVAL;
	/* what the caller adds behind the struct must be zero, and is searched for that */
	if (size > PAGE_SIZE)
		return -E2BIG;
	memset(&arg, 0, sizeof(arg));
	ret = copy_struct_from_user(&arg, calls[i].size, uarg, size);
	if (ret)
		return ret;
	/* another thread may have changed it meanwhile */
	arg.size = size;

	ret = calls[i].handler(mirror, &arg);
	if (ret)
		return ret;
	return copy_to_user(uarg, &arg, min_t(size_t, size, calls[i].size)) ? -EFAULT : 0;
}

static long hmmirror_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *uarg = (void __user *)arg;

	if (_IOC_TYPE(cmd) == HMMIRROR_IOC_TYPE)
		return own_abi(file->private_data, cmd, uarg);
	if (_IOC_TYPE(cmd) == _IOC_TYPE(HMM_DMIRROR_READ))
		return hmmirror_test_abi(file->private_data, cmd, uarg);
	return -ENOTTY;
}

static const struct file_operations hmmirror_fops = {
	.owner		= THIS_MODULE,
	.open		= hmmirror_open,
	.flush		= hmmirror_flush,
	.release	= hmmirror_release,
	.mmap		= hmmirror_mmap,
	.unlocked_ioctl	= hmmirror_ioctl,
};

static int register_device(struct hmmirror_device *device, unsigned int id)
{
	int ret;

	device->id = id;
	hmmirror_devmem_init(device);

	device->misc.minor = MISC_DYNAMIC_MINOR;
	device->misc.fops = &hmmirror_fops;
	device->misc.mode = 0600;
	device->misc.name = kasprintf(GFP_KERNEL, "hmm_dmirror%u", id);
	if (!device->misc.name)
		return -ENOMEM;

	ret = misc_register(&device->misc);
	if (ret)
		kfree(device->misc.name);
	return ret;
}

static void unregister_device(struct hmmirror_device *device)
{
	misc_deregister(&device->misc);
	/* a killed rmmod must wait for the pages as well */
	while (hmmirror_devmem_release(device))
		cond_resched();
	kfree(device->misc.name);
}

static void unregister_devices(void)
{
	while (nr_devices)
		unregister_device(&devices[--nr_devices]);
}

static int check_parameters(void)
{
	hmmirror_test_abi_5_10 = !strcmp(test_abi, "5.10");
	if (*test_abi && !hmmirror_test_abi_5_10) {
		pr_err("test_abi must be empty or 5.10\n");
		return -EINVAL;
	}
	if (!hmmirror_spm_addr[0] != !hmmirror_spm_addr[1]) {
		pr_err("spm_addr_dev0 and spm_addr_dev1 must be given together\n");
		return -EINVAL;
	}
	if (!IS_ALIGNED(hmmirror_spm_addr[0] | hmmirror_spm_addr[1], PMD_SIZE)) {
		pr_err("spm_addr_dev0 and spm_addr_dev1 must be multiples of %u MiB\n",
		       MIN_CHUNK_MB);
		return -EINVAL;
	}
	/* not initializers: powerpc finds out at boot what a PMD maps */
	if (!hmmirror_spm_size_mb)
		hmmirror_spm_size_mb = max(MIN_CHUNK_MB, 256U);
	if (!hmmirror_chunk_mb)
		hmmirror_chunk_mb = max(MIN_CHUNK_MB, 128U);
	if (hmmirror_spm_size_mb % MIN_CHUNK_MB ||
	    hmmirror_spm_size_mb > MAX_CHUNK_MB) {
		pr_err("spm_size_mb must be a multiple of %u, up to %u\n",
		       MIN_CHUNK_MB, MAX_CHUNK_MB);
		return -EINVAL;
	}
	if (hmmirror_chunk_mb % MIN_CHUNK_MB ||
	    hmmirror_chunk_mb > MAX_CHUNK_MB) {
		pr_err("chunk_mb must be a multiple of %u, up to %u\n",
		       MIN_CHUNK_MB, MAX_CHUNK_MB);
		return -EINVAL;
	}
	if (!hmmirror_max_range_mb || hmmirror_max_range_mb > MAX_RANGE_MB) {
		pr_err("max_range_mb must be 1 to %u\n", MAX_RANGE_MB);
		return -EINVAL;
	}
	if (!hmmirror_max_device_mb)
		hmmirror_max_device_mb = max_t(unsigned long, hmmirror_chunk_mb,
					       totalram_pages() >> (20 - PAGE_SHIFT + 2));
	if (hmmirror_max_device_mb < hmmirror_chunk_mb) {
		pr_err("max_device_mb must be at least chunk_mb, %u\n", hmmirror_chunk_mb);
		return -EINVAL;
	}
	return 0;
}

static int register_devices(void)
{
	unsigned int wanted = HMMIRROR_NR_PRIVATE;
	int ret = 0;

	if (hmmirror_spm_addr[0])
		wanted = HMMIRROR_NR_DEVICES;
	if (hmmirror_spm_addr[0] && compat_no_coherent()) {
		pr_info("no coherent devices: %s\n", compat_no_coherent());
		wanted = HMMIRROR_NR_PRIVATE;
	}
	while (!ret && nr_devices < wanted) {
		ret = register_device(&devices[nr_devices], nr_devices);
		if (!ret)
			nr_devices++;
	}
	if (ret)
		unregister_devices();
	return ret;
}

/* What the module sets up when it is loaded, in this order; the devices come last. */
static const struct {
	int (*init)(void);
	void (*exit)(void);
} setup[] = {
	{ .init = hmmirror_fixture_init, .exit = hmmirror_fixture_exit },
	{ .init = hmmirror_dma_init, .exit = hmmirror_dma_exit },
	{ .init = register_devices, .exit = unregister_devices },
};

static void undo_setup(unsigned int done)
{
	while (done)
		setup[--done].exit();
}

static int __init hmmirror_init(void)
{
	int ret = check_parameters();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(setup) && !ret; i++)
		ret = setup[i].init();
	if (ret && i)
		undo_setup(i - 1);
	return ret;
}
module_init(hmmirror_init);

static void __exit hmmirror_exit(void)
{
	undo_setup(ARRAY_SIZE(setup));
}
module_exit(hmmirror_exit);

MODULE_DESCRIPTION("Mirrors of address spaces, to test HMM");
MODULE_LICENSE("GPL");
/* taints the kernel with TAINT_TEST, if it has that */
MODULE_INFO(test, "Y");
