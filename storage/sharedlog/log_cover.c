#include "storage/sharedlog/log_cover.h"

#include "core/base/arena.h"
#include "core/base/hash.h"

#include <stdlib.h>

enum { BUCKETS = 4096 };

struct proof {
    struct proof *chain;
    struct slice database;
    struct stamp stamp;
};

struct log_cover {
    struct log_cover_source source;
    struct arena arena; /* of the proofs */
    size_t count;
    struct proof *buckets[BUCKETS];
};

enum sync_err log_cover_new(const struct log_cover_source *source, struct log_cover **ret, struct err_ctx *ec)
{
    struct log_cover *c = calloc(1, sizeof *c);
    if (c == NULL) return err_set(ec, SYNC_ENOMEM, "no memory to tidy the shared log");
    c->source = *source;
    *ret = c;
    return SYNC_OK;
}

void log_cover_forget(struct log_cover *c)
{
    if (c->count == 0) return;
    arena_deinit(&c->arena);
    *c = (struct log_cover){.source = c->source};
}

void log_cover_free(struct log_cover *c)
{
    if (c == NULL) return;
    arena_deinit(&c->arena);
    free(c);
}

enum sync_err log_cover_noted(struct log_cover *c, struct slice database, struct stamp *ret,
                              struct err_ctx *ec)
{
    *ret = (struct stamp){0};
    if (c == NULL || c->source.noted == NULL) return SYNC_OK;
    return c->source.noted(c->source.arg, database, ret, ec);
}

/* Room for an answer is there before it is asked for: no request is made in vain. */
static struct proof *add(struct log_cover *c, struct proof **at, struct slice database)
{
    struct proof *p = arena_get(&c->arena, sizeof *p);
    struct slice name = arena_copy(&c->arena, database);
    if (p == NULL || name.bytes == NULL) return NULL;
    *p = (struct proof){.chain = *at, .database = name};
    *at = p;
    c->count++;
    return p;
}

enum sync_err log_cover_proved(struct log_cover *c, struct slice database, struct stamp *ret,
                               struct err_ctx *ec)
{
    *ret = (struct stamp){0};
    if (c == NULL || c->source.prove == NULL) return SYNC_OK;
    /* The address is as good as random: nobody outside can choose names that fall together. */
    struct proof **at = &c->buckets[hash_bytes((uint64_t)(uintptr_t)c, database) % BUCKETS], *p = *at;
    while (p != NULL && !slice_eq(p->database, database)) p = p->chain;
    if (p == NULL) {
        if (c->count == LOG_PROOFS_MAX) return SYNC_OK;
        p = add(c, at, database);
        if (p == NULL) return err_set(ec, SYNC_ENOMEM, "no memory to tidy the shared log");
        /* After an error it stays unproved; the round ends. */
        enum sync_err rc = c->source.prove(c->source.arg, database, &p->stamp, ec);
        if (rc != SYNC_OK) return rc;
    }
    *ret = p->stamp;
    return SYNC_OK;
}
