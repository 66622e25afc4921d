#include "hooks/hook_library.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

/* A table that cannot hold the first two functions is none. */
enum { TABLE_BYTES_MIN = offsetof(struct sync_hooks, reload), NAME_BYTES = 32 };

static struct hook_file_id id_of(const struct stat *st)
{
    return (struct hook_file_id){
        .device = st->st_dev, .inode = st->st_ino, .bytes = st->st_size, .changed = st->st_ctim};
}

enum sync_err hook_file_identify(const char *path, struct hook_file_id *ret, struct err_ctx *ec)
{
    struct stat st;
    if (stat(path, &st) != 0) return err_set(ec, SYNC_EIO, "%s: %s", path, strerror(errno));
    *ret = id_of(&st);
    return SYNC_OK;
}

bool hook_file_same(const struct hook_file_id *a, const struct hook_file_id *b)
{
    return a->device == b->device && a->inode == b->inode && a->bytes == b->bytes &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

enum sync_err hook_table_check(const struct sync_hooks *given, struct sync_hooks *ret, struct err_ctx *ec)
{
    if (given->abi > SYNC_HOOKS_ABI)
        return err_set(ec, SYNC_ECONFIG, "it was made for hook ABI %u, this server has ABI %u", given->abi,
                       SYNC_HOOKS_ABI);
    if (given->abi == 0) return err_set(ec, SYNC_ECONFIG, "its table says hook ABI 0; the first is 1");
    if (given->bytes < TABLE_BYTES_MIN)
        return err_set(ec, SYNC_ECONFIG, "its table says it has %u bytes, ABI %u has at least %u",
                       given->bytes, given->abi, (unsigned)TABLE_BYTES_MIN);
    size_t bytes = given->bytes < sizeof *ret ? given->bytes : sizeof *ret;
    memset(ret, 0, sizeof *ret);
    memcpy(ret, given, bytes);
    return SYNC_OK;
}

/* Copies the file to memory and says which file it was. */
static enum sync_err copy_file(const char *path, struct hook_library *l, struct err_ctx *ec)
{
    enum sync_err rc = SYNC_OK;
    struct stat st;
    off_t at = 0;
    int from = open(path, O_RDONLY | O_CLOEXEC);
    if (from < 0 || fstat(from, &st) != 0) {
        rc = err_set(ec, SYNC_EIO, "%s", strerror(errno));
        goto out;
    }
    if (!S_ISREG(st.st_mode) || st.st_size > HOOK_FILE_BYTES_MAX) {
        rc = err_set(ec, SYNC_EIO, "not a file of at most %d bytes", HOOK_FILE_BYTES_MAX);
        goto out;
    }
    l->file = id_of(&st);
    l->fd = memfd_create("sync-hook", MFD_CLOEXEC);
    if (l->fd < 0) rc = err_set(ec, SYNC_EIO, "memory for a copy: %s", strerror(errno));
    while (rc == SYNC_OK && at < st.st_size) {
        ssize_t n = sendfile(l->fd, from, &at, (size_t)(st.st_size - at));
        if (n < 0) rc = err_set(ec, SYNC_EIO, "copy: %s", strerror(errno));
        if (n == 0) rc = err_set(ec, SYNC_EIO, "it became shorter while it was read");
    }
out:
    if (from >= 0) (void)close(from); /* nothing was written to it */
    return rc;
}

static void copy_name(int fd, char ret[NAME_BYTES])
{
    (void)snprintf(ret, NAME_BYTES, "/proc/self/fd/%d", fd);
}

static enum sync_err load(struct hook_library *l, struct err_ctx *ec)
{
    char name[NAME_BYTES];
    copy_name(l->fd, name);
    l->handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (l->handle == NULL) return err_set(ec, SYNC_ECONFIG, "%s", dlerror());
    const struct sync_hooks *table = dlsym(l->handle, SYNC_HOOKS_SYMBOL);
    if (table == NULL) return err_set(ec, SYNC_ECONFIG, "it does not export the symbol " SYNC_HOOKS_SYMBOL);
    return hook_table_check(table, &l->table, ec);
}

enum sync_err hook_library_open(const char *path, struct hook_library *ret, struct err_ctx *ec)
{
    struct hook_library l = {.fd = -1};
    enum sync_err rc = copy_file(path, &l, ec);
    if (rc == SYNC_OK) rc = load(&l, ec);
    if (rc != SYNC_OK) {
        err_wrap(ec, "hook %s", path);
        hook_library_close(&l);
        return rc;
    }
    *ret = l;
    return SYNC_OK;
}

void hook_library_close(struct hook_library *l)
{
    bool stays = false;
    if (l->handle != NULL) {
        char name[NAME_BYTES];
        copy_name(l->fd, name);
        (void)dlclose(l->handle);
        /* One that cannot be unloaded (it asked for that, or left a thread-local destructor behind) is still
         * known by its name, so nothing else may get that descriptor. */
        void *again = dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
        stays = again != NULL;
        if (stays) (void)dlclose(again);
    }
    if (l->fd > 0 && !stays) (void)close(l->fd);
    *l = (struct hook_library){.fd = -1};
}
