#include "storage/objects/object_writer.h"

#include "storage/objects/object_impl.h"
#include "storage/objects/object_wait.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

/* One buffer on its way round: free -> filling -> full -> (sent) free. */
enum part_state { PART_FREE, PART_FILLING, PART_FULL, PART_SENDING };

struct part {
    char *bytes;
    size_t len;
    uint32_t number; /* from 1 */
    enum part_state state;
};

struct object_writer {
    struct object_store *store;
    struct object_writer_config cfg;
    size_t key_len;
    char key[OBJECT_KEY_MAX];
    struct object_upload *upload; /* NULL until a second part begins */
    struct part *filling;         /* the owner's; NULL between a full part and the next */
    uint32_t parts_count;         /* numbers given */
    bool finished;

    pthread_mutex_t lock; /* guards what is below, and the parts' states */
    pthread_cond_t moved; /* a part changed its state, or the writer failed or stops */
    struct part *parts;
    uint32_t parts_room;
    enum sync_err failed;
    struct err_ctx failed_ec;
    bool stopping;
    atomic_bool abandon; /* cancels the threads' calls */
    pthread_t threads[OBJECT_WRITER_THREADS_MAX];
    uint32_t threads_count;
};

static struct slice key_of(const struct object_writer *w)
{
    return slice_of(w->key, w->key_len);
}

static void fail(struct object_writer *w, enum sync_err rc, const struct err_ctx *ec)
{
    if (w->failed != SYNC_OK) return; /* the first reason is the one to tell */
    w->failed = rc;
    w->failed_ec = *ec;
}

/* ---- the threads */

static struct part *find(struct object_writer *w, enum part_state state)
{
    for (uint32_t i = 0; i < w->parts_room; i++)
        if (w->parts[i].state == state) return &w->parts[i];
    return NULL;
}

/* Sends one part. Called with the lock held, which is let go meanwhile. */
static void send_part(struct object_writer *w, struct part *p, const struct object_call *call)
{
    struct err_ctx ec;
    p->state = PART_SENDING;
    pthread_mutex_unlock(&w->lock);
    enum sync_err rc = object_upload_part(w->upload, call, p->number, slice_of(p->bytes, p->len), &ec);
    pthread_mutex_lock(&w->lock);
    if (rc != SYNC_OK) fail(w, rc, &ec);
    p->state = PART_FREE;
    (void)pthread_cond_broadcast(&w->moved);
}

