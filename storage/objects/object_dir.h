/* object_dir.h -- the object store in a directory: for one machine, and for tests.
 *
 * Any number of processes of one machine may have one directory open at once; conditional writes hold between
 * them. The file system must have link, rename, fsync and flock that work (every local one has).
 *
 *   DIR/FORMAT      "sync-coordinator objects 1"; a directory with other things in it is refused
 *   DIR/objects/    the objects, one file each (dir_name.h says which, dir_file.h what is in it)
 *   DIR/tmp/        files being written; what dead processes left is removed when a store is opened
 *   DIR/guards/     locks that writers of one key take while they compare and replace
 *   DIR/lock        held shared by every open store
 *
 * A confirmed write has been synced, the directories above it included. Reads see a write when it gets its
 * name, a moment before that. A write waits for another writer of the same key at most its own time limit;
 * the disk itself is not under that limit.
 *
 * Every request costs nothing. Threads: as object_store.h says. */
#ifndef STORAGE_OBJECTS_OBJECT_DIR_H
#define STORAGE_OBJECTS_OBJECT_DIR_H

#include "storage/objects/object_store.h"

struct object_dir_config {
    const char *path;                /* made when it is missing; the directory above it is not */
    struct object_observer observer; /* copied */
};

/* Errors: SYNC_ECONFIG (missing rights, not ours), SYNC_EFORMAT (a format this build does not know),
 * SYNC_EIO, SYNC_EBUSY (another process has been opening it for seconds), SYNC_ENOMEM. */
enum sync_err object_dir_open(const struct object_dir_config *cfg, struct object_store **ret,
                              struct err_ctx *ec);

#endif
