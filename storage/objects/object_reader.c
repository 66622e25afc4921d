#include "storage/objects/object_reader.h"

#include "storage/objects/object_wait.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

enum piece_state { PIECE_FREE, PIECE_FETCHING, PIECE_FULL };

struct piece {
    struct buf bytes;
    uint64_t number; /* from 0 */
    enum piece_state state;
};

struct object_reader {
    struct object_store *store;
    struct object_reader_config cfg;
    size_t key_len;
    char key[OBJECT_KEY_MAX];
    struct object_info info;
    uint64_t pieces_count; /* that the object has */
    uint64_t at;           /* the owner's piece */
    bool begun;            /* the owner was given it */

    pthread_mutex_t lock; /* guards what is below, and the pieces' states */
    pthread_cond_t moved;
    struct piece *pieces; /* piece n is in place n % room */
    uint32_t pieces_room;
    uint64_t next; /* to be fetched */
    enum sync_err failed;
    struct err_ctx failed_ec;
    bool stopping;
    atomic_bool abandon; /* cancels the threads' calls */
    pthread_t threads[OBJECT_READER_THREADS_MAX];
    uint32_t threads_count;
};

static struct piece *place_of(struct object_reader *r, uint64_t number)
{
    return &r->pieces[number % r->pieces_room];
}

static enum sync_err fetch(struct object_reader *r, struct piece *p, uint64_t number,
                           const struct object_call *call, struct object_info *ret, struct err_ctx *ec)
{
    const struct object_range range = {.offset = number * r->cfg.piece_bytes, .bytes = r->cfg.piece_bytes};
    buf_clear(&p->bytes);
    return object_get_buf(r->store, call, slice_of(r->key, r->key_len), &range, &p->bytes, ret, ec);
}

static void fail(struct object_reader *r, enum sync_err rc, const struct err_ctx *ec)
{
    if (r->failed != SYNC_OK) return;
    r->failed = rc;
    r->failed_ec = *ec;
}

/* Fetches the piece `next`, whose place is free. Called with the lock held, which is let go meanwhile. */
static void fetch_next(struct object_reader *r, const struct object_call *call)
{
    struct object_info info;
    struct err_ctx ec;
    uint64_t number = r->next++;
    struct piece *p = place_of(r, number);
    p->number = number;
    p->state = PIECE_FETCHING;
    pthread_mutex_unlock(&r->lock);
    enum sync_err rc = fetch(r, p, number, call, &info, &ec);
    if (rc == SYNC_OK && strcmp(info.version.text, r->info.version.text) != 0)
        rc = err_set(&ec, SYNC_EIO, "the object was replaced while it was read");
    pthread_mutex_lock(&r->lock);
    if (rc != SYNC_OK) fail(r, rc, &ec);
    p->state = PIECE_FULL;
    (void)pthread_cond_broadcast(&r->moved);
}