static void *run(void *arg)
{
    struct object_writer *w = arg;
    struct object_call call = {.timeout_ms = w->cfg.call.timeout_ms, .cancel = &w->abandon};
    pthread_mutex_lock(&w->lock);
    while (!w->stopping) {
        struct part *p = w->failed == SYNC_OK ? find(w, PART_FULL) : NULL;
        if (p != NULL)
            send_part(w, p, &call);
        else
            (void)pthread_cond_wait(&w->moved, &w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* ---- the owner */

enum sync_err object_writer_open(struct object_store *s, struct slice key,
                                 const struct object_writer_config *cfg, struct object_writer **ret,
                                 struct err_ctx *ec)
{
    assert(cfg->threads <= OBJECT_WRITER_THREADS_MAX);
    if (cfg->part_bytes < OBJECT_PART_BYTES_MIN || cfg->part_bytes > OBJECT_PART_BYTES_MAX)
        return err_set(ec, SYNC_ELIMIT, "parts of %zu bytes, allowed are %zu to %zu", cfg->part_bytes,
                       OBJECT_PART_BYTES_MIN, OBJECT_PART_BYTES_MAX);
    if (key.len > OBJECT_KEY_MAX)
        return err_set(ec, SYNC_ELIMIT, "object key of %zu bytes, limit %d", key.len, OBJECT_KEY_MAX);
    struct object_writer *w = calloc(1, sizeof *w);
    if (w == NULL) return err_set(ec, SYNC_ENOMEM, "object writer");
    object_wait_init(&w->lock, &w->moved);
    w->store = s;
    w->cfg = *cfg;
    memcpy(w->key, key.bytes, key.len);
    w->key_len = key.len;
    w->parts_room = cfg->threads + 1;
    w->parts = calloc(w->parts_room, sizeof *w->parts);
    if (w->parts == NULL) {
        object_writer_close(w);
        return err_set(ec, SYNC_ENOMEM, "object writer");
    }
    *ret = w;
    return SYNC_OK;
}

/* Waits for a moment, or until something moved. With the lock held. */
static enum sync_err wait_moved(struct object_writer *w, struct err_ctx *ec)
{
    const atomic_bool *cancel = w->cfg.call.cancel;
    object_wait(&w->lock, &w->moved);
    if (cancel != NULL && atomic_load(cancel)) {
        fail(w, err_set(ec, SYNC_ECANCELED, "canceled"), ec);
        return SYNC_ECANCELED;
    }
    return SYNC_OK;
}

static enum sync_err failure(struct object_writer *w, struct err_ctx *ec)
{
    if (w->failed != SYNC_OK) *ec = w->failed_ec;
    return w->failed;
}

/* Has a part to fill in w->filling. */
static enum sync_err take_part(struct object_writer *w, struct err_ctx *ec)
{
    struct part *p = NULL;
    pthread_mutex_lock(&w->lock);
    enum sync_err rc = failure(w, ec);
    while (rc == SYNC_OK && (p = find(w, PART_FREE)) == NULL) {
        rc = wait_moved(w, ec);
        if (rc == SYNC_OK) rc = failure(w, ec);
    }
    if (rc == SYNC_OK && p->bytes == NULL) {
        p->bytes = malloc(w->cfg.part_bytes);
        if (p->bytes == NULL) rc = err_set(ec, SYNC_ENOMEM, "part of %zu bytes", w->cfg.part_bytes);
    }
    if (rc == SYNC_OK) {
        p->state = PART_FILLING;
        p->len = 0;
        p->number = ++w->parts_count;
        w->filling = p;
    } else {
        fail(w, rc, ec);
    }
    pthread_mutex_unlock(&w->lock);
    return rc;
}

static enum sync_err begin_upload(struct object_writer *w, struct err_ctx *ec)
{
    enum sync_err rc =
        object_upload_begin(w->store, &w->cfg.call, key_of(w), w->cfg.part_bytes, &w->upload, ec);
    while (rc == SYNC_OK && w->threads_count < w->cfg.threads) {
        if (pthread_create(&w->threads[w->threads_count], NULL, run, w) != 0)
            rc = err_set(ec, SYNC_ENOMEM, "thread of an object writer");
        else
            w->threads_count++;
    }
    return rc;
}

/* Lets the part that was filling go. */
static enum sync_err hand_over(struct object_writer *w, struct err_ctx *ec)
{
    struct part *p = w->filling;
    enum sync_err rc = w->upload == NULL ? begin_upload(w, ec) : SYNC_OK;
    pthread_mutex_lock(&w->lock);
    if (rc != SYNC_OK) fail(w, rc, ec);
    w->filling = NULL;
    p->state = PART_FULL;
    if (w->failed == SYNC_OK && w->cfg.threads == 0) send_part(w, p, &w->cfg.call);
    (void)pthread_cond_broadcast(&w->moved);
    rc = failure(w, ec);
    pthread_mutex_unlock(&w->lock);
    return rc;
}

enum sync_err object_writer_put(struct object_writer *w, struct slice bytes, struct err_ctx *ec)
{
    enum sync_err rc = SYNC_OK;
    assert(!w->finished);
    while (bytes.len > 0 && rc == SYNC_OK) {
        struct part *p = w->filling;
        if (p != NULL && p->len == w->cfg.part_bytes) {
            rc = hand_over(w, ec);
        } else if (p == NULL) {
            rc = take_part(w, ec);
        } else {
            size_t room = w->cfg.part_bytes - p->len, n = bytes.len < room ? bytes.len : room;
            memcpy(p->bytes + p->len, bytes.bytes, n);
            p->len += n;
            bytes = slice_of(bytes.bytes + n, bytes.len - n);
        }
    }
    return rc;
}

static bool is_on_the_way(struct object_writer *w)
{
    return find(w, PART_FULL) != NULL || find(w, PART_SENDING) != NULL;
}

enum sync_err object_writer_finish(struct object_writer *w, struct object_version *ret_version,
                                   struct err_ctx *ec)
{
    pthread_mutex_lock(&w->lock);
    enum sync_err rc = failure(w, ec);
    pthread_mutex_unlock(&w->lock);
    if (rc == SYNC_OK && w->upload == NULL) {
        struct slice all =
            w->filling == NULL ? slice_of("", 0) : slice_of(w->filling->bytes, w->filling->len);
        rc = object_put(w->store, &w->cfg.call, key_of(w), all, ret_version, ec);
        w->finished = rc == SYNC_OK;
        return rc;
    }
    if (rc == SYNC_OK && w->filling != NULL) rc = hand_over(w, ec);
    pthread_mutex_lock(&w->lock);
    while (rc == SYNC_OK && is_on_the_way(w)) {
        rc = wait_moved(w, ec);
        if (rc == SYNC_OK) rc = failure(w, ec);
    }
    if (rc == SYNC_OK) rc = failure(w, ec);
    pthread_mutex_unlock(&w->lock);
    if (rc == SYNC_OK) rc = object_upload_complete(w->upload, &w->cfg.call, w->parts_count, ret_version, ec);
    w->finished = rc == SYNC_OK;
    return rc;
}

void object_writer_close(struct object_writer *w)
{
    if (w == NULL) return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    (void)pthread_cond_broadcast(&w->moved);
    pthread_mutex_unlock(&w->lock);
    atomic_store(&w->abandon, true);
    for (uint32_t i = 0; i < w->threads_count; i++) (void)pthread_join(w->threads[i], NULL);
    if (w->upload != NULL && !w->finished) {
        struct err_ctx ignored; /* the sweep takes what stays */
        struct object_call call = {.timeout_ms = w->cfg.call.timeout_ms};
        (void)object_upload_abort(w->upload, &call, &ignored);
    }
    object_upload_free(w->upload);
    for (uint32_t i = 0; i < w->parts_room && w->parts != NULL; i++) free(w->parts[i].bytes);
    free(w->parts);
    (void)pthread_cond_destroy(&w->moved);
    (void)pthread_mutex_destroy(&w->lock);
    free(w);
}
