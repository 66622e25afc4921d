#include "storage/snapshots/packer.h"

#include <assert.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of libdeflate's levels for JSON the fastest: 1 and 2 gain no time, and 4 costs a fifth more. */
enum { LEVEL = 3 };

/* A thread and what it packs with. */
struct hand {
    struct packer *packer;
    struct libdeflate_compressor *compressor;
    pthread_t thread;
    bool started;
    uint8_t member[MEMBER_BYTES_MAX];
};

struct packer {
    struct object_writer *writer;
    struct hand *hands;

    /* Text n is in place n % PACKER_TEXTS. The owner fills number `filled`; the threads take those from
     * `taken` on, and send them one after the other: number `sent` is next. */
    struct buf texts[PACKER_TEXTS];
    pthread_mutex_t lock; /* guards what is below */
    pthread_cond_t moved;
    uint64_t filled, taken, sent;
    enum sync_err failed;
    struct err_ctx failed_ec;
    bool stopping;

    /* Of whoever sends; the owner's while nothing is on its way. */
    EVP_MD_CTX *hash;
    bool hashed; /* the digest is made: what comes now is not in it */
    struct packed packed;
};

/* ---- the threads */

static enum sync_err send_member(struct packer *p, const uint8_t *member, size_t bytes, struct err_ctx *ec)
{
    p->packed.bytes += bytes;
    memcpy(p->packed.tail, member + bytes - MEMBER_TAIL_BYTES, MEMBER_TAIL_BYTES);
    return object_writer_put(p->writer, slice_of((const char *)member, bytes), ec);
}

/* A long text goes in members of about the same length. Those are made while it is its turn: no thread needs
 * room for more than one. */
static enum sync_err send_long(struct hand *h, struct slice text, struct err_ctx *ec)
{
    size_t count = (text.len + MEMBER_TEXT_MAX - 1) / MEMBER_TEXT_MAX;
    enum sync_err rc = SYNC_OK;
    for (; count > 0 && rc == SYNC_OK; count--) {
        size_t len = (text.len + count - 1) / count;
        size_t bytes = gzip_member_put(h->compressor, slice_of(text.bytes, len), h->member);
        rc = send_member(h->packer, h->member, bytes, ec);
        text = slice_of(text.bytes + len, text.len - len);
    }
    return rc;
}

/* It is this text's turn. `bytes`: of the member that it was made into; 0: it is a long one. */
static enum sync_err send_text(struct hand *h, struct slice text, size_t bytes, struct err_ctx *ec)
{
    struct packer *p = h->packer;
    if (!p->hashed && EVP_DigestUpdate(p->hash, text.bytes, text.len) != 1)
        return err_set(ec, SYNC_ENOMEM, "no SHA-256 of a snapshot");
    p->packed.raw_bytes += text.len;
    return bytes > 0 ? send_member(p, h->member, bytes, ec) : send_long(h, text, ec);
}

/* Called with the lock held, which is let go meanwhile. After a failure texts are only thrown away. */
static void pack(struct hand *h, uint64_t number)
{
    struct packer *p = h->packer;
    struct buf *text = &p->texts[number % PACKER_TEXTS];
    struct err_ctx ec;
    size_t bytes = 0;
    enum sync_err rc = p->failed;
    pthread_mutex_unlock(&p->lock);
    if (rc == SYNC_OK && text->len <= MEMBER_TEXT_MAX && text->len > 0)
        bytes = gzip_member_put(h->compressor, buf_slice(text), h->member);
    pthread_mutex_lock(&p->lock);
    while (p->sent != number) (void)pthread_cond_wait(&p->moved, &p->lock);
    rc = p->failed;
    pthread_mutex_unlock(&p->lock);
    if (rc == SYNC_OK) rc = send_text(h, buf_slice(text), bytes, &ec);
    if (text->capacity > 4 * (size_t)PACKER_TEXT_BYTES) buf_deinit(text); /* a long line must not stay */
    buf_clear(text);
    pthread_mutex_lock(&p->lock);
    if (rc != SYNC_OK && p->failed == SYNC_OK) {
        p->failed = rc;
        p->failed_ec = ec;
    }
    p->sent++;
    (void)pthread_cond_broadcast(&p->moved);
}

