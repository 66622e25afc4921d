/* temp_dir.h -- a directory of a test's own, removed with everything in it. */
#ifndef TESTS_TEMP_DIR_H
#define TESTS_TEMP_DIR_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct temp_dir {
    char path[64];
};

static inline void temp_dir_make(struct temp_dir *t)
{
    (void)snprintf(t->path, sizeof t->path, "/tmp/sync-test-XXXXXX");
    if (mkdtemp(t->path) == NULL) abort();
}

static inline int temp_dir_remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static inline void temp_dir_remove(struct temp_dir *t)
{
    (void)nftw(t->path, temp_dir_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* "DIR/name", in one of a few static buffers. */
static inline const char *temp_dir_file(const struct temp_dir *t, const char *name)
{
    static char paths[4][4096];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", t->path, name);
    return path;
}

#endif
