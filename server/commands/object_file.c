#include "server/commands/object_file.h"

#include "server/base/system.h"
#include "storage/objects/object_dir.h"
#include "storage/snapshots/entry_batch.h"
#include "storage/snapshots/snapshot_write.h"
#include "storage/views/view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- writing: through a directory of objects beside the temporary store, since a snapshot is an object */

static enum sync_err put_file(void *arg, struct slice bytes, struct err_ctx *ec)
{
    const int *fd = arg;
    while (bytes.len > 0) {
        ssize_t n = write(*fd, bytes.bytes, bytes.len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_set(ec, SYNC_EIO, "%s", strerror(errno));
        bytes = slice_of(bytes.bytes + n, bytes.len - (size_t)n);
    }
    return SYNC_OK;
}

static enum sync_err copy_out(struct object_store *objects, struct slice key, const char *path,
                              struct err_ctx *ec)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) return err_set(ec, SYNC_EIO, "%s: %s", path, strerror(errno));
    const struct object_sink sink = {.put = put_file, .arg = &fd};
    enum sync_err rc = object_get(objects, NULL, key, NULL, &sink, NULL, ec);
    if (rc == SYNC_OK && fsync(fd) != 0) rc = err_set(ec, SYNC_EIO, "%s", strerror(errno));
    if (close(fd) != 0 && rc == SYNC_OK) rc = err_set(ec, SYNC_EIO, "%s", strerror(errno));
    if (rc != SYNC_OK) {
        err_wrap(ec, "%s", path);
        (void)unlink(path); /* a part of it would look like all of it */
    }
    return rc;
}

enum sync_err object_file_write(struct work_store *from, struct slice database, const char *path,
                                struct err_ctx *ec)
{
    struct object_writer_config cfg = OBJECT_WRITER_CONFIG_DEFAULT;
    struct object_store *objects = NULL;
    struct snapshot_made made;
    struct snapshot_key key;
    struct view *v = NULL;
    char dir[PATH_MAX];
    int n = snprintf(dir, sizeof dir, "%s/objects", from->dir);
    if (n < 0 || (size_t)n >= sizeof dir) return err_set(ec, SYNC_EIO, "the path is too long");
    enum sync_err rc = object_dir_open(&(struct object_dir_config){.path = dir}, &objects, ec);
    if (rc == SYNC_OK) rc = view_open(work_shard(from, database), database, &v, ec);
    if (rc == SYNC_OK)
        rc = snapshot_write(objects, &cfg, v, snapshot_place_of(database), system_wall_ms(), NULL, &made, ec);
    if (rc == SYNC_OK) {
        snapshot_key_of(snapshot_place_of(database), &made.id, &key);
        rc = copy_out(objects, snapshot_key_slice(&key), path, ec);
    }
    view_close(v);
    object_store_close(objects);
    return rc;
}

/* ---- reading */

struct file_reading {
    struct import_target target;
    struct entry_batch batch;
    struct snapshot_head head;
    uint64_t facts;
};

static struct arena *room(void *arg)
{
    return &((struct file_reading *)arg)->batch.arena;
}

static enum sync_err on_head(void *arg, const struct snapshot_head *h, struct err_ctx *ec)
{
    struct file_reading *r = arg;
    r->head = *h;
    r->head.database = slice_of(NULL, 0); /* of a line that goes */
    return r->target.begin(r->target.arg, ec);
}

static enum sync_err flush(struct file_reading *r, struct err_ctx *ec)
{
    static const struct stamp none;
    enum sync_err rc = r->target.entries(r->target.arg, r->batch.entries, r->batch.count, &none, ec);
    entry_batch_clear(&r->batch);
    return rc;
}

static enum sync_err on_fact(void *arg, const struct moved_entry *e, struct err_ctx *ec)
{
    struct file_reading *r = arg;
    enum sync_err rc = entry_batch_add(&r->batch, e, ec);
    r->facts++;
    return rc == SYNC_OK && entry_batch_is_full(&r->batch) ? flush(r, ec) : rc;
}

static enum sync_err decode(struct snapshot_decoder *d, int fd, struct err_ctx *ec)
{
    enum { PIECE = 1 << 20 };
    char *piece = malloc(PIECE);
    enum sync_err rc = piece == NULL ? err_set(ec, SYNC_ENOMEM, "no memory to read a file") : SYNC_OK;
    while (rc == SYNC_OK) {
        ssize_t n = read(fd, piece, PIECE);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) rc = err_set(ec, SYNC_EIO, "%s", strerror(errno));
        if (n <= 0) break;
        rc = snapshot_decoder_put(d, slice_of(piece, (size_t)n), ec);
    }
    free(piece);
    return rc == SYNC_OK ? snapshot_decoder_end(d, ec) : rc;
}

static void undo(struct work_target *x)
{
    struct err_ctx ignored; /* what is left is not LIVE, and is removed by whoever looks for it next */
    bool gone = false;
    while (!gone && shard_remove_step(x->shard, x->database, REMOVE_KEYS_MAX, &gone, &ignored) == SYNC_OK)
        continue;
}

enum sync_err object_file_read(struct work_store *to, struct slice database, const char *path,
                               uint64_t *ret_facts, struct err_ctx *ec)
{
    struct work_target x = {.shard = work_shard(to, database), .database = database};
    struct file_reading r = {.target = work_target_of(&x)};
    const struct snapshot_handler h = {.arg = &r, .room = room, .head = on_head, .fact = on_fact};
    struct snapshot_decoder *d = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return err_set(ec, SYNC_EIO, "%s: %s", path, strerror(errno));
    enum sync_err rc = snapshot_decoder_new(&h, slice_of(NULL, 0), &d, ec);
    if (rc == SYNC_OK) rc = decode(d, fd, ec);
    if (rc == SYNC_OK) rc = flush(&r, ec);
    if (rc == SYNC_OK) {
        struct import_record record = {.last = r.head.stamp, .pruned = r.head.pruned};
        system_random(&record.server_site, sizeof record.server_site);
        rc = r.target.finish(r.target.arg, &record, ec);
    }
    if (rc != SYNC_OK && rc != SYNC_EBUSY) undo(&x);
    if (rc != SYNC_OK) err_wrap(ec, "%s", path);
    (void)close(fd);
    snapshot_decoder_free(d);
    entry_batch_deinit(&r.batch);
    if (rc == SYNC_OK) *ret_facts = r.facts;
    return rc;
}