static void *run(void *arg)
{
    struct hand *h = arg;
    struct packer *p = h->packer;
    pthread_mutex_lock(&p->lock);
    while (!p->stopping) {
        if (p->taken < p->filled)
            pack(h, p->taken++);
        else
            (void)pthread_cond_wait(&p->moved, &p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* ---- the owner */

static bool start(struct hand *h, struct packer *p)
{
    h->packer = p;
    h->compressor = libdeflate_alloc_compressor(LEVEL);
    h->started = h->compressor != NULL && pthread_create(&h->thread, NULL, run, h) == 0;
    return h->started;
}

enum sync_err packer_open(struct object_writer *w, struct packer **ret, struct err_ctx *ec)
{
    struct packer *p = calloc(1, sizeof *p);
    if (p == NULL) return err_set(ec, SYNC_ENOMEM, "no memory to pack a snapshot");
    p->writer = w;
    (void)pthread_mutex_init(&p->lock, NULL);
    (void)pthread_cond_init(&p->moved, NULL);
    for (size_t i = 0; i < PACKER_TEXTS; i++)
        p->texts[i] = buf_make(SIZE_MAX / 4); /* one fact may be long: what a client once sent */
    p->hash = EVP_MD_CTX_new();
    p->hands = calloc(PACKER_THREADS, sizeof *p->hands);
    bool good = p->hands != NULL && p->hash != NULL && EVP_DigestInit_ex(p->hash, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; i < PACKER_THREADS && good; i++) good = start(&p->hands[i], p);
    if (!good) {
        packer_close(p);
        return err_set(ec, SYNC_ENOMEM, "no memory to pack a snapshot");
    }
    *ret = p;
    return SYNC_OK;
}

/* The owner's alone writes `filled`. */
struct buf *packer_text(struct packer *p)
{
    return &p->texts[p->filled % PACKER_TEXTS];
}

/* Waits until at most so many texts are with the threads. */
static enum sync_err wait_for(struct packer *p, uint64_t most, struct err_ctx *ec)
{
    pthread_mutex_lock(&p->lock);
    while (p->filled - p->sent > most) (void)pthread_cond_wait(&p->moved, &p->lock);
    enum sync_err rc = p->failed;
    if (rc != SYNC_OK) *ec = p->failed_ec;
    pthread_mutex_unlock(&p->lock);
    return rc;
}

static enum sync_err hand_over(struct packer *p, struct err_ctx *ec)
{
    enum sync_err rc = buf_check(packer_text(p), ec);
    if (rc != SYNC_OK) return rc;
    pthread_mutex_lock(&p->lock);
    p->filled++;
    (void)pthread_cond_broadcast(&p->moved);
    pthread_mutex_unlock(&p->lock);
    return wait_for(p, PACKER_TEXTS - 1, ec);
}

enum sync_err packer_step(struct packer *p, struct err_ctx *ec)
{
    return packer_text(p)->len < PACKER_TEXT_BYTES ? buf_check(packer_text(p), ec) : hand_over(p, ec);
}

static enum sync_err drain(struct packer *p, struct err_ctx *ec)
{
    enum sync_err rc = hand_over(p, ec);
    return rc == SYNC_OK ? wait_for(p, 0, ec) : rc;
}

enum sync_err packer_hash(struct packer *p, char ret[PACKER_SHA256_TEXT + 1], struct err_ctx *ec)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    assert(!p->hashed);
    enum sync_err rc = drain(p, ec);
    if (rc != SYNC_OK) return rc;
    if (EVP_DigestFinal_ex(p->hash, hash, NULL) != 1)
        return err_set(ec, SYNC_ENOMEM, "no SHA-256 of a snapshot");
    p->hashed = true;
    for (size_t i = 0; i < PACKER_SHA256_TEXT / 2; i++) (void)snprintf(ret + 2 * i, 3, "%02x", hash[i]);
    return SYNC_OK;
}

enum sync_err packer_finish(struct packer *p, struct packed *ret, struct err_ctx *ec)
{
    enum sync_err rc = drain(p, ec);
    if (rc == SYNC_OK) *ret = p->packed;
    return rc;
}

void packer_close(struct packer *p)
{
    if (p == NULL) return;
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    (void)pthread_cond_broadcast(&p->moved);
    pthread_mutex_unlock(&p->lock);
    for (size_t i = 0; i < PACKER_THREADS && p->hands != NULL; i++) {
        if (p->hands[i].started) (void)pthread_join(p->hands[i].thread, NULL);
        libdeflate_free_compressor(p->hands[i].compressor);
    }
    free(p->hands);
    EVP_MD_CTX_free(p->hash);
    for (size_t i = 0; i < PACKER_TEXTS; i++) buf_deinit(&p->texts[i]);
    (void)pthread_cond_destroy(&p->moved);
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
}
