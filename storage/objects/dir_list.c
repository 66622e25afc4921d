#include "storage/objects/dir_list.h"

#include "storage/objects/dir_file.h"
#include "storage/objects/dir_name.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A continuation is one of these marks and the key (the common prefix) that the page ended with. */
enum { TOKEN_KEY = 'k', TOKEN_PREFIX = 'p' };

struct walk {
    const struct object_query *query;
    const struct object_ctx *ctx;
    struct slice after;        /* keys up to it are not wanted */
    struct slice after_prefix; /* nor are keys that begin so; empty: none */
    struct object_page_build build;
    struct buf last;                               /* the last entry's key */
    bool last_is_prefix;                           /* then keys that begin with it are counted in it */
    bool more;                                     /* the page is full and one more was seen */
    char key[OBJECT_KEY_MAX + DIR_ENTRY_TEXT_MAX]; /* of where the walk is */
    char path[4096];
    int root_fd;
};

/* The names of one directory that come next, sorted by what they add to the key. */
struct names {
    struct dir_entry *entries;
    size_t count;
    size_t count_max;
    bool cut; /* there are more */
};

static int entry_cmp(const void *a, const void *b)
{
    const struct dir_entry *ea = a, *eb = b;
    return slice_cmp(slice_of(ea->text, ea->len), slice_of(eb->text, eb->len));
}

/* Can a key that begins with `start` be wanted? */
static bool can_hold_wanted(const struct walk *w, struct slice start)
{
    struct slice prefix = w->query->prefix;
    if (!slice_starts_with(start, prefix) && !slice_starts_with(prefix, start)) return false;
    if (slice_cmp(start, w->after) < 0 && !slice_starts_with(w->after, start)) return false;
    if (w->after_prefix.len > 0 && slice_starts_with(start, w->after_prefix)) return false;
    return !(w->last_is_prefix && slice_starts_with(start, buf_slice(&w->last)));
}

static bool is_wanted(const struct walk *w, struct slice key)
{
    return slice_starts_with(key, w->query->prefix) && slice_cmp(key, w->after) > 0;
}

/* The smallest entries of the directory at w->path that are greater than `floor` (NULL: all) and can be
 * wanted. A directory that is not there has none. */
static enum sync_err read_names(struct walk *w, size_t key_len, const struct dir_entry *floor,
                                struct names *ret, struct err_ctx *ec)
{
    int fd = openat(w->root_fd, w->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) return SYNC_OK; /* just gone, or not of ours */
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        enum sync_err rc = dir_errno(ec, "list", w->path);
        if (fd >= 0) (void)close(fd);
        return rc;
    }
    for (struct dirent *d = readdir(dir); d != NULL; d = readdir(dir)) {
        struct dir_entry e;
        if (!dir_name_parse(d->d_name, &e) || key_len + e.len > OBJECT_KEY_MAX + 1) continue;
        if (floor != NULL && entry_cmp(&e, floor) <= 0) continue;
        memcpy(w->key + key_len, e.text, e.len);
        struct slice start = slice_of(w->key, key_len + e.len);
        if (!can_hold_wanted(w, start)) continue;
        if (e.kind == DIR_ENTRY_OBJECT && !is_wanted(w, start)) continue;
        ret->entries[ret->count++] = e;
        if (ret->count == 2 * ret->count_max) { /* sort now and then: less work than a heap is code */
            qsort(ret->entries, ret->count, sizeof e, entry_cmp);
            ret->count = ret->count_max;
            ret->cut = true;
        }
    }
    (void)closedir(dir);
    if (ret->count > 0) qsort(ret->entries, ret->count, sizeof *ret->entries, entry_cmp);
    if (ret->count > ret->count_max) {
        ret->count = ret->count_max;
        ret->cut = true;
    }
    return SYNC_OK;
}

