/* dir_open.h -- an object directory made or recognized, its leftovers removed, and held open. */
#ifndef STORAGE_OBJECTS_DIR_OPEN_H
#define STORAGE_OBJECTS_DIR_OPEN_H

#include "core/base/err.h"

#define DIR_OBJECTS "objects"

enum { DIR_GUARDS = 64, DIR_OPEN_WAIT_MS_MAX = 10000 };

/* Opens the directory and its lock, which is held shared until *ret_lock_fd is closed. Closes nothing of it
 * on success; on error nothing stays open. Errors: as object_dir_open(). */
enum sync_err dir_open(const char *path, int *ret_root_fd, int *ret_lock_fd, struct err_ctx *ec);

#endif
