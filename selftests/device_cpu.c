// SPDX-License-Identifier: GPL-2.0
/*
 * A CPU accesses pages that a device has: by load and store, by system calls that copy from
 * and to them, by futexes, from another process, from several threads at once.
 *
 * A fault on a device-private page migrates it back through the pgmap's migrate_to_ram(),
 * one on an exclusive page ends the device's access, and coherent pages stay. Whatever the
 * access, the data must be complete, the page must be where it belongs, and no page of the
 * device may leak.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "device_case.h"

FIXTURE(device_cpu)
{
	struct device_case c;
};

FIXTURE_VARIANT(device_cpu)
{
	const char *state;
};

FIXTURE_VARIANT_ADD(device_cpu, private)
{
	.state = "dev_private",
};

FIXTURE_VARIANT_ADD(device_cpu, huge)
{
	.state = "dev_huge",
};

FIXTURE_VARIANT_ADD(device_cpu, coherent)
{
	.state = "dev_coherent",
};

FIXTURE_VARIANT_ADD(device_cpu, exclusive)
{
	.state = "dev_exclusive",
};

FIXTURE_SETUP(device_cpu)
{
	device_begin(_metadata, &self->c, variant->state, DEVICE_AT_TABLE_START);
}

FIXTURE_TEARDOWN(device_cpu)
{
	device_end(_metadata, &self->c);
}

TEST_F(device_cpu, read)
{
	if (!MAKE_CASE())
		return;
	CHECK_DATA(0);
	CHECK_CPU_USED(self->c.pages);
}

/* One byte is read: only that page is migrated back. */
TEST_F(device_cpu, read_one_page)
{
	struct device_case *c = &self->c;

	if (!MAKE_CASE())
		return;
	ASSERT_EQ(-1, hmm_pattern_check(c->addr + 3 * c->page, 8, 0));
	device_check_cpu_used(_metadata, c, 3, 1);
	if (!c->huge) {
		device_prove(_metadata, c, 0, 3);
		device_prove(_metadata, c, 4, c->pages - 4);
	}
	CHECK_DATA(0);
}

TEST_F(device_cpu, write)
{
	if (!MAKE_CASE())
		return;
	hmm_pattern_fill(self->c.addr, self->c.length, 1);
	CHECK_CPU_USED(self->c.pages);
	CHECK_DATA(1);
}

/* Part of each page is written, and the rest keeps its data. */
TEST_F(device_cpu, write_part)
{
	struct device_case *c = &self->c;
	size_t i, half = c->page / 2;

	if (!MAKE_CASE())
		return;
	for (i = 0; i < c->pages; i++)
		hmm_pattern_fill(c->addr + i * c->page + half, 8, 2);
	CHECK_CPU_USED(c->pages);
	for (i = 0; i < c->pages; i++) {
		char *at = c->addr + i * c->page;

		ASSERT_EQ(-1, hmm_pattern_check(at, half, 0));
		ASSERT_EQ(-1, hmm_pattern_check(at + half, 8, 2));
		ASSERT_EQ(-1, hmm_pattern_check(at + half + 8, half - 8, 0));
	}
}

/* The CPU finds what the device wrote. */
TEST_F(device_cpu, after_device_write)
{
	struct device_case *c = &self->c;

	if (!MAKE_CASE())
		return;
	hmm_pattern_fill_as(c->copy, c->addr, c->length, 3);
	ASSERT_EQ(0, hmm_dev_write(c->fd, c->addr, c->copy, c->length));
	device_prove(_metadata, c, 0, c->pages);
	CHECK_DATA(3);
	CHECK_CPU_USED(c->pages);
}

/* write() from the pages. */
TEST_F(device_cpu, write_to_file)
{
	struct device_case *c = &self->c;
	int file = hmm_file_memfd(c->length, 0);

	ASSERT_LE(0, file);
	if (!MAKE_CASE())
		return;
	ASSERT_EQ((ssize_t)c->length, write(file, c->addr, c->length));
	CHECK_CPU_USED(c->pages);
	ASSERT_EQ((ssize_t)c->length, pread(file, c->copy, c->length, 0));
	CHECK_COPY(0);
	CHECK_DATA(0);
	close(file);
}

