#include "faults.h"

#include "nomem.h"

#include <errno.h>
#include <leveldb/c.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Atomic long calls[FAULT_COUNT]; /* since armed */
static _Atomic long first[FAULT_COUNT], last[FAULT_COUNT];
static _Atomic bool fired;
static _Atomic bool skip_syncs;

void faults_arm(enum fault kind, long nth, long times)
{
    atomic_store(&fired, false);
    if (kind == FAULT_ALLOC) {
        nomem_arm(nth, times);
        return;
    }
    atomic_store(&calls[kind], 0);
    atomic_store(&first[kind], nth);
    atomic_store(&last[kind], nth + times - 1);
}

bool faults_disarm(void)
{
    for (int i = 0; i < FAULT_COUNT; i++) {
        atomic_store(&first[i], 0);
        atomic_store(&last[i], 0);
    }
    bool failed = nomem_disarm();
    return atomic_load(&fired) || failed;
}

void faults_skip_syncs(void)
{
    atomic_store(&skip_syncs, true);
}

long faults_live_blocks(void)
{
    return nomem_live_blocks();
}

static bool fails(enum fault kind)
{
    if (atomic_load(&last[kind]) == 0) return false;
    long n = atomic_fetch_add(&calls[kind], 1) + 1;
    if (n < atomic_load(&first[kind]) || n > atomic_load(&last[kind])) return false;
    atomic_store(&fired, true);
    return true;
}

/* ---- LevelDB's interface */

leveldb_t *__real_leveldb_open(const leveldb_options_t *options, const char *name, char **errptr);
void __real_leveldb_write(leveldb_t *db, const leveldb_writeoptions_t *options, leveldb_writebatch_t *batch,
                          char **errptr);
leveldb_t *__wrap_leveldb_open(const leveldb_options_t *options, const char *name, char **errptr);
void __wrap_leveldb_write(leveldb_t *db, const leveldb_writeoptions_t *options, leveldb_writebatch_t *batch,
                          char **errptr);

char *__real_strdup(const char *text);

/* LevelDB's texts are free()d by LevelDB: not counted. */
static void set_error(char **errptr)
{
    *errptr = __real_strdup("a fault of the test");
}

leveldb_t *__wrap_leveldb_open(const leveldb_options_t *options, const char *name, char **errptr)
{
    if (!fails(FAULT_DB_OPEN)) return __real_leveldb_open(options, name, errptr);
    set_error(errptr);
    return NULL;
}

void __wrap_leveldb_write(leveldb_t *db, const leveldb_writeoptions_t *options, leveldb_writebatch_t *batch,
                          char **errptr)
{
    if (fails(FAULT_DB_WRITE)) {
        set_error(errptr);
        return;
    }
    __real_leveldb_write(db, options, batch, errptr);
    if (*errptr == NULL && fails(FAULT_DB_WRITE_LATE)) set_error(errptr);
}

/* ---- files: these take the place of glibc's for LevelDB as well, since a program's own symbols come
 * first */

ssize_t write(int fd, const void *bytes, size_t len)
{
    static _Thread_local bool half_done;
    if (half_done) {
        half_done = false;
        errno = ENOSPC;
        return -1;
    }
    if (len > 1 && fails(FAULT_FILE_WRITE)) {
        half_done = true; /* whoever writes a half goes on with the other */
        len /= 2;
    }
    return syscall(SYS_write, fd, bytes, len);
}

static int sync_with(long number, int fd)
{
    if (fails(FAULT_FILE_SYNC)) {
        errno = EIO;
        return -1;
    }
    return atomic_load(&skip_syncs) ? 0 : (int)syscall(number, fd);
}

int fdatasync(int fd)
{
    return sync_with(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return sync_with(SYS_fsync, fd);
}
