/* dir_tree.h -- the directories below an object directory's root: made so that they survive a power cut.
 *
 * A file's name is durable when its directory is synced, and that directory's name when the one above is, up
 * to the root. Syncing all of them for every object would double the cost of a write, so a dir_tree remembers
 * which directories it has seen durable. That is only right while no directory goes away, so they are never
 * removed while a store is open: dir_tree_tidy() removes the empty ones, and is called by who is alone.
 *
 * Threads: any; the memory has its own lock. */
#ifndef STORAGE_OBJECTS_DIR_TREE_H
#define STORAGE_OBJECTS_DIR_TREE_H

#include "core/base/err.h"

#include <pthread.h>

enum { DIR_TREE_SLOTS = 1024 };

struct dir_tree {
    int root_fd; /* borrowed */
    pthread_mutex_t lock;
    char *durable[DIR_TREE_SLOTS]; /* a path at the slot its hash names; what falls on it replaces it */
};

void dir_tree_init(struct dir_tree *t, int root_fd);
void dir_tree_deinit(struct dir_tree *t);

/* Makes every directory above the file at path, and has them durable. */
enum sync_err dir_tree_make(struct dir_tree *t, const char *path, struct err_ctx *ec);

/* Syncs the directory that holds the file at path: its name, or its absence, is durable. */
enum sync_err dir_tree_sync(struct dir_tree *t, const char *path, struct err_ctx *ec);

void dir_tree_forget(struct dir_tree *t); /* somebody removed directories behind our back */

/* Removes the empty directories below (not: at) path. What cannot be removed stays. */
void dir_tree_tidy(int root_fd, const char *path);

#endif