/* read() into the pages. */
TEST_F(device_cpu, read_from_file)
{
	struct device_case *c = &self->c;
	int file;

	if (!MAKE_CASE())
		return;
	file = hmm_file_memfd(c->length, 0);
	ASSERT_LE(0, file);
	hmm_pattern_fill_as(c->copy, c->addr, c->length, 4);
	ASSERT_EQ((ssize_t)c->length, write(file, c->copy, c->length));
	ASSERT_EQ((ssize_t)c->length, pread(file, c->addr, c->length, 0));
	CHECK_CPU_USED(c->pages);
	CHECK_DATA(4);
	close(file);
}

/* A path and a struct in the pages: the kernel copies a few bytes from and to user space. */
TEST_F(device_cpu, syscall_argument)
{
	struct device_case *c = &self->c;
	struct timespec *time = (void *)(c->addr + 2 * c->page);

	if (!MAKE_CASE())
		return;
	/* no file has such a name */
	ASSERT_EQ(-1, open(c->addr, O_RDONLY));
	device_check_cpu_used(_metadata, c, 0, 1);
	CHECK_DATA(0);

	if (!MAKE_CASE())
		return;
	ASSERT_EQ(0, syscall(SYS_clock_gettime, CLOCK_MONOTONIC, time));
	device_check_cpu_used(_metadata, c, 2, 1);
	ASSERT_NE(hmm_pattern(time, 0), *(__u64 *)time);
	ASSERT_EQ(-1, hmm_pattern_check((char *)(time + 1), c->page - sizeof(*time), 0));
}

/*
 * Another process, forked before the device got the pages, calls @use, which returns its
 * exit status. Afterwards the pages must have the pattern @seed.
 */
static void check_other_process(struct __test_metadata *_metadata, struct device_case *c,
				int (*use)(struct device_case *c, pid_t process), __u64 seed)
{
	pid_t child, me = getpid();
	int go;

	child = hmm_fork_waiter(&go);
	if (!child)
		_exit(use(c, me));
	ASSERT_LT(0, child);
	if (!REQUIRE(c->setup_ret, c->area.why))
		return;
	device_make(_metadata, c);
	ASSERT_EQ(0, hmm_waiter_go(child, go));
	device_check_cpu_used(_metadata, c, 0, c->pages);
	ASSERT_EQ(-1, hmm_pattern_check(c->addr, c->length, seed));
}

static int copy_has(struct device_case *c, __u64 seed)
{
	return hmm_pattern_check_as(c->copy, c->addr, c->length, seed) == -1;
}

static int vm_readv(struct device_case *c, pid_t process)
{
	struct iovec to = { c->copy, c->length }, from = { c->addr, c->length };

	if (process_vm_readv(process, &to, 1, &from, 1, 0) != (ssize_t)c->length)
		return 1;
	return copy_has(c, 0) ? 0 : 2;
}

TEST_F(device_cpu, process_vm_readv)
{
	check_other_process(_metadata, &self->c, vm_readv, 0);
}

static int vm_writev(struct device_case *c, pid_t process)
{
	struct iovec from = { c->copy, c->length }, to = { c->addr, c->length };

	hmm_pattern_fill_as(c->copy, c->addr, c->length, 5);
	return process_vm_writev(process, &from, 1, &to, 1, 0) != (ssize_t)c->length;
}

TEST_F(device_cpu, process_vm_writev)
{
	check_other_process(_metadata, &self->c, vm_writev, 5);
}

static int open_memory(pid_t process)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/mem", process);
	return open(path, O_RDWR | O_CLOEXEC);
}

static int proc_mem_read(struct device_case *c, pid_t process)
{
	int file = open_memory(process);

	if (pread(file, c->copy, c->length, (uintptr_t)c->addr) != (ssize_t)c->length)
		return 1;
	return copy_has(c, 0) ? 0 : 2;
}

TEST_F(device_cpu, proc_mem_read)
{
	check_other_process(_metadata, &self->c, proc_mem_read, 0);
}

TEST_F(device_cpu, proc_mem_write)
{
	struct device_case *c = &self->c;
	int file = open_memory(getpid());

	ASSERT_LE(0, file);
	hmm_pattern_fill_as(c->copy, c->addr, c->length, 6);
	if (!MAKE_CASE())
		return;
	ASSERT_EQ((ssize_t)c->length, pwrite(file, c->copy, c->length, (uintptr_t)c->addr));
	CHECK_CPU_USED(c->pages);
	CHECK_DATA(6);
	close(file);
}

