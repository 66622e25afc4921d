#include "faults.h"

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
static _Atomic long live_blocks;

void faults_arm(enum fault kind, long nth, long times)
{
    atomic_store(&fired, false);
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
    return atomic_load(&fired);
}

long faults_live_blocks(void)
{
    return atomic_load(&live_blocks);
}

static bool fails(enum fault kind)
{
    if (atomic_load(&last[kind]) == 0) return false;
    long n = atomic_fetch_add(&calls[kind], 1) + 1;
    if (n < atomic_load(&first[kind]) || n > atomic_load(&last[kind])) return false;
    atomic_store(&fired, true);
    return true;
}

/* ---- memory: what the linker's --wrap sends here */

void *__real_malloc(size_t len);
void *__real_calloc(size_t count, size_t len);
void *__real_realloc(void *p, size_t len);
char *__real_strdup(const char *text);
void __real_free(void *p);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t count, size_t len);
void *__wrap_realloc(void *p, size_t len);
char *__wrap_strdup(const char *text);
void __wrap_free(void *p);

static void *counted(void *p)
{
    if (p != NULL) atomic_fetch_add(&live_blocks, 1);
    return p;
}

static void *no_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

void *__wrap_malloc(size_t len)
{
    return fails(FAULT_ALLOC) ? no_memory() : counted(__real_malloc(len));
}

void *__wrap_calloc(size_t count, size_t len)
{
    return fails(FAULT_ALLOC) ? no_memory() : counted(__real_calloc(count, len));
}

void *__wrap_realloc(void *p, size_t len)
{
    if (fails(FAULT_ALLOC)) return no_memory();
    return p == NULL ? counted(__real_realloc(NULL, len)) : __real_realloc(p, len);
}

char *__wrap_strdup(const char *text)
{
    return fails(FAULT_ALLOC) ? no_memory() : counted(__real_strdup(text));
}

void __wrap_free(void *p)
{
    if (p != NULL) atomic_fetch_sub(&live_blocks, 1);
    __real_free(p);
}

/* ---- LevelDB's interface */

leveldb_t *__real_leveldb_open(const leveldb_options_t *options, const char *name, char **errptr);
void __real_leveldb_write(leveldb_t *db, const leveldb_writeoptions_t *options, leveldb_writebatch_t *batch,
                          char **errptr);
leveldb_t *__wrap_leveldb_open(const leveldb_options_t *options, const char *name, char **errptr);
void __wrap_leveldb_write(leveldb_t *db, const leveldb_writeoptions_t *options, leveldb_writebatch_t *batch,
                          char **errptr);

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

/* ---- files: these take the place of glibc's for LevelDB as well, since a program's own symbols come first
 */

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

int fdatasync(int fd)
{
    if (!fails(FAULT_FILE_SYNC)) return (int)syscall(SYS_fdatasync, fd);
    errno = EIO;
    return -1;
}

int fsync(int fd)
{
    if (!fails(FAULT_FILE_SYNC)) return (int)syscall(SYS_fsync, fd);
    errno = EIO;
    return -1;
}