/* Adds a key, or the common prefix that stands for it, to the page. */
static enum sync_err add_object(struct walk *w, struct slice key, struct err_ctx *ec)
{
    struct object_entry entry = {0};
    struct slice shown = key;
    size_t prefix_len = w->query->prefix.len;
    const char *cut = w->query->delimiter == 0
                          ? NULL
                          : memchr(key.bytes + prefix_len, w->query->delimiter, key.len - prefix_len);
    if (cut != NULL) {
        shown.len = (size_t)(cut - key.bytes) + 1;
        entry.is_prefix = true;
    } else {
        struct stat st;
        if (fstatat(w->root_fd, w->path, &st, AT_SYMLINK_NOFOLLOW) != 0)
            return errno == ENOENT ? SYNC_OK : dir_errno(ec, "stat", w->path); /* just deleted */
        uint64_t file_bytes = (uint64_t)st.st_size;
        entry.bytes = file_bytes < DIR_TRAILER_BYTES ? 0 : file_bytes - DIR_TRAILER_BYTES;
        entry.modified_ms = (uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1000000;
    }
    if (w->build.page.count == w->query->entries_max) {
        w->more = true;
        return SYNC_OK;
    }
    buf_clear(&w->last);
    buf_put_slice(&w->last, shown);
    w->last_is_prefix = entry.is_prefix;
    enum sync_err rc = buf_check(&w->last, ec);
    return rc == SYNC_OK ? object_page_build_add(&w->build, shown, &entry, ec) : rc;
}

static enum sync_err walk_directory(struct walk *w, size_t key_len, size_t path_len, struct err_ctx *ec);

/* One entry of the directory that key_len and path_len describe. */
static enum sync_err walk_entry(struct walk *w, const struct dir_entry *e, size_t key_len, size_t path_len,
                                struct err_ctx *ec)
{
    char name[DIR_NAME_MAX + 1];
    enum sync_err rc = object_ctx_check(w->ctx, ec);
    if (rc != SYNC_OK) return rc;
    memcpy(w->key + key_len, e->text, e->len);
    struct slice key = slice_of(w->key, key_len + e->len);
    if (!can_hold_wanted(w, key)) return SYNC_OK; /* the entry before it was a common prefix that holds it */
    dir_name_entry(e, name);
    int n = snprintf(w->path + path_len, sizeof w->path - path_len, "/%s", name);
    if (n < 0 || (size_t)n >= sizeof w->path - path_len)
        return err_set(ec, SYNC_ELIMIT, "path over %zu bytes", sizeof w->path);
    rc = e->kind == DIR_ENTRY_OBJECT ? add_object(w, key, ec)
                                     : walk_directory(w, key.len, path_len + (size_t)n, ec);
    w->path[path_len] = '\0';
    return rc;
}

static enum sync_err walk_directory(struct walk *w, size_t key_len, size_t path_len, struct err_ctx *ec)
{
    size_t room = w->query->entries_max - w->build.page.count + 1; /* one more shows that there is more */
    struct names names = {.count_max = room, .cut = true};
    struct dir_entry floor;
    enum sync_err rc = SYNC_OK;
    names.entries = malloc(2 * room * sizeof *names.entries);
    if (names.entries == NULL) return err_set(ec, SYNC_ENOMEM, "list");
    bool first = true;
    while (rc == SYNC_OK && names.cut && !w->more) {
        names.count = 0;
        names.cut = false;
        rc = read_names(w, key_len, first ? NULL : &floor, &names, ec);
        for (size_t i = 0; rc == SYNC_OK && i < names.count && !w->more; i++)
            rc = walk_entry(w, &names.entries[i], key_len, path_len, ec);
        if (names.count > 0) floor = names.entries[names.count - 1];
        first = false;
    }
    free(names.entries);
    return rc;
}

/* Where the walk begins: behind start_after, or behind what the continuation says. */
static enum sync_err read_token(struct walk *w, struct err_ctx *ec)
{
    struct slice token = w->query->continuation;
    w->after = w->query->start_after;
    if (token.len == 0) return SYNC_OK;
    struct slice key = slice_of(token.bytes + 1, token.len - 1);
    if (token.bytes[0] == TOKEN_KEY)
        w->after = key;
    else if (token.bytes[0] == TOKEN_PREFIX && key.len > 0)
        w->after = w->after_prefix = key;
    else
        return err_set(ec, SYNC_EBADMSG, "list continuation that this store has not given");
    return SYNC_OK;
}

enum sync_err dir_list_page(int root_fd, const char *top, const struct object_ctx *ctx,
                            const struct object_query *query, struct object_page *ret, struct err_ctx *ec)
{
    struct walk *w = calloc(1, sizeof *w);
    if (w == NULL) return err_set(ec, SYNC_ENOMEM, "list");
    w->query = query;
    w->ctx = ctx;
    w->root_fd = root_fd;
    w->last = buf_make(OBJECT_KEY_MAX + DIR_ENTRY_TEXT_MAX);
    object_page_build_init(&w->build);
    int n = snprintf(w->path, sizeof w->path, "%s", top);
    assert(n > 0 && (size_t)n < sizeof w->path);

    enum sync_err rc = read_token(w, ec);
    if (rc == SYNC_OK) rc = walk_directory(w, 0, (size_t)n, ec);
    if (rc == SYNC_OK) {
        bool more = w->more;
        object_page_build_finish(&w->build, ret);
        ret->more = more;
        if (more)
            (void)snprintf(ret->next, sizeof ret->next, "%c%.*s",
                           w->last_is_prefix ? TOKEN_PREFIX : TOKEN_KEY, SLICE_ARG(buf_slice(&w->last)));
    }
    object_page_build_deinit(&w->build);
    buf_deinit(&w->last);
    free(w);
    return rc;
}