/* Write where the process may not (FOLL_FORCE), if the kernel allows that at all. */
TEST_F(device_cpu, proc_mem_force)
{
	struct device_case *c = &self->c;
	int file = open_memory(getpid());

	ASSERT_LE(0, file);
	hmm_pattern_fill_as(c->copy, c->addr, c->length, 6);
	ASSERT_EQ(0, mprotect(c->copy, c->length, PROT_READ));
	if (pwrite(file, c->copy, 8, (uintptr_t)c->copy) != 8)
		SKIP(return, "no writing by force (CONFIG_PROC_MEM_ALWAYS_FORCE)");
	if (!MAKE_CASE())
		return;
	ASSERT_EQ(0, mprotect(c->addr, c->length, PROT_READ));
	ASSERT_EQ((ssize_t)c->length, pwrite(file, c->copy, c->length, (uintptr_t)c->addr));
	CHECK_CPU_USED(c->pages);
	CHECK_DATA(6);
	close(file);
}

static long futex(void *word, int op, unsigned int value, unsigned long value2,
		  void *word2, unsigned int value3)
{
	long ret = syscall(SYS_futex, word, op, value, value2, word2, value3);

	return ret < 0 ? -errno : ret;
}

/*
 * The kernel reads and changes a word in the page, with a private and with a shared futex
 * key.
 */
TEST_F(device_cpu, futex)
{
	struct device_case *c = &self->c;
	unsigned int *word = (void *)c->addr, *other = (void *)(c->addr + c->page);
	const int add = FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_EQ, 0);
	unsigned int value, was;

	if (!MAKE_CASE())
		return;
	value = hmm_pattern(word, 0);
	was = hmm_pattern(other, 0);
	ASSERT_EQ(-EAGAIN, futex(word, FUTEX_WAIT_PRIVATE, value + 1, 0, NULL, 0));
	CHECK_CPU_USED(1);
	/* the kernel changes the second word */
	if (!MAKE_CASE())
		return;
	ASSERT_EQ(0, futex(word, FUTEX_WAKE_OP_PRIVATE, 1, 1, other, add));
	device_check_cpu_used(_metadata, c, 1, 1);
	ASSERT_EQ(was + 1, *other);
	*other = was;
	/* a shared key needs the page itself */
	if (!MAKE_CASE())
		return;
	ASSERT_EQ(-EAGAIN, futex(word, FUTEX_WAIT, value + 1, 0, NULL, 0));
	CHECK_CPU_USED(1);
	CHECK_DATA(0);
}

struct sleeper {
	unsigned int *word;
	unsigned int value;
	pid_t tid;
	long result;
};

