#include "server/coordinator/ticket_round.h"

#include "core/json/json.h"
#include "server/base/system.h"

#include <inttypes.h>
#include <stdio.h>

void ticket_round_reset(struct ticket_round *r)
{
    *r = (struct ticket_round){.task = r->task, .interval_ms = r->interval_ms};
}

static void object_name(const char *task, char ret[64])
{
    (void)snprintf(ret, 64, "rounds-%s.json", task);
}

static uint64_t number_of(const struct json_value *v)
{
    uint64_t n = 0;
    struct json_raw raw = json_take(v);
    if (raw.type != JSON_NUMBER || raw.text.len > 18) return 0;
    for (size_t i = 0; i < raw.text.len; i++) {
        if (raw.text.bytes[i] < '0' || raw.text.bytes[i] > '9') return 0;
        n = n * 10 + (uint64_t)(raw.text.bytes[i] - '0');
    }
    return n;
}

/* {"round":7,"openedAt":1734567890123} */
static enum sync_err parse(struct slice value, uint64_t *ret_round, uint64_t *ret_opened_ms,
                           struct err_ctx *ec)
{
    struct json_reader *reader = json_reader_new(JSON_DEPTH_DEFAULT);
    struct json_value top, v;
    struct slice key;
    struct buf text = buf_make(FENCED_BYTES_MAX + JSON_PADDING);
    *ret_round = *ret_opened_ms = 0;
    buf_put_slice(&text, value);
    enum sync_err rc = reader == NULL || !buf_reserve(&text, JSON_PADDING)
                           ? err_set(ec, SYNC_ENOMEM, "no memory to read JSON")
                           : SYNC_OK;
    if (rc == SYNC_OK) {
        memset(text.bytes + text.len, 0, JSON_PADDING);
        top = json_open(reader, text.bytes, text.len);
        struct json_walk w = json_members(&top);
        while (json_next_member(&w, &key, &v)) {
            if (slice_is(key, "round")) *ret_round = number_of(&v);
            if (slice_is(key, "openedAt")) *ret_opened_ms = number_of(&v);
        }
        rc = json_close(reader, ec);
    }
    json_reader_free(reader);
    buf_deinit(&text);
    return rc;
}

static enum sync_err look(struct ticket_round *r, const struct cluster *c, const struct task_run *run,
                          const char *name, struct err_ctx *ec)
{
    struct buf bytes = buf_make(FENCED_BYTES_MAX + JSON_PADDING);
    struct fenced_value found;
    uint64_t number = 0, opened_ms = 0, wall_ms = system_wall_ms();
    enum sync_err rc = cluster_read(c, run, name, &bytes, &found, ec);
    if (rc == SYNC_OK && found.epoch > 0) rc = parse(found.value, &number, &opened_ms, ec);
    buf_deinit(&bytes);
    if (rc != SYNC_OK) return rc;
    uint64_t age_ms = wall_ms > opened_ms ? wall_ms - opened_ms : 0;
    r->known = true;
    r->number = number;
    r->due_ms = system_boot_ms();
    if (number > 0 && age_ms < r->interval_ms) r->due_ms += r->interval_ms - age_ms;
    return SYNC_OK;
}

enum sync_err ticket_round_next(struct ticket_round *r, const struct cluster *c, const struct task_run *run,
                                enum ticket_round_move *ret, struct err_ctx *ec)
{
    char name[64], value[96];
    object_name(r->task, name);
    *ret = TICKET_ROUND_WAIT;
    if (!r->known) {
        enum sync_err rc = look(r, c, run, name, ec);
        if (rc != SYNC_OK) return rc;
        if (r->number > 0 && system_boot_ms() < r->due_ms) *ret = TICKET_ROUND_REPUBLISH;
    }
    if (system_boot_ms() < r->due_ms) return SYNC_OK;
    (void)snprintf(value, sizeof value, "{\"round\":%" PRIu64 ",\"openedAt\":%" PRIu64 "}", r->number + 1,
                   system_wall_ms());
    enum sync_err rc = cluster_write(c, run, name, slice_str(value), &r->memory, ec);
    if (rc != SYNC_OK) {
        r->known = false; /* it may have been written: look again */
        return rc;
    }
    r->number++;
    r->due_ms = system_boot_ms() + r->interval_ms;
    *ret = TICKET_ROUND_OPENED;
    return SYNC_OK;
}

