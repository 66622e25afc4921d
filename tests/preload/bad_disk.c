/* bad_disk.c -- LD_PRELOAD: a disk that fails when the test says so, and that loses what was not synced.
 *
 * Only files below BAD_DISK_DIR are concerned. The file BAD_DISK_CONTROL says what fails; it is read at each
 * call, so that the test can change it while the server runs:
 *
 *     GENERATION KIND NTH TIMES ERRNO
 *
 * Of the calls of this kind since the generation changed, those from the NTH on, TIMES of them, fail. Kinds:
 *
 *     write      write, pwrite: nothing is written       sync    fsync, fdatasync: nothing is synced
 *     short      write: half of it, no error             open    for writing
 *     torn       write: half of it, then the error       rename  rename, renameat
 *     all        write, sync, open, rename, truncate     truncate
 *     lie        sync: says it is done, and it is not
 *     none
 *
 * Nothing is ever synced really. The file BAD_DISK_JOURNAL tells what would be on the disk after a power cut,
 * so that the test can bring that about when the server is dead:
 *
 *     S LENGTH PATH    so much of the file is on disk
 *     R OLD<tab>NEW    renamed
 *     F KIND           a call was made to fail */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FDS_MAX = 65536 };

enum kind { WRITE, SHORT, TORN, SYNC, LIE, OPEN, RENAME, TRUNCATE, KINDS };

static const char *const names[KINDS] = {"write", "short", "torn",   "sync",
                                         "lie",   "open",  "rename", "truncate"};

static _Atomic bool ours[FDS_MAX];
static _Atomic long generation_seen, calls[KINDS];

/* ---- what the test says, and what it is told */

static void journal(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void journal(const char *fmt, ...)
{
    char line[4 * PATH_MAX + 32];
    const char *path = getenv("BAD_DISK_JOURNAL");
    va_list args;
    int saved = errno;
    va_start(args, fmt);
    int n = vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    int fd =
        path == NULL ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (fd >= 0 && syscall(SYS_write, fd, line, (size_t)n) != n) abort();
    if (fd >= 0) (void)syscall(SYS_close, fd);
    errno = saved;
}

/* Is this call to fail? Then errno is set. */
static bool fails(enum kind kind)
{
    char text[128] = "", name[16] = "none";
    long generation = 0, nth = 0, times = 0;
    int code = EIO;
    const char *path = getenv("BAD_DISK_CONTROL");
    int fd = path == NULL ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY, 0);
    if (fd < 0) return false;
    if (syscall(SYS_read, fd, text, sizeof text - 1) < 0) text[0] = '\0';
    (void)syscall(SYS_close, fd);
    if (sscanf(text, "%ld %15s %ld %ld %d", &generation, name, &nth, &times, &code) != 5) return false;
    if (atomic_exchange(&generation_seen, generation) != generation)
        for (int i = 0; i < KINDS; i++) atomic_store(&calls[i], 0);
    bool all = strcmp(name, "all") == 0 && kind != SHORT && kind != TORN && kind != LIE;
    if (!all && strcmp(name, names[kind]) != 0) return false;
    long n = atomic_fetch_add(&calls[kind], 1) + 1;
    if (n < nth || n - nth >= times) return false;
    journal("F %s\n", names[kind]);
    errno = code;
    return true;
}

static bool is_below(const char *path)
{
    const char *dir = getenv("BAD_DISK_DIR");
    return dir != NULL && strncmp(path, dir, strlen(dir)) == 0;
}

static bool path_of(int fd, char ret[PATH_MAX])
{
    char link[64];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, ret, PATH_MAX - 1);
    if (n < 0) return false;
    ret[n] = '\0';
    return true;
}

static bool is_ours(int fd)
{
    return fd >= 0 && fd < FDS_MAX && atomic_load(&ours[fd]);
}

/* ---- calls */

static int open_any(int dir, const char *path, int flags, mode_t mode)
{
    char where[PATH_MAX];
    bool writes = (flags & O_ACCMODE) != O_RDONLY;
    bool below = dir == AT_FDCWD ? is_below(path) : path_of(dir, where) && is_below(where);
    if (below && writes && fails(OPEN)) return -1;
    int fd = (int)syscall(SYS_openat, dir, path, flags, mode);
    if (fd >= 0 && fd < FDS_MAX) atomic_store(&ours[fd], below && writes);
    return fd;
}

#define MODE_OF(flags, mode)                                                                                 \
    va_list args;                                                                                            \
    va_start(args, flags);                                                                                   \
    mode_t mode = ((flags)&O_CREAT) != 0 ? va_arg(args, mode_t) : 0;                                         \
    va_end(args)

int open(const char *path, int flags, ...)
{
    MODE_OF(flags, mode);
    return open_any(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    MODE_OF(flags, mode);
    return open_any(AT_FDCWD, path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
    MODE_OF(flags, mode);
    return open_any(dir, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...)
{
    MODE_OF(flags, mode);
    return open_any(dir, path, flags, mode);
}

int close(int fd)
{
    if (is_ours(fd)) atomic_store(&ours[fd], false);
    return (int)syscall(SYS_close, fd);
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    if (is_ours(fd)) {
        if (fails(WRITE)) return -1;
        if (len > 1 && fails(SHORT)) len /= 2;
        if (fails(TORN)) {
            int code = errno;
            if (syscall(SYS_write, fd, bytes, len / 2) < 0) abort();
            errno = code;
            return -1;
        }
    }
    return syscall(SYS_write, fd, bytes, len);
}

static int sync_any(int fd)
{
    char path[PATH_MAX];
    struct stat st;
    if (!is_ours(fd)) return 0;
    if (fails(SYNC)) return -1;
    if (fails(LIE)) return 0;
    if (path_of(fd, path) && fstat(fd, &st) == 0) journal("S %lld %s\n", (long long)st.st_size, path);
    return 0;
}

int fsync(int fd)
{
    return sync_any(fd);
}

int fdatasync(int fd)
{
    return sync_any(fd);
}

int rename(const char *from, const char *to)
{
    if (is_below(from) && fails(RENAME)) return -1;
    int rc = (int)syscall(SYS_rename, from, to);
    if (rc == 0 && is_below(from)) journal("R %s\t%s\n", from, to);
    return rc;
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    char where[PATH_MAX], old[2 * PATH_MAX], new[2 * PATH_MAX];
    if (from_dir == AT_FDCWD || !path_of(from_dir, where) || !is_below(where))
        return (int)syscall(SYS_renameat, from_dir, from, to_dir, to);
    (void)snprintf(old, sizeof old, "%s/%s", where, from);
    if (!path_of(to_dir, where)) return -1;
    (void)snprintf(new, sizeof new, "%s/%s", where, to);
    return rename(old, new);
}

int ftruncate(int fd, off_t len)
{
    if (is_ours(fd) && fails(TRUNCATE)) return -1;
    return (int)syscall(SYS_ftruncate, fd, len);
}