static void *sleep_on_word(void *data)
{
	struct sleeper *s = data;

	__atomic_store_n(&s->tid, syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	s->result = futex(s->word, FUTEX_WAIT_PRIVATE, s->value, 0, NULL, 0);
	return NULL;
}

/* A thread that sleeps on a futex is woken even if the page has moved to the device since. */
TEST_F(device_cpu, futex_sleeper)
{
	struct device_case *c = &self->c;
	struct sleeper s = { .word = (void *)c->addr };
	pthread_t thread;

	if (!MAKE_CASE())
		return;
	s.value = *s.word;
	ASSERT_EQ(0, pthread_create(&thread, NULL, sleep_on_word, &s));
	ASSERT_EQ(1, hmm_thread_waits(&s.tid));
	device_migrate(_metadata, c);
	device_prove(_metadata, c, 0, c->pages);
	ASSERT_EQ(1, futex(s.word, FUTEX_WAKE_PRIVATE, 1, 0, NULL, 0));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	ASSERT_EQ(0, s.result);
	CHECK_DATA(0);
}

#define THREADS	6
#define ROUNDS	20

struct crowd {
	pthread_barrier_t barrier;
	char *addr;
	size_t page;
	int wrong;
};

/*
 * All threads access the same page at once: it is migrated back once, and no addition is
 * lost.
 */
static void *add_and_check(void *data)
{
	struct crowd *crowd = data;
	__u64 *sum = (__u64 *)(crowd->addr + crowd->page - 8);
	int i;

	pthread_barrier_wait(&crowd->barrier);
	for (i = 0; i < ROUNDS; i++)
		__atomic_fetch_add(sum, 1, __ATOMIC_SEQ_CST);
	if (hmm_pattern_check(crowd->addr, crowd->page - 8, 0) != -1)
		__atomic_fetch_add(&crowd->wrong, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

TEST_F(device_cpu, many_threads)
{
	struct device_case *c = &self->c;
	struct crowd crowd = { .addr = c->addr, .page = c->page };
	pthread_t threads[THREADS];
	int i;

	ASSERT_EQ(0, hmm_use_all_cpus());
	ASSERT_EQ(0, pthread_barrier_init(&crowd.barrier, NULL, THREADS + 1));
	if (!REQUIRE(c->setup_ret, c->area.why))
		return;
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, add_and_check, &crowd));
	device_make(_metadata, c);
	pthread_barrier_wait(&crowd.barrier);
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
	CHECK_CPU_USED(1);
	ASSERT_EQ(0, crowd.wrong);
	ASSERT_EQ(hmm_pattern(c->addr + c->page - 8, 0) + THREADS * ROUNDS,
		  *(__u64 *)(c->addr + c->page - 8));
	ASSERT_EQ(-1, hmm_pattern_check(c->addr + c->page, c->length - c->page, 0));
}

#define LIMIT_MS	5000

/* A thread that touches a page once @go is posted. */
struct toucher {
	char *addr;
	size_t length;
	pthread_t thread;
	sem_t go;
	pid_t tid;
	long wrong;
};

static void *touch(void *data)
{
	struct toucher *t = data;

	__atomic_store_n(&t->tid, syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	while (sem_wait(&t->go))
		;
	t->wrong = hmm_pattern_check(t->addr, t->length, 0);
	return NULL;
}

/* Is the thread in uninterruptible sleep? It stores its number when it runs. */
static int is_asleep(struct toucher *t)
{
	pid_t tid = __atomic_load_n(&t->tid, __ATOMIC_SEQ_CST);

	return tid && hmm_thread_state(tid) == 'D';
}

FIXTURE(device_cpu_twice)
{
	struct device_case c;
	struct toucher touchers[2];
};

FIXTURE_SETUP(device_cpu_twice)
{
	device_begin(_metadata, &self->c, "dev_private", DEVICE_AT_TABLE_START);
	ASSERT_EQ(0, hmm_use_all_cpus());
}

FIXTURE_TEARDOWN(device_cpu_twice)
{
	if (!self->c.setup_ret)
		hmm_hold_release(self->c.fd);
	device_end(_metadata, &self->c);
}

/*
 * A second CPU touches a page while the fault of the first one has it locked. It must sleep
 * until the page is unlocked. If it retries without end instead, and in the kernel, then the
 * first one never gets on where that waits for work on this CPU, as lru_add_drain_all() does.
 */
TEST_F(device_cpu_twice, second_fault_waits)
{
	struct device_case *c = &self->c;
	struct hmmirror_stats before, held;
	int i, sleeps = 0;

	if (!REQUIRE(c->setup_ret, c->area.why))
		return;
	for (i = 0; i < 2; i++) {
		struct toucher *t = &self->touchers[i];

		t->addr = c->addr;
		t->length = c->page;
		ASSERT_EQ(0, sem_init(&t->go, 0, 0));
		ASSERT_EQ(0, pthread_create(&t->thread, NULL, touch, t));
	}
	device_make(_metadata, c);
	ASSERT_EQ(0, hmm_stats(c->fd, 0, &before));
	ASSERT_EQ(0, hmm_hold_arm(c->fd, HMMIRROR_STAGE_FAULT, LIMIT_MS));
	sem_post(&self->touchers[0].go);
	ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_wait(c->fd, LIMIT_MS));
	sem_post(&self->touchers[1].go);
	/* where the second fault comes to the driver, too, it need not sleep */
	for (i = 0; i < 300 && sleeps < 3; i++) {
		sleeps = is_asleep(&self->touchers[1]) ? sleeps + 1 : 0;
		ASSERT_EQ(0, hmm_stats(c->fd, 0, &held));
		if (held.cpu_faults > before.cpu_faults + 1)
			break;
		usleep(1000);
	}
	ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_release(c->fd));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_join(self->touchers[i].thread, NULL));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(-1, self->touchers[i].wrong);
	CHECK_CPU_USED(1);
	CHECK_DATA(0);
	/* both came to the driver */
	if (held.cpu_faults > before.cpu_faults + 1)
		SKIP(return, "mm/migrate: Trylock device page in do_swap_page (6.15)");
	ASSERT_EQ(3, sleeps) TH_LOG("the second fault spins");
}

#include "hmm_main.h"
