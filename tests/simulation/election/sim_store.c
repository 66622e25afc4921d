#include "sim_store.h"

#include <assert.h>
#include <string.h>

void sim_store_reset(struct sim_store *s)
{
    memset(s->states, 0, sizeof s->states);
    s->now.worker_count = s->now.epoch_count = s->old.worker_count = s->old.epoch_count = 0;
    s->conditions_ignored = false;
    s->guard_epoch = s->guard_version = 0;
}

static void copy_listing(struct sim_listing *to, const struct sim_listing *from)
{
    memcpy(to->workers, from->workers, from->worker_count * sizeof from->workers[0]);
    memcpy(to->epochs, from->epochs, from->epoch_count * sizeof from->epochs[0]);
    to->worker_count = from->worker_count;
    to->epoch_count = from->epoch_count;
}

void sim_store_age(struct sim_store *s)
{
    copy_listing(&s->old, &s->now);
}

static char *put_hex(char *at, uint64_t n)
{
    for (int shift = 60; shift >= 0; shift -= 4) *at++ = "0123456789abcdef"[n >> shift & 15];
    return at;
}

struct election_etag sim_etag(struct election_token t)
{
    struct election_etag etag;
    char *end = put_hex(put_hex(etag.text, t.incarnation), t.write);
    *end = '\0';
    return etag;
}

static void set_state(struct sim_store *s, const struct sim_state_version *v)
{
    memmove(&s->states[1], &s->states[0], (SIM_STATES_KEPT - 1) * sizeof s->states[0]);
    s->states[0] = *v;
}

static enum election_outcome write_state(struct sim_store *s, const struct election_op *op)
{
    const struct sim_state_version *now = &s->states[0];
    bool only_if_absent = op->if_match.text[0] == '\0';
    bool met = only_if_absent ? !now->exists : now->exists && election_etag_eq(&now->etag, &op->if_match);
    if (!met && !s->conditions_ignored) return ELECTION_LOST;
    struct sim_state_version v = {
        .exists = true, .readable = true, .etag = sim_etag(op->state.token), .state = op->state};
    set_state(s, &v);
    return ELECTION_OK;
}

static struct sim_object *find(struct sim_object *all, size_t count, const struct election_key *key)
{
    for (size_t i = 0; i < count; i++)
        if (all[i].exists && strcmp(all[i].key.text, key->text) == 0) return &all[i];
    return NULL;
}

static struct sim_object *add(struct sim_object *all, size_t *count, size_t max)
{
    for (size_t i = 0; i < *count; i++)
        if (!all[i].exists) return &all[i];
    assert(*count < max);
    return &all[(*count)++];
}

static enum election_outcome create_epoch(struct sim_store *s, const struct election_op *op)
{
    struct sim_listing *l = &s->now;
    for (size_t i = 0; i < l->epoch_count; i++)
        if (l->epochs[i].exists && l->epochs[i].number == op->epoch.epoch) {
            if (!s->conditions_ignored) return ELECTION_LOST;
            l->epochs[i].record = op->epoch;
            return ELECTION_OK;
        }
    struct sim_object *o = add(l->epochs, &l->epoch_count, SIM_EPOCHS_MAX);
    *o = (struct sim_object){.exists = true,
                             .key = election_epoch_key(op->epoch.epoch),
                             .etag = sim_etag(op->epoch.token),
                             .number = op->epoch.epoch,
                             .record = op->epoch};
    return ELECTION_OK;
}

static enum election_outcome read_epoch(struct sim_store *s, uint64_t number, struct election_epoch *ret)
{
    for (size_t i = 0; i < s->now.epoch_count; i++)
        if (s->now.epochs[i].exists && s->now.epochs[i].number == number) {
            *ret = s->now.epochs[i].record;
            return ELECTION_OK;
        }
    return ELECTION_ABSENT;
}

static void put_entry(struct sim_page *page, const struct sim_object *o)
{
    if (!o->exists) return;
    if (page->count == SIM_PAGE_MAX) {
        page->complete = false;
        return;
    }
    page->entries[page->count].key = o->key;
    page->entries[page->count++].etag = o->etag;
}

static void list(const struct sim_store *s, bool stale, struct sim_page *ret)
{
    const struct sim_listing *l = stale ? &s->old : &s->now;
    ret->count = 0;
    ret->complete = true;
    for (size_t i = 0; i < l->epoch_count; i++) put_entry(ret, &l->epochs[i]);
    for (size_t i = 0; i < l->worker_count; i++) put_entry(ret, &l->workers[i]);
}

static void put_worker(struct sim_store *s, const struct election_op *op, const char *worker_id)
{
    struct sim_listing *l = &s->now;
    struct election_key key = election_worker_key(worker_id);
    struct sim_object *o = find(l->workers, l->worker_count, &key);
    if (o == NULL) o = add(l->workers, &l->worker_count, SIM_WORKERS_MAX);
    *o = (struct sim_object){.exists = true, .key = key, .etag = sim_etag(op->worker.token)};
}

static void delete_key(struct sim_store *s, const struct election_key *key)
{
    struct sim_object *o = find(s->now.workers, s->now.worker_count, key);
    if (o == NULL) o = find(s->now.epochs, s->now.epoch_count, key);
    if (o != NULL) o->exists = false;
}

void sim_store_apply(struct sim_store *s, const struct election_op *op, const char *worker_id, unsigned stale,
                     struct election_result *ret, struct sim_page *ret_page)
{
    const struct sim_state_version *v;
    *ret = (struct election_result){.kind = op->kind, .op_id = op->id, .outcome = ELECTION_OK};
    switch (op->kind) {
    case ELECTION_READ_STATE:
        v = &s->states[stale < SIM_STATES_KEPT ? stale : SIM_STATES_KEPT - 1];
        if (!v->exists) {
            ret->outcome = ELECTION_ABSENT;
            return;
        }
        ret->etag = v->etag;
        ret->readable = v->readable;
        ret->state = v->state;
        return;
    case ELECTION_WRITE_STATE:
        ret->outcome = write_state(s, op);
        if (ret->outcome == ELECTION_OK) ret->etag = s->states[0].etag;
        return;
    case ELECTION_CREATE_EPOCH: ret->outcome = create_epoch(s, op); return;
    case ELECTION_READ_EPOCH: ret->outcome = read_epoch(s, op->epoch.epoch, &ret->epoch); return;
    case ELECTION_LIST: list(s, stale > 0, ret_page); return;
    case ELECTION_PUT_WORKER: put_worker(s, op, worker_id); return;
    case ELECTION_PUT_METADATA: return;
    case ELECTION_DELETE: delete_key(s, &op->key); return;
    case ELECTION_OP_KINDS: break;
    }
    assert(!"a request of no kind");
}

void sim_store_remove_state(struct sim_store *s)
{
    struct sim_state_version gone = {.exists = false};
    set_state(s, &gone);
}

void sim_store_damage_state(struct sim_store *s, uint64_t nonsense)
{
    struct sim_state_version v = {.exists = true, .etag = sim_etag((struct election_token){nonsense, 0})};
    set_state(s, &v);
}
