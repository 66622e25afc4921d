#include "scripted_store.h"

#include <assert.h>
#include <string.h>

static struct scripted_store *of(struct object_store *s)
{
    return (struct scripted_store *)s;
}

static enum sync_err burn(struct object_store *base, struct err_ctx *ec)
{
    struct scripted_store *s = of(base);
    if (!s->has_fuse) return SYNC_OK;
    if (s->fuse == 0) return err_set(ec, SYNC_EBUSY, "the fuse has blown");
    s->fuse--;
    return SYNC_OK;
}

static enum sync_err get(struct object_store *s, struct object_ctx *ctx, struct slice key,
                         const struct object_range *range, const struct object_sink *sink,
                         struct object_info *ret, struct err_ctx *ec)
{
    enum sync_err rc = burn(s, ec);
    (void)ctx;
    if (rc != SYNC_OK) return rc;
    if (of(s)->fail_read) {
        of(s)->fail_read = false;
        return err_set(ec, SYNC_EBUSY, "no answer, as the script says");
    }
    return object_get(of(s)->below, NULL, key, range, sink, ret, ec);
}

static enum sync_err head(struct object_store *s, struct object_ctx *ctx, struct slice key,
                          struct object_info *ret, struct err_ctx *ec)
{
    enum sync_err rc = burn(s, ec);
    (void)ctx;
    if (rc != SYNC_OK) return rc;
    of(s)->heads++;
    return object_head(of(s)->below, NULL, key, ret, ec);
}

static enum sync_err create(struct scripted_store *s, const struct object_put *p, enum object_outcome *ret,
                            struct err_ctx *ec)
{
    return object_put_if_absent(s->below, NULL, p->key, p->bytes, ret, NULL, ec);
}

static enum sync_err put(struct object_store *base, struct object_ctx *ctx, const struct object_put *p,
                         enum object_outcome *ret, struct object_version *ret_version, struct err_ctx *ec)
{
    struct scripted_store *s = of(base);
    enum sync_err rc = burn(base, ec);
    (void)ctx;
    if (rc != SYNC_OK) return rc;
    if (p->condition == OBJECT_ALWAYS) return object_put(s->below, NULL, p->key, p->bytes, ret_version, ec);
    if (p->condition == OBJECT_IF_MATCH)
        return object_put_if_match(s->below, NULL, p->key, p->bytes, p->match, ret, ret_version, ec);
    s->creations++;
    enum scripted next = s->script_next < s->script_count ? s->script[s->script_next++] : SCRIPTED_PASS;
    switch (next) {
    case SCRIPTED_PASS: return create(s, p, ret, ec);
    case SCRIPTED_REFUSED: return err_set(ec, SYNC_EBUSY, "refused, as the script says");
    case SCRIPTED_UNKNOWN: break;
    case SCRIPTED_READS_FAIL: s->fail_read = true; /* fall through */
    case SCRIPTED_UNKNOWN_WRITTEN: rc = create(s, p, ret, ec); break;
    case SCRIPTED_UNKNOWN_LATE:
        assert(p->key.len < sizeof s->late_key);
        memcpy(s->late_key, p->key.bytes, p->key.len);
        s->late_key[p->key.len] = '\0';
        buf_clear(&s->late);
        buf_put_slice(&s->late, p->bytes);
        break;
    }
    *ret = OBJECT_UNKNOWN;
    if (rc == SYNC_OK) (void)err_set(ec, SYNC_EBUSY, "no answer, as the script says");
    return rc;
}

static enum sync_err delete_object(struct object_store *s, struct object_ctx *ctx, struct slice key,
                                   struct err_ctx *ec)
{
    enum sync_err rc = burn(s, ec);
    (void)ctx;
    if (rc != SYNC_OK) return rc;
    of(s)->removals++;
    return object_delete(of(s)->below, NULL, key, ec);
}

static enum sync_err list(struct object_store *s, struct object_ctx *ctx, const struct object_query *query,
                          struct object_page *ret, struct err_ctx *ec)
{
    enum sync_err rc = burn(s, ec);
    (void)ctx;
    if (rc != SYNC_OK) return rc;
    of(s)->lists++;
    return object_list(of(s)->below, NULL, query, ret, ec);
}

static const struct object_store_ops ops = {
    .get = get, .head = head, .put = put, .remove = delete_object, .list = list};

void scripted_store_init(struct scripted_store *s, struct object_store *below)
{
    *s = (struct scripted_store){.base = {.ops = &ops, .name = "scripted"}, .below = below};
    s->late = buf_make(1 << 24);
}

void scripted_store_deinit(struct scripted_store *s)
{
    buf_deinit(&s->late);
}

void scripted_store_script(struct scripted_store *s, const enum scripted *script, size_t count)
{
    assert(count <= sizeof s->script / sizeof s->script[0]);
    memcpy(s->script, script, count * sizeof *script);
    s->script_count = count;
    s->script_next = 0;
}

enum object_outcome scripted_store_land(struct scripted_store *s)
{
    struct err_ctx ec;
    enum object_outcome outcome = OBJECT_UNKNOWN;
    enum sync_err rc = object_put_if_absent(s->below, NULL, slice_str(s->late_key), buf_slice(&s->late),
                                            &outcome, NULL, &ec);
    assert(rc == SYNC_OK);
    return outcome;
}
