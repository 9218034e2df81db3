// SPDX-License-Identifier: GPL-2.0
/* A control group with the memory controller. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hmm_system.h"

static int number_path(const struct hmm_memcg *group, const char *name, char *path, size_t size)
{
	return snprintf(path, size, "%s/%s", group->path, name) < (int)size ? 0 : -ENAMETOOLONG;
}

int hmm_memcg_begin(struct hmm_memcg *group)
{
	char root[sizeof(group->root)] = "/tmp/hmmirror.cgroup.XXXXXX", path[96];
	int ret;

	group->root[0] = 0;
	if (!mkdtemp(root))
		return -errno;
	if (mount("none", root, "cgroup2", 0, NULL)) {
		rmdir(root);
		return errno == ENODEV ? -ENODEV : -errno;
	}
	memcpy(group->root, root, sizeof(root));
	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", root);
	ret = hmm_write_text(path, "+memory");
	if (!ret) {
		snprintf(group->path, sizeof(group->path), "%s/hmmirror.%d", root, getpid());
		ret = mkdir(group->path, 0700) ? -errno : 0;
	}
	if (!ret)
		return 0;
	group->path[0] = 0;
	hmm_memcg_end(group);
	return ret == -EINVAL || ret == -ENOENT ? -ENODEV : ret;
}

int hmm_memcg_end(struct hmm_memcg *group)
{
	int ret = 0;

	if (!group->root[0])
		return 0;
	if (group->path[0] && rmdir(group->path))
		ret = -errno;
	umount2(group->root, MNT_DETACH);
	rmdir(group->root);
	group->root[0] = 0;
	return ret;
}

int hmm_memcg_join(const struct hmm_memcg *group)
{
	char path[128];
	int ret = number_path(group, "cgroup.procs", path, sizeof(path));

	return ret ? ret : hmm_write_text(path, "0");
}

long hmm_memcg_read(const struct hmm_memcg *group, const char *name)
{
	char path[128];
	int ret = number_path(group, name, path, sizeof(path));

	return ret ? ret : hmm_read_number(path);
}

long hmm_memcg_stat(const struct hmm_memcg *group, const char *file, const char *name)
{
	char path[128];
	int ret = number_path(group, file, path, sizeof(path));

	return ret ? ret : hmm_table_number(path, name);
}

int hmm_memcg_write(const struct hmm_memcg *group, const char *name, long number)
{
	char path[128];
	int ret = number_path(group, name, path, sizeof(path));

	return ret ? ret : hmm_write_number(path, number);
}