static void *run(void *arg)
{
    struct object_reader *r = arg;
    const struct object_call call = {.timeout_ms = r->cfg.call.timeout_ms, .cancel = &r->abandon};
    pthread_mutex_lock(&r->lock);
    while (!r->stopping && r->failed == SYNC_OK && r->next < r->pieces_count) {
        if (place_of(r, r->next)->state == PIECE_FREE)
            fetch_next(r, &call);
        else
            (void)pthread_cond_wait(&r->moved, &r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

static enum sync_err start_threads(struct object_reader *r, struct err_ctx *ec)
{
    uint64_t more = r->pieces_count - r->next;
    uint32_t wanted = more < r->cfg.threads ? (uint32_t)more : r->cfg.threads;
    while (r->threads_count < wanted) {
        if (pthread_create(&r->threads[r->threads_count], NULL, run, r) != 0)
            return err_set(ec, SYNC_ENOMEM, "thread of an object reader");
        r->threads_count++;
    }
    return SYNC_OK;
}

enum sync_err object_reader_open(struct object_store *s, struct slice key,
                                 const struct object_reader_config *cfg, struct object_reader **ret,
                                 struct err_ctx *ec)
{
    assert(cfg->threads <= OBJECT_READER_THREADS_MAX && cfg->piece_bytes > 0);
    if (key.len > OBJECT_KEY_MAX)
        return err_set(ec, SYNC_ELIMIT, "object key of %zu bytes, limit %d", key.len, OBJECT_KEY_MAX);
    struct object_reader *r = calloc(1, sizeof *r);
    if (r == NULL) return err_set(ec, SYNC_ENOMEM, "object reader");
    object_wait_init(&r->lock, &r->moved);
    r->store = s;
    r->cfg = *cfg;
    memcpy(r->key, key.bytes, key.len);
    r->key_len = key.len;
    r->pieces_room = cfg->threads + 1;
    r->pieces = calloc(r->pieces_room, sizeof *r->pieces);
    enum sync_err rc = r->pieces == NULL ? err_set(ec, SYNC_ENOMEM, "object reader") : SYNC_OK;
    for (uint32_t i = 0; i < r->pieces_room && rc == SYNC_OK; i++)
        r->pieces[i].bytes = buf_make(cfg->piece_bytes);
    if (rc == SYNC_OK) rc = fetch(r, &r->pieces[0], 0, &cfg->call, &r->info, ec);
    if (rc == SYNC_OK) {
        r->pieces[0].state = PIECE_FULL;
        r->next = 1;
        r->pieces_count = (r->info.bytes + cfg->piece_bytes - 1) / cfg->piece_bytes;
        if (r->pieces_count == 0) r->pieces_count = 1;
        rc = start_threads(r, ec);
    }
    if (rc != SYNC_OK) {
        object_reader_close(r);
        return rc;
    }
    *ret = r;
    return SYNC_OK;
}

/* Waits for a moment, or until something moved. With the lock held. */
static void wait_moved(struct object_reader *r)
{
    const atomic_bool *cancel = r->cfg.call.cancel;
    struct err_ctx ec;
    object_wait(&r->lock, &r->moved);
    if (cancel != NULL && atomic_load(cancel)) fail(r, err_set(&ec, SYNC_ECANCELED, "canceled"), &ec);
}

enum sync_err object_reader_next(struct object_reader *r, struct slice *ret, struct err_ctx *ec)
{
    pthread_mutex_lock(&r->lock);
    if (r->begun && r->at < r->pieces_count) {
        place_of(r, r->at)->state = PIECE_FREE;
        r->at++;
        (void)pthread_cond_broadcast(&r->moved);
    }
    r->begun = true;
    struct piece *p = place_of(r, r->at);
    bool ended = r->at == r->pieces_count;
    while (!ended && r->failed == SYNC_OK && !(p->state == PIECE_FULL && p->number == r->at)) {
        if (r->cfg.threads == 0)
            fetch_next(r, &r->cfg.call);
        else
            wait_moved(r);
    }
    enum sync_err rc = r->failed;
    if (rc != SYNC_OK) *ec = r->failed_ec;
    pthread_mutex_unlock(&r->lock);
    if (rc == SYNC_OK) *ret = ended ? slice_of(NULL, 0) : buf_slice(&p->bytes);
    return rc;
}

const struct object_info *object_reader_info(const struct object_reader *r)
{
    return &r->info;
}

void object_reader_close(struct object_reader *r)
{
    if (r == NULL) return;
    pthread_mutex_lock(&r->lock);
    r->stopping = true;
    (void)pthread_cond_broadcast(&r->moved);
    pthread_mutex_unlock(&r->lock);
    atomic_store(&r->abandon, true);
    for (uint32_t i = 0; i < r->threads_count; i++) (void)pthread_join(r->threads[i], NULL);
    for (uint32_t i = 0; i < r->pieces_room && r->pieces != NULL; i++) buf_deinit(&r->pieces[i].bytes);
    free(r->pieces);
    (void)pthread_cond_destroy(&r->moved);
    (void)pthread_mutex_destroy(&r->lock);
    free(r);
}
