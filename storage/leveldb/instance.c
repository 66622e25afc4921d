#include "storage/leveldb/instance_internal.h"

#include "storage/leveldb/log_check.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Takes over and frees LevelDB's text, whose first word is all that LevelDB's C interface tells of the kind
 * of failure: damage stays until somebody repairs it, everything else may go by itself. */
enum sync_err instance_error(struct err_ctx *ec, const char *doing, char *text)
{
    bool damaged = slice_starts_with(slice_str(text), slice_str("Corruption:"));
    enum sync_err rc = err_set(ec, damaged ? SYNC_EFORMAT : SYNC_ESTORE, "%s: %s", doing, text);
    leveldb_free(text);
    return rc;
}

static enum sync_err open_db(struct instance *in, leveldb_t **ret, struct err_ctx *ec)
{
    char *text = NULL;
    uint64_t torn_bytes;
    enum sync_err checked = log_check(in->dir, &torn_bytes, ec);
    if (checked != SYNC_OK) return checked;
    atomic_fetch_add_explicit(&in->torn_bytes, torn_bytes, memory_order_relaxed);
    leveldb_t *db = leveldb_open(in->options, in->dir, &text);
    if (text != NULL) {
        enum sync_err rc = instance_error(ec, "open", text);
        err_wrap(ec, "%s", in->dir);
        return rc;
    }
    *ret = db;
    return SYNC_OK;
}

enum sync_err instance_open(const char *dir, const leveldb_options_t *options, bool sync,
                            struct instance **ret, struct err_ctx *ec)
{
    struct instance *in = calloc(1, sizeof *in);
    if (in == NULL) return err_set(ec, SYNC_ENOMEM, "open %s", dir);
    (void)pthread_mutex_init(&in->lock, NULL); /* glibc's never fails without attributes */
    in->options = options;
    in->read_options = leveldb_readoptions_create();
    leveldb_readoptions_set_verify_checksums(in->read_options, 1);
    in->write_options = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(in->write_options, sync);
    in->lazy_options = leveldb_writeoptions_create();
    in->sync_options = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(in->sync_options, 1);
    in->dir = strdup(dir);

    enum sync_err rc = SYNC_OK;
    if (in->dir == NULL) rc = err_set(ec, SYNC_ENOMEM, "open %s", dir);
    if (rc == SYNC_OK) rc = open_db(in, &in->db, ec);
    if (rc != SYNC_OK) {
        instance_close(in);
        return rc;
    }
    *ret = in;
    return SYNC_OK;
}

void instance_close(struct instance *in)
{
    if (in == NULL) return;
    assert(in->readers == NULL);
    if (in->db != NULL) leveldb_close(in->db);
    leveldb_readoptions_destroy(in->read_options);
    leveldb_writeoptions_destroy(in->write_options);
    leveldb_writeoptions_destroy(in->lazy_options);
    leveldb_writeoptions_destroy(in->sync_options);
    (void)pthread_mutex_destroy(&in->lock);
    free(in->dir);
    free(in);
}

/* A log of full length becomes a table when it is opened. */
enum { PROBE_WRITE_BYTES = 4096, PROBE_ROOM_BYTES = 8 << 20 };

static int try_write(const char *path)
{
    static const char zeros[PROBE_WRITE_BYTES];
    int failed = 0, fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return errno;
    /* Not every file system can reserve room. */
    if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, PROBE_ROOM_BYTES) != 0 && errno != EOPNOTSUPP &&
        errno != ENOSYS)
        failed = errno;
    ssize_t n = failed != 0 ? 0 : write(fd, zeros, sizeof zeros);
    if (failed == 0 && n != sizeof zeros) failed = n < 0 ? errno : ENOSPC;
    if (failed == 0 && fsync(fd) != 0) failed = errno;
    if (close(fd) != 0 && failed == 0) failed = errno;
    return failed;
}

enum sync_err instance_probe(struct instance *in, struct err_ctx *ec)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/PROBE", in->dir);
    if (n < 0 || (size_t)n >= sizeof path) return err_set(ec, SYNC_ESTORE, "the path is too long");
    int failed = try_write(path);
    (void)unlink(path); /* the next one writes over it */
    if (failed == 0) return SYNC_OK;
    return err_set(ec, SYNC_ESTORE, "%s cannot be written to: %s", in->dir, strerror(failed));
}

enum sync_err instance_reopen(struct instance *in, struct err_ctx *ec)
{
    /* Readers that open while there is no LevelDB are told so. No lock is held while files are opened. */
    (void)pthread_mutex_lock(&in->lock);
    leveldb_t *old = in->db;
    in->db = NULL;
    for (struct reader *r = in->readers; r != NULL; r = r->next) reader_cut_off(r);
    (void)pthread_mutex_unlock(&in->lock);

    if (old != NULL) leveldb_close(old);
    leveldb_t *db = NULL;
    enum sync_err rc = open_db(in, &db, ec);
    if (rc != SYNC_OK) return rc;

    (void)pthread_mutex_lock(&in->lock);
    in->db = db;
    (void)pthread_mutex_unlock(&in->lock);
    return SYNC_OK;
}

uint64_t instance_torn_bytes(const struct instance *in)
{
    return atomic_load_explicit(&in->torn_bytes, memory_order_relaxed);
}

void instance_value_deinit(struct instance_value *v)
{
    leveldb_free(v->bytes);
    *v = (struct instance_value){0};
}

enum sync_err instance_get(struct instance *in, struct slice key, struct instance_value *ret,
                           struct err_ctx *ec)
{
    char *text = NULL;
    size_t len = 0;
    assert(in->db != NULL);
    char *bytes = leveldb_get(in->db, in->read_options, key.bytes, key.len, &len, &text);
    if (text != NULL) return instance_error(ec, "get", text);
    *ret = (struct instance_value){.bytes = bytes, .len = len};
    return SYNC_OK;
}

static enum sync_err write_batch(struct instance *in, leveldb_writebatch_t *batch,
                                 const leveldb_writeoptions_t *options, struct err_ctx *ec)
{
    char *text = NULL;
    assert(in->db != NULL);
    leveldb_write(in->db, options, batch, &text);
    if (text != NULL) return instance_error(ec, "write", text);
    return SYNC_OK;
}

enum sync_err instance_write(struct instance *in, leveldb_writebatch_t *batch, bool lazy, struct err_ctx *ec)
{
    return write_batch(in, batch, lazy ? in->lazy_options : in->write_options, ec);
}

void instance_flush(struct instance *in)
{
    /* A range that holds no key: of a compaction only its beginning is left, which writes out the
     * memtable. */
    static const char beyond[] = "\xff\xff\xff\xff\xff\xff";
    if (in->db != NULL) leveldb_compact_range(in->db, beyond, sizeof beyond - 1, beyond, sizeof beyond - 1);
}

enum sync_err instance_sync(struct instance *in, struct err_ctx *ec)
{
    /* An empty batch is written to LevelDB's log as any other, and a sync takes what is before it along. */
    leveldb_writebatch_t *nothing = leveldb_writebatch_create();
    enum sync_err rc = write_batch(in, nothing, in->sync_options, ec);
    leveldb_writebatch_destroy(nothing);
    return rc;
}
