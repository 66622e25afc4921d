#include "storage/objects/dir_tree.h"

#include "storage/objects/dir_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* FNV-1a: spreads paths over the slots, no more is asked of it. */
static size_t slot_of(const char *path, size_t len)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++) hash = (hash ^ (unsigned char)path[i]) * 0x100000001b3u;
    return (size_t)(hash % DIR_TREE_SLOTS);
}

void dir_tree_init(struct dir_tree *t, int root_fd)
{
    *t = (struct dir_tree){.root_fd = root_fd};
    (void)pthread_mutex_init(&t->lock, NULL);
}

void dir_tree_deinit(struct dir_tree *t)
{
    dir_tree_forget(t);
    (void)pthread_mutex_destroy(&t->lock);
}

void dir_tree_forget(struct dir_tree *t)
{
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < DIR_TREE_SLOTS; i++) {
        free(t->durable[i]);
        t->durable[i] = NULL;
    }
    pthread_mutex_unlock(&t->lock);
}

static bool is_durable(struct dir_tree *t, const char *path)
{
    size_t slot = slot_of(path, strlen(path));
    pthread_mutex_lock(&t->lock);
    bool known = t->durable[slot] != NULL && strcmp(t->durable[slot], path) == 0;
    pthread_mutex_unlock(&t->lock);
    return known;
}

static void remember(struct dir_tree *t, const char *path)
{
    size_t slot = slot_of(path, strlen(path));
    char *copy = strdup(path); /* without memory it is synced once more next time */
    pthread_mutex_lock(&t->lock);
    free(t->durable[slot]);
    t->durable[slot] = copy;
    pthread_mutex_unlock(&t->lock);
}

/* Syncs the directory that holds what path names. */
enum sync_err dir_tree_sync(struct dir_tree *t, const char *path, struct err_ctx *ec)
{
    char holder[4096];
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    if (len >= sizeof holder) return err_set(ec, SYNC_ELIMIT, "path of %zu bytes", len);
    memcpy(holder, path, len);
    holder[len] = '\0';
    int fd = openat(t->root_fd, len == 0 ? "." : holder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return dir_errno(ec, "open a directory", holder);
    int failed = fsync(fd);
    enum sync_err rc = failed ? dir_errno(ec, "sync a directory", holder) : SYNC_OK;
    (void)close(fd);
    return rc;
}

enum sync_err dir_tree_make(struct dir_tree *t, const char *path, struct err_ctx *ec)
{
    char above[4096];
    if (strlen(path) >= sizeof above) return err_set(ec, SYNC_ELIMIT, "path of %zu bytes", strlen(path));
    for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        size_t len = (size_t)(slash - path);
        memcpy(above, path, len);
        above[len] = '\0';
        if (is_durable(t, above)) continue;
        if (mkdirat(t->root_fd, above, 0700) != 0 && errno != EEXIST)
            return dir_errno(ec, "make a directory", above);
        enum sync_err rc = dir_tree_sync(t, above, ec);
        if (rc != SYNC_OK) return rc;
        remember(t, above);
    }
    return SYNC_OK;
}

void dir_tree_tidy(int root_fd, const char *path)
{
    int fd = openat(root_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        if (fd >= 0) (void)close(fd);
        return;
    }
    for (struct dirent *d = readdir(dir); d != NULL; d = readdir(dir)) {
        if (d->d_name[0] == '.' || (d->d_type != DT_DIR && d->d_type != DT_UNKNOWN)) continue;
        dir_tree_tidy(fd, d->d_name); /* as deep as a key has segments and cuts: below 100 */
        (void)unlinkat(fd, d->d_name, AT_REMOVEDIR);
    }
    (void)closedir(dir);
}
