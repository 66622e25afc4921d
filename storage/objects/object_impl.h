/* object_impl.h -- what an implementation of the object store fills in; not for users of one.
 *
 * object_store.c checks every argument against the rules of object_store.h, starts the clock, calls the
 * table below and reports to the observer. So an implementation sees only valid keys and sizes, and need not
 * measure. It counts requests, retries and bytes in the ctx it gets. */
#ifndef STORAGE_OBJECTS_OBJECT_IMPL_H
#define STORAGE_OBJECTS_OBJECT_IMPL_H

#include "storage/objects/object_store.h"

/* One running call. */
struct object_ctx {
    uint64_t deadline_ms; /* monotonic */
    const atomic_bool *cancel;
    uint32_t requests;
    uint32_t retries;
    uint64_t sent_bytes;
    uint64_t received_bytes;
    uint64_t cost_nano_usd;
};

enum object_condition { OBJECT_ALWAYS, OBJECT_IF_ABSENT, OBJECT_IF_MATCH };

struct object_put {
    struct slice key;
    struct slice bytes;
    enum object_condition condition;
    const struct object_version *match; /* OBJECT_IF_MATCH */
};

/* Errors, outcomes and ownership as in object_store.h; ret pointers are never NULL here, and what they point
 * to is zeroed. */
struct object_store_ops {
    enum sync_err (*get)(struct object_store *s, struct object_ctx *ctx, struct slice key,
                         const struct object_range *range, const struct object_sink *sink,
                         struct object_info *ret, struct err_ctx *ec);
    enum sync_err (*head)(struct object_store *s, struct object_ctx *ctx, struct slice key,
                          struct object_info *ret, struct err_ctx *ec);
    enum sync_err (*put)(struct object_store *s, struct object_ctx *ctx, const struct object_put *put,
                         enum object_outcome *ret_outcome, struct object_version *ret_version,
                         struct err_ctx *ec);
    enum sync_err (*remove)(struct object_store *s, struct object_ctx *ctx, struct slice key,
                            struct err_ctx *ec);
    enum sync_err (*list)(struct object_store *s, struct object_ctx *ctx, const struct object_query *query,
                          struct object_page *ret, struct err_ctx *ec);
    enum sync_err (*upload_begin)(struct object_store *s, struct object_ctx *ctx, struct slice key,
                                  size_t part_bytes, struct object_upload **ret, struct err_ctx *ec);
    enum sync_err (*upload_part)(struct object_upload *u, struct object_ctx *ctx, uint32_t number,
                                 struct slice bytes, struct err_ctx *ec);
    enum sync_err (*upload_complete)(struct object_upload *u, struct object_ctx *ctx, uint32_t count,
                                     struct object_version *ret_version, struct err_ctx *ec);
    enum sync_err (*upload_abort)(struct object_upload *u, struct object_ctx *ctx, struct err_ctx *ec);
    void (*upload_free)(struct object_upload *u);
    enum sync_err (*upload_sweep)(struct object_store *s, struct object_ctx *ctx, struct slice prefix,
                                  uint64_t age_ms, uint32_t *ret_count, struct err_ctx *ec);
    void (*close)(struct object_store *s);
};

/* First member of an implementation's own struct. */
struct object_store {
    const struct object_store_ops *ops;
    struct object_observer observer;
    char name[256];
};

/* The same for an upload. object_store.c keeps book in it, so that a hole in an object is caught. */
struct object_upload {
    struct object_store *store;
    size_t part_bytes;
    atomic_uint_least32_t sent[OBJECT_PARTS_MAX / 32 + 1]; /* bit number - 1 */
    atomic_uint_least32_t short_part; /* the number of the one under part_bytes; 0: none yet */
};

/* SYNC_OK while the call may go on; SYNC_ECANCELED, or SYNC_EBUSY ("out of time"). */
enum sync_err object_ctx_check(const struct object_ctx *ctx, struct err_ctx *ec);

/* Waits wait_ms, but not past the deadline, nor longer than OBJECT_CANCEL_MS_MAX after a cancel. Returns what
 * object_ctx_check() says then; when the wait would not end before the deadline, at once. */
enum sync_err object_ctx_wait(const struct object_ctx *ctx, uint64_t wait_ms, struct err_ctx *ec);

uint64_t object_clock_ms(void); /* monotonic */
uint64_t object_wall_ms(void);  /* since 1970 */

/* Pages are built by appending: keys go into the text, which moves while it grows, so entries get their
 * slices in object_page_build_finish(). */
struct object_page_build {
    struct object_page page;
    struct buf text;
    size_t capacity;
    size_t *key_ends; /* of entry i in the text */
};

void object_page_build_init(struct object_page_build *b);
void object_page_build_deinit(struct object_page_build *b);
enum sync_err object_page_build_add(struct object_page_build *b, struct slice key,
                                    const struct object_entry *entry, struct err_ctx *ec);
/* Sorts by key. The page moves to *ret. */
void object_page_build_finish(struct object_page_build *b, struct object_page *ret);

#endif
