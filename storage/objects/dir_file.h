/* dir_file.h -- one file of an object directory: how it is written so that it is whole or not there.
 *
 * A file is the object's bytes and a trailer of DIR_TRAILER_BYTES: magic, size, and a version of random
 * bytes, drawn for every write. It is written under a name in tmp/, synced, and only then linked or renamed
 * to its place; the caller syncs the directory there. A file that is seen in place and has no right trailer
 * was damaged by something else, and is reported so.
 *
 * While a temporary file is written its writer holds a lock on it. A temporary file that can be locked
 * belongs to nobody any more: dir_temp_sweep() removes it. */
#ifndef STORAGE_OBJECTS_DIR_FILE_H
#define STORAGE_OBJECTS_DIR_FILE_H

#include "storage/objects/object_impl.h"

enum {
    DIR_TRAILER_BYTES = 32,
    DIR_TEMP_NAME_MAX = 4 + 32, /* "tmp/" and the hex of 16 random bytes */
};

struct dir_temp {
    int root_fd;                      /* borrowed */
    int fd;                           /* -1: closed */
    bool linked;                      /* has a name in tmp/ */
    char name[DIR_TEMP_NAME_MAX + 1]; /* relative to the root */
};

/* After any error too, dir_temp_close() is due. */
enum sync_err dir_temp_open(int root_fd, struct dir_temp *ret, struct err_ctx *ec);
enum sync_err dir_temp_write(struct dir_temp *t, uint64_t offset, struct slice bytes,
                             const struct object_ctx *ctx, struct err_ctx *ec);

/* Writes the trailer behind object_bytes and syncs the file: after it the file may be published. */
enum sync_err dir_temp_seal(struct dir_temp *t, uint64_t object_bytes, struct object_version *ret_version,
                            struct err_ctx *ec);

/* Gives the file its place. dir_temp_link() never replaces: *ret_exists says that something is there.
 * *ret_no_dir says that the directory is missing, and nothing was done. */
enum sync_err dir_temp_link(struct dir_temp *t, const char *path, bool *ret_exists, bool *ret_no_dir,
                            struct err_ctx *ec);
enum sync_err dir_temp_rename(struct dir_temp *t, const char *path, bool *ret_no_dir, struct err_ctx *ec);

void dir_temp_close(struct dir_temp *t); /* removes the temporary name if it is still there */

/* Removes what dead writers left in tmp/, if it is at least age_ms old. */
enum sync_err dir_temp_sweep(int root_fd, uint64_t age_ms, uint32_t *ret_count, struct err_ctx *ec);

/* Opens the object at path for reading; the caller closes *ret_fd. SYNC_ENOTFOUND when it is not there. */
enum sync_err dir_file_open(int root_fd, const char *path, int *ret_fd, struct object_info *ret,
                            struct err_ctx *ec);

/* The text of errno, and the code: SYNC_EIO, SYNC_ENOMEM, or SYNC_ECONFIG where rights are missing. */
enum sync_err dir_errno(struct err_ctx *ec, const char *doing, const char *path);

#endif
