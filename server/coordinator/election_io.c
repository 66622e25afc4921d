#include "server/coordinator/election_io.h"

#include "core/json/json.h"
#include "server/base/system.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static_assert((int)ELECTION_ETAG_MAX == (int)OBJECT_VERSION_MAX, "a version is what If-Match takes");

static const char STEP_DOWN_PREFIX[] = ELECTION_COMMANDS_KEY "step-down-";

void election_site_root(struct election_site *site, const char *namespace_name, const char *task)
{
    int n;
    site->namespace_name = namespace_name;
    if (task == NULL)
        n = snprintf(site->root, sizeof site->root, "%s%s/", ELECTION_ROOT_KEY, namespace_name);
    else
        n = snprintf(site->root, sizeof site->root, "%s%s/%s/", ELECTION_TASK_ROOT_KEY, namespace_name, task);
    assert(n > 0 && n <= ELECTION_ROOT_MAX);
}

void election_step_down_key(uint64_t epoch, char ret[ELECTION_KEY_MAX + 1])
{
    int n = snprintf(ret, ELECTION_KEY_MAX + 1, "%s%010" PRIu64, STEP_DOWN_PREFIX, epoch);
    assert(n > 0 && n <= ELECTION_KEY_MAX);
}

/* --- keys and bytes --- */

struct full_key {
    char text[ELECTION_ROOT_MAX + ELECTION_KEY_MAX + 1];
};

static struct full_key full_key(const struct election_site *site, const char *key)
{
    struct full_key k;
    int n = snprintf(k.text, sizeof k.text, "%s%s", site->root, key);
    assert(n > 0 && (size_t)n < sizeof k.text);
    return k;
}

/* The bytes of a record, with the padding behind them that reading JSON needs. */
static enum sync_err get(const struct election_site *site, const struct object_call *call, const char *key,
                         struct buf *bytes, struct object_info *ret, struct err_ctx *ec)
{
    struct full_key k = full_key(site, key);
    enum sync_err rc = object_get_buf(site->store, call, slice_str(k.text), NULL, bytes, ret, ec);
    if (rc != SYNC_OK) return rc;
    if (!buf_reserve(bytes, JSON_PADDING)) return buf_check(bytes, ec);
    memset(bytes->bytes + bytes->len, 0, JSON_PADDING);
    return SYNC_OK;
}

enum { RECORD_ROOM = ELECTION_RECORD_BYTES_MAX + JSON_PADDING };

enum sync_err election_io_read_state(const struct election_site *site, const struct object_call *call,
                                     struct election_state *ret, struct object_version *ret_version,
                                     struct err_ctx *ec)
{
    struct buf bytes = buf_make(RECORD_ROOM);
    struct object_info info;
    struct json_reader *r = NULL;
    enum sync_err rc = get(site, call, ELECTION_STATE_KEY, &bytes, &info, ec);
    if (rc == SYNC_OK) {
        *ret_version = info.version;
        r = json_reader_new(JSON_DEPTH_DEFAULT);
        rc = r == NULL ? err_set(ec, SYNC_ENOMEM, "no memory to read JSON")
                       : election_state_parse(r, buf_slice(&bytes), ret, ec);
    }
    json_reader_free(r);
    buf_deinit(&bytes);
    return rc;
}

enum sync_err election_io_read_worker(const struct election_site *site, const struct object_call *call,
                                      const char *worker_id, struct election_worker_record *ret,
                                      struct err_ctx *ec)
{
    struct buf bytes = buf_make(RECORD_ROOM);
    struct object_info info;
    struct json_reader *r = NULL;
    struct election_key key = election_worker_key(worker_id);
    enum sync_err rc = get(site, call, key.text, &bytes, &info, ec);
    if (rc == SYNC_OK) {
        r = json_reader_new(JSON_DEPTH_DEFAULT);
        rc = r == NULL ? err_set(ec, SYNC_ENOMEM, "no memory to read JSON")
                       : election_worker_record_parse(r, buf_slice(&bytes), ret, ec);
    }
    json_reader_free(r);
    buf_deinit(&bytes);
    return rc;
}

/* --- reads --- */

static void set_etag(struct election_etag *ret, const struct object_version *v)
{
    memcpy(ret->text, v->text, sizeof ret->text);
}

