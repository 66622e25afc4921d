#include "storage/sharedlog/log_create.h"

#include "storage/sharedlog/log_names.h"

void log_rival_of(const struct log_head *h, struct log_rival *ret)
{
    *ret = (struct log_rival){.wall_ms = h->wall_ms};
    memcpy(ret->writer, h->writer, LOG_WRITER_BYTES);
    memcpy(ret->run, h->run, LOG_RUN_BYTES);
    if (h->host.len > 0) memcpy(ret->host, h->host.bytes, h->host.len);
}

/* Compares as the bytes arrive: the object need not fit into memory twice. */
struct comparison {
    struct slice left; /* what is expected to come */
    bool differs;
    struct buf head; /* of what stands there */
};

static enum sync_err compare(void *arg, struct slice bytes, struct err_ctx *ec)
{
    struct comparison *c = arg;
    if (!c->differs) {
        c->differs = !slice_starts_with(c->left, bytes);
        if (!c->differs) c->left = slice_of(c->left.bytes + bytes.len, c->left.len - bytes.len);
    }
    buf_put_slice(&c->head, bytes);
    return buf_check(&c->head, ec);
}

static enum sync_err read_back(struct object_store *s, const struct object_call *call, struct slice key,
                               struct slice bytes, enum log_created *ret, struct log_rival *ret_rival,
                               struct err_ctx *ec)
{
    struct comparison c = {.left = bytes, .head = buf_make(OBJECT_PUT_BYTES_MAX)};
    const struct object_sink sink = {.put = compare, .arg = &c};
    struct arena arena = {0};
    struct log_head head;
    struct log_section *sections;
    size_t count;
    uint32_t head_bytes;
    enum sync_err rc = object_get(s, call, key, NULL, &sink, NULL, ec);
    if (rc == SYNC_OK && !c.differs && c.left.len == 0) {
        *ret = LOG_CREATED;
    } else if (rc == SYNC_OK) {
        rc = log_object_head_bytes(buf_slice(&c.head), &head_bytes, ec);
        if (rc == SYNC_OK && head_bytes > c.head.len) rc = err_set(ec, SYNC_EFORMAT, "its head is cut");
        if (rc == SYNC_OK)
            rc =
                log_object_get_head(slice_of(c.head.bytes, head_bytes), &arena, &head, &sections, &count, ec);
        if (rc == SYNC_OK) {
            log_rival_of(&head, ret_rival);
            *ret = LOG_TAKEN;
        }
    } else if (rc != SYNC_ECANCELED && rc != SYNC_ENOMEM) {
        if (rc == SYNC_ENOTFOUND) (void)err_set(ec, rc, "it was not written, as far as one can tell");
        *ret = LOG_LATER;
        rc = SYNC_OK;
    }
    arena_deinit(&arena);
    buf_deinit(&c.head);
    return rc;
}

enum sync_err log_create(struct object_store *s, const struct object_call *call, uint32_t partition,
                         uint64_t number, struct slice bytes, enum log_created *ret,
                         struct log_rival *ret_rival, struct err_ctx *ec)
{
    struct log_name name;
    enum object_outcome outcome = OBJECT_UNKNOWN;
    struct err_ctx why;
    log_object_name(partition, number, &name);
    struct slice key = log_name_slice(&name);
    enum sync_err rc = object_put_if_absent(s, call, key, bytes, &outcome, NULL, ec);
    if (rc == SYNC_OK && outcome == OBJECT_OK) {
        *ret = LOG_CREATED;
    } else if (rc == SYNC_OK) {
        why = *ec;
        rc = read_back(s, call, key, bytes, ret, ret_rival, ec);
        if (rc == SYNC_OK && *ret == LOG_LATER && outcome == OBJECT_UNKNOWN) *ec = why;
    } else if (rc != SYNC_ECANCELED && rc != SYNC_ENOMEM) {
        *ret = LOG_LATER;
        rc = SYNC_OK;
    }
    if (rc != SYNC_OK || *ret == LOG_LATER) err_wrap(ec, "%s", name.text);
    return rc;
}