enum sync_err ticket_publish(const struct cluster *c, const struct task_run *run, const struct ticket_id *id,
                             struct err_ctx *ec)
{
    struct buf bytes = buf_make(1024);
    struct ticket_stamp by = cluster_stamp(c);
    bool mine = false;
    if (!task_may_go_on(run)) return err_set(ec, SYNC_ECANCELED, "this instance leads no more");
    ticket_body_put(&bytes, id->text, run->epoch, &by);
    enum sync_err rc = buf_check(&bytes, ec);
    if (rc == SYNC_OK)
        rc = cluster_create(c, run, run->stop, ticket_body_key(id->text).text, buf_slice(&bytes), &mine, ec);
    buf_deinit(&bytes);
    if (mine) counter_add(&c->metrics->tickets_published, 1);
    return rc;
}

/* One pass over what a listing showed. The ticket goes before its claims and its result, so that nobody can
 * take one whose result is gone. */
static enum sync_err remove_old(const struct ticket_round *r, const struct cluster *c,
                                const struct task_run *run, const struct object_page *page, bool bodies,
                                uint32_t *tickets, uint32_t *done, struct err_ctx *ec)
{
    struct object_call call = {.timeout_ms = c->call_ms, .cancel = run->stop};
    size_t root_len = strlen(c->root);
    for (size_t i = 0; i < page->count; i++) {
        struct slice full = page->entries[i].key, id;
        struct slice key = slice_of(full.bytes + root_len, full.len - root_len);
        struct ticket_name name;
        enum ticket_object object;
        uint32_t claim;
        if (!ticket_key_parse(key, &id, &object, &claim) || !ticket_id_parse(id, &name)) continue;
        if (!slice_is(name.task, r->task) || name.round >= r->number || (object == TICKET_BODY) != bodies)
            continue;
        if (!task_may_go_on(run)) return err_set(ec, SYNC_ECANCELED, "this instance leads no more");
        cluster_spent(c, run, 1);
        enum sync_err rc = object_delete(c->store, &call, full, ec);
        if (rc != SYNC_OK) return rc;
        *tickets += object == TICKET_BODY ? 1 : 0;
        *done += object == TICKET_RESULT ? 1 : 0;
    }
    return SYNC_OK;
}

enum sync_err ticket_round_sweep(const struct ticket_round *r, const struct cluster *c,
                                 const struct task_run *run, uint32_t *ret_tickets, uint32_t *ret_done,
                                 struct err_ctx *ec)
{
    struct object_call call = {.timeout_ms = c->call_ms, .cancel = run->stop};
    struct object_page page;
    struct cluster_key prefix;
    char name[TICKET_TASK_MAX + sizeof TICKETS_KEY + 2];
    *ret_tickets = *ret_done = 0;
    (void)snprintf(name, sizeof name, "%s%s-", TICKETS_KEY, r->task);
    prefix = cluster_key(c, name);
    struct object_query query = {.prefix = slice_str(prefix.text)};
    cluster_spent(c, run, 1);
    enum sync_err rc = object_list(c->store, &call, &query, &page, ec);
    if (rc != SYNC_OK) return rc;
    rc = remove_old(r, c, run, &page, true, ret_tickets, ret_done, ec);
    if (rc == SYNC_OK) rc = remove_old(r, c, run, &page, false, ret_tickets, ret_done, ec);
    object_page_deinit(&page);
    return rc;
}