static void read_state(const struct election_site *site, const struct object_call *call,
                       struct election_result *ret)
{
    struct err_ctx ec;
    struct object_version version = {{0}};
    enum sync_err rc = election_io_read_state(site, call, &ret->state, &version, &ec);
    if (rc == SYNC_ENOTFOUND) {
        ret->outcome = ELECTION_ABSENT;
        return;
    }
    if (rc == SYNC_ELIMIT && version.text[0] == '\0') { /* far too long for a record; which version is it? */
        struct object_info info;
        struct full_key k = full_key(site, ELECTION_STATE_KEY);
        if (object_head(site->store, call, slice_str(k.text), &info, &ec) == SYNC_OK) version = info.version;
    }
    if (version.text[0] == '\0' || rc == SYNC_ENOMEM) return; /* nothing came */
    ret->outcome = ELECTION_OK;
    ret->readable = rc == SYNC_OK; /* else there is something, but no record that this build knows */
    set_etag(&ret->etag, &version);
}

static void read_epoch(const struct election_site *site, const struct object_call *call,
                       const struct election_op *op, struct election_result *ret)
{
    struct buf bytes = buf_make(RECORD_ROOM);
    struct object_info info;
    struct err_ctx ec;
    struct election_key key = election_epoch_key(op->epoch.epoch);
    enum sync_err rc = get(site, call, key.text, &bytes, &info, &ec);
    if (rc == SYNC_ENOTFOUND) ret->outcome = ELECTION_ABSENT;
    if (rc == SYNC_OK) {
        struct json_reader *r = json_reader_new(JSON_DEPTH_DEFAULT);
        ret->outcome = r == NULL ? ELECTION_UNKNOWN : ELECTION_OK;
        if (r != NULL && election_epoch_parse(r, buf_slice(&bytes), &ret->epoch, &ec) != SYNC_OK)
            ret->epoch.epoch = 0;
        json_reader_free(r);
    }
    buf_deinit(&bytes);
}

/* What differs when an object was written anew: listings of object stores have no versions everywhere, but
 * all have the time of writing by the store's clock. It is compared to nothing but itself. */
static void listed_etag(struct election_etag *ret, const struct object_entry *e)
{
    (void)snprintf(ret->text, sizeof ret->text, "%" PRIu64 "-%" PRIu64, e->modified_ms, e->bytes);
}

static uint64_t step_down_epoch(struct slice key)
{
    struct slice prefix = slice_of(STEP_DOWN_PREFIX, sizeof STEP_DOWN_PREFIX - 1);
    struct election_key epoch_key;
    uint64_t epoch = 0;
    if (!slice_starts_with(key, prefix) || key.len - prefix.len > 16) return 0;
    /* The digits are those of an epoch's key, so that reads them. */
    (void)snprintf(epoch_key.text, sizeof epoch_key.text, ELECTION_EPOCHS_KEY "epoch-%.*s",
                   (int)(key.len - prefix.len), key.bytes + prefix.len);
    return election_key_epoch(slice_str(epoch_key.text), &epoch) ? epoch : 0;
}

static void list(const struct election_site *site, const struct object_call *call,
                 struct election_answer *ret)
{
    struct err_ctx ec;
    struct object_query query = {.prefix = slice_str(site->root)};
    if (object_list(site->store, call, &query, &ret->page, &ec) != SYNC_OK) return;
    size_t root_len = strlen(site->root), count = ret->page.count;
    ret->listed = calloc(count > 0 ? count : 1, sizeof *ret->listed);
    if (ret->listed == NULL) return;
    for (size_t i = 0; i < count; i++) {
        const struct object_entry *e = &ret->page.entries[i];
        struct slice key = slice_of(e->key.bytes + root_len, e->key.len - root_len);
        uint64_t epoch = step_down_epoch(key);
        if (epoch > ret->step_down_epoch) ret->step_down_epoch = epoch;
        ret->listed[i].key = key;
        listed_etag(&ret->listed[i].etag, e);
    }
    ret->result.outcome = ELECTION_OK;
    ret->result.listed = ret->listed;
    ret->result.listed_count = count;
    ret->result.complete = !ret->page.more;
}

/* --- writes --- */

static enum election_outcome outcome_of(enum sync_err rc, enum object_outcome outcome)
{
    if (rc != SYNC_OK || outcome == OBJECT_UNKNOWN) return ELECTION_UNKNOWN;
    return outcome == OBJECT_OK ? ELECTION_OK : ELECTION_LOST;
}

static void write_state(const struct election_site *site, const struct object_call *call,
                        const struct election_op *op, struct slice bytes, struct election_result *ret)
{
    struct err_ctx ec;
    struct full_key key = full_key(site, ELECTION_STATE_KEY);
    struct object_version version = {{0}}, match;
    enum object_outcome outcome = OBJECT_UNKNOWN;
    enum sync_err rc;
    memcpy(match.text, op->if_match.text, sizeof match.text);
    if (match.text[0] == '\0')
        rc = object_put_if_absent(site->store, call, slice_str(key.text), bytes, &outcome, &version, &ec);
    else
        rc = object_put_if_match(site->store, call, slice_str(key.text), bytes, &match, &outcome, &version,
                                 &ec);
    ret->outcome = outcome_of(rc, outcome);
    set_etag(&ret->etag, &version);
}

