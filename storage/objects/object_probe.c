#include "storage/objects/object_probe.h"

#include <stdio.h>
#include <sys/random.h>

struct probe {
    struct object_store *store;
    const struct object_call *call;
    char key[sizeof OBJECT_PROBE_PREFIX + 32];
};

static struct slice key_of(const struct probe *p)
{
    return slice_str(p->key);
}

/* Did a conditional write end as it must? Without an answer nothing is known. */
static enum sync_err expect(enum sync_err rc, enum object_outcome outcome, enum object_outcome right,
                            const char *broken, struct err_ctx *ec)
{
    if (rc != SYNC_OK || outcome == right) return rc;
    if (outcome == OBJECT_UNKNOWN) return SYNC_EBUSY; /* ec says why */
    return err_set(ec, SYNC_ECONFIG, "this object store cannot be used: %s", broken);
}

static enum sync_err probe_writes(const struct probe *p, struct err_ctx *ec)
{
    struct object_version first, second;
    enum object_outcome outcome = OBJECT_UNKNOWN;
    enum sync_err rc =
        object_put_if_absent(p->store, p->call, key_of(p), slice_str("first"), &outcome, &first, ec);
    rc = expect(rc, outcome, OBJECT_OK, "it holds an object that was never written", ec);
    if (rc != SYNC_OK) return rc;
    rc = object_put_if_absent(p->store, p->call, key_of(p), slice_str("again"), &outcome, NULL, ec);
    rc = expect(rc, outcome, OBJECT_LOST, "it overwrites objects in spite of If-None-Match: *", ec);
    if (rc != SYNC_OK) return rc;
    rc =
        object_put_if_match(p->store, p->call, key_of(p), slice_str("second"), &first, &outcome, &second, ec);
    rc = expect(rc, outcome, OBJECT_OK, "it refuses an If-Match that holds", ec);
    if (rc != SYNC_OK) return rc;
    rc = object_put_if_match(p->store, p->call, key_of(p), slice_str("third"), &first, &outcome, NULL, ec);
    return expect(rc, outcome, OBJECT_LOST, "it overwrites objects in spite of If-Match", ec);
}

/* Some releases of MinIO create what is to be replaced (its issue 21526): a leader that lost its record to a
 * deletion would believe that it still leads. */
static enum sync_err probe_missing(const struct probe *p, struct err_ctx *ec)
{
    struct object_info info;
    struct err_ctx ignored;
    char key[sizeof p->key + 8];
    enum object_outcome outcome = OBJECT_UNKNOWN;
    (void)snprintf(key, sizeof key, "%s-none", p->key);
    enum sync_err rc = object_head(p->store, p->call, key_of(p), &info, ec);
    if (rc != SYNC_OK) return rc;
    rc = object_put_if_match(p->store, p->call, slice_str(key), slice_str("x"), &info.version, &outcome, NULL,
                             ec);
    if (rc == SYNC_OK && outcome != OBJECT_LOST)
        (void)object_delete(p->store, p->call, slice_str(key), &ignored);
    return expect(rc, outcome, OBJECT_LOST, "it creates missing objects in spite of If-Match", ec);
}

static enum sync_err probe_reads(const struct probe *p, struct err_ctx *ec)
{
    struct buf bytes = buf_make(64);
    struct object_page page = {0};
    struct object_query query = {.prefix = key_of(p)};
    struct object_range range = {.offset = 1, .bytes = 3};
    enum sync_err rc = object_get_buf(p->store, p->call, key_of(p), &range, &bytes, NULL, ec);
    if (rc == SYNC_OK && !slice_is(buf_slice(&bytes), "eco"))
        rc = err_set(ec, SYNC_ECONFIG, "this object store cannot be used: it does not read what was written");
    if (rc == SYNC_OK) rc = object_list(p->store, p->call, &query, &page, ec);
    if (rc == SYNC_OK && (page.count != 1 || !slice_eq(page.entries[0].key, key_of(p))))
        rc = err_set(ec, SYNC_ECONFIG, "this object store cannot be used: its list lacks what was written");
    object_page_deinit(&page);
    buf_deinit(&bytes);
    return rc == SYNC_ENOTFOUND
               ? err_set(ec, SYNC_ECONFIG, "this object store cannot be used: what was written is not there")
               : rc;
}

enum sync_err object_probe(struct object_store *s, const struct object_call *call, struct err_ctx *ec)
{
    struct probe p = {.store = s, .call = call};
    uint8_t random[16];
    struct err_ctx ignored;
    if (getrandom(random, sizeof random, 0) != sizeof random) return err_set(ec, SYNC_EIO, "no random bytes");
    int at = snprintf(p.key, sizeof p.key, "%s", OBJECT_PROBE_PREFIX);
    for (size_t i = 0; i < sizeof random; i++)
        at += snprintf(p.key + at, sizeof p.key - (size_t)at, "%02x", random[i]);
    enum sync_err rc = probe_writes(&p, ec);
    if (rc == SYNC_OK) rc = probe_missing(&p, ec);
    if (rc == SYNC_OK) rc = probe_reads(&p, ec);
    /* Right to delete is needed later, so it is a failure here; after another one it is only tidiness. */
    enum sync_err deleted = object_delete(s, call, key_of(&p), rc == SYNC_OK ? ec : &ignored);
    if (rc == SYNC_OK) rc = deleted;
    if (rc != SYNC_OK) err_wrap(ec, "%s", object_store_name(s));
    return rc;
}
