// SPDX-License-Identifier: GPL-2.0
/*
 * Stands in for the driver in the tests of the runner, which must not fail for
 * what the driver does. It takes the driver's parameters, and has two of its own
 * that a test writes to.
 */
#include <linux/delay.h>
#include <linux/module.h>

static unsigned long spm_addr_dev0;
module_param(spm_addr_dev0, ulong, 0444);
static unsigned long spm_addr_dev1;
module_param(spm_addr_dev1, ulong, 0444);
static unsigned int spm_size_mb;
module_param(spm_size_mb, uint, 0444);

/* 1: the module is in use, though no process has a file of it open. */
static unsigned int held;

static int set_held(const char *text, const struct kernel_param *param)
{
	unsigned int before = held;
	int ret = param_set_uint(text, param);

	if (ret)
		return ret;
	if (held && !before)
		__module_get(THIS_MODULE);
	else if (!held && before)
		module_put(THIS_MODULE);
	return 0;
}

static const struct kernel_param_ops held_ops = {
	.set = set_held,
	.get = param_get_uint,
};
module_param_cb(held, &held_ops, &held, 0644);

/* The write lasts so long, and no signal ends it. */
static unsigned int sleep_ms;

static int set_sleep(const char *text, const struct kernel_param *param)
{
	int ret = param_set_uint(text, param);

	if (!ret)
		msleep(sleep_ms);
	return ret;
}

static const struct kernel_param_ops sleep_ops = {
	.set = set_sleep,
	.get = param_get_uint,
};
module_param_cb(sleep_ms, &sleep_ops, &sleep_ms, 0644);

MODULE_DESCRIPTION("Stand-in for hmmirror");
MODULE_LICENSE("GPL");