static void put_bytes(const struct election_site *site, const struct election_op *op, struct buf *ret)
{
    switch (op->kind) {
    case ELECTION_WRITE_STATE: election_state_put(ret, site->namespace_name, &op->state); return;
    case ELECTION_CREATE_EPOCH: election_epoch_put(ret, &op->epoch); return;
    case ELECTION_PUT_WORKER: {
        struct election_worker_record w = {.token = op->worker.token,
                                           .registered_wall_ms = op->worker.registered_wall_ms,
                                           .heartbeat_wall_ms = op->worker.heartbeat_wall_ms};
        (void)snprintf(w.worker_id, sizeof w.worker_id, "%s", site->self.worker_id);
        (void)snprintf(w.url, sizeof w.url, "%s", site->url);
        (void)snprintf(w.host, sizeof w.host, "%s", site->host);
        (void)snprintf(w.version, sizeof w.version, "%s", site->version);
        election_worker_record_put(ret, &w);
        return;
    }
    case ELECTION_PUT_METADATA: {
        struct election_metadata m = {.epoch = op->metadata_epoch,
                                      .updated_wall_ms = system_wall_ms(),
                                      .tasks = site->tasks,
                                      .task_count = site->task_count};
        (void)snprintf(m.namespace_name, sizeof m.namespace_name, "%s", site->namespace_name);
        (void)snprintf(m.version, sizeof m.version, "%s", site->version);
        (void)snprintf(m.updated_by, sizeof m.updated_by, "%s", site->self.worker_id);
        election_metadata_put(ret, &m);
        return;
    }
    default: return;
    }
}

static void write_record(const struct election_site *site, const struct object_call *call,
                         const struct election_op *op, struct election_result *ret)
{
    struct buf bytes = buf_make(METADATA_BYTES_MAX);
    struct err_ctx ec;
    struct full_key key;
    enum object_outcome outcome = OBJECT_OK;
    put_bytes(site, op, &bytes);
    if (buf_check(&bytes, &ec) == SYNC_OK) {
        switch (op->kind) {
        case ELECTION_WRITE_STATE: write_state(site, call, op, buf_slice(&bytes), ret); break;
        case ELECTION_CREATE_EPOCH:
            key = full_key(site, election_epoch_key(op->epoch.epoch).text);
            ret->outcome = outcome_of(object_put_if_absent(site->store, call, slice_str(key.text),
                                                           buf_slice(&bytes), &outcome, NULL, &ec),
                                      outcome);
            break;
        case ELECTION_PUT_WORKER:
        case ELECTION_PUT_METADATA:
            key = full_key(site, op->kind == ELECTION_PUT_METADATA
                                     ? ELECTION_METADATA_KEY
                                     : election_worker_key(site->self.worker_id).text);
            ret->outcome = outcome_of(
                object_put(site->store, call, slice_str(key.text), buf_slice(&bytes), NULL, &ec), OBJECT_OK);
            break;
        default: break;
        }
    }
    buf_deinit(&bytes);
}

static void delete_key(const struct election_site *site, const struct object_call *call,
                       const struct election_op *op, struct election_result *ret)
{
    struct err_ctx ec;
    struct full_key key = full_key(site, op->key.text);
    ret->outcome = outcome_of(object_delete(site->store, call, slice_str(key.text), &ec), OBJECT_OK);
}

void election_io_run(const struct election_site *site, const struct election_op *op,
                     const atomic_bool *cancel, struct election_answer *ret)
{
    struct object_call call = {.timeout_ms = op->wait_ms, .cancel = cancel};
    *ret =
        (struct election_answer){.result = {.kind = op->kind, .op_id = op->id, .outcome = ELECTION_UNKNOWN}};
    switch (op->kind) {
    case ELECTION_READ_STATE: read_state(site, &call, &ret->result); return;
    case ELECTION_READ_EPOCH: read_epoch(site, &call, op, &ret->result); return;
    case ELECTION_LIST: list(site, &call, ret); return;
    case ELECTION_DELETE: delete_key(site, &call, op, &ret->result); return;
    case ELECTION_WRITE_STATE:
    case ELECTION_CREATE_EPOCH:
    case ELECTION_PUT_WORKER:
    case ELECTION_PUT_METADATA: write_record(site, &call, op, &ret->result); return;
    case ELECTION_OP_KINDS: return;
    }
}

void election_answer_deinit(struct election_answer *a)
{
    object_page_deinit(&a->page);
    free(a->listed);
}
