/* hook_library.h -- a hook's shared object in this process: opened, checked, and its table.
 *
 * A private copy of the file is what gets opened. So a new version under the same path is a new library, with
 * variables of its own, while the old one still runs; and a file that is overwritten in place does not change
 * under the server's feet. A hook that needs libraries beside itself names them by an absolute path or a run
 * path without $ORIGIN.
 *
 * Threads: any; constant after hook_library_open(). */
#ifndef HOOKS_HOOK_LIBRARY_H
#define HOOKS_HOOK_LIBRARY_H

#include "core/base/err.h"

#include "hooks/sync_hooks.h"

#include <stdbool.h>
#include <sys/stat.h>

enum { HOOK_FILE_BYTES_MAX = 256 << 20 };

/* Which file it was: two that agree are taken for the same bytes. */
struct hook_file_id {
    dev_t device;
    ino_t inode;
    off_t bytes;
    struct timespec changed;
};

struct hook_library {
    struct sync_hooks table; /* functions that the hook's older table does not have are NULL */
    struct hook_file_id file;
    void *handle;
    int fd; /* of the copy; its number is what the library is known by, so it stays open as long */
};

/* Errors: SYNC_EIO (the file), SYNC_ECONFIG (not loadable, no symbol, an ABI or size that does not fit),
 * SYNC_ENOMEM. */
enum sync_err hook_library_open(const char *path, struct hook_library *ret, struct err_ctx *ec);
void hook_library_close(struct hook_library *l); /* no call is in it; takes an all-zero one, too */

/* Errors: SYNC_EIO. */
enum sync_err hook_file_identify(const char *path, struct hook_file_id *ret, struct err_ctx *ec);
bool hook_file_same(const struct hook_file_id *a, const struct hook_file_id *b);

/* Does the table fit this server? Errors: SYNC_ECONFIG. Copies as much of it as both know. */
enum sync_err hook_table_check(const struct sync_hooks *given, struct sync_hooks *ret, struct err_ctx *ec);

#endif
