#include "hooks/hook_face.h"

#include <assert.h>
#include <strings.h>

static struct sync_site site_of(const struct site_id *s)
{
    struct sync_site ret;
    static_assert(sizeof ret == sizeof *s, "site ids");
    memcpy(&ret, s, sizeof ret);
    return ret;
}

static struct sync_hlc hlc_of(const struct hlc *h)
{
    return (struct sync_hlc){
        .wall_ms = h->wall_ms, .site = site_of(&h->site), .op_seq = h->op_seq, .counter = h->counter};
}

struct sync_identity face_identity(const struct hook_identity *i, const char *hook)
{
    return (struct sync_identity){.bytes = sizeof(struct sync_identity),
                                  .transport = i->transport,
                                  .connection = i->connection,
                                  .expires_ms = i->expires_ms,
                                  .database = face_text(slice_str(i->database)),
                                  .user_id = face_text(slice_str(i->user_id)),
                                  .remote_address = face_text(slice_str(i->remote_address)),
                                  .metadata = face_text(hook_identity_metadata(i, hook)),
                                  .site = site_of(&i->site)};
}

static int request_header(const struct sync_request *request, const char *name, struct sync_text *ret)
{
    const struct hook_input *in = request->server;
    size_t len = strlen(name);
    for (size_t i = 0; i < in->header_count; i++) {
        if (in->headers[i].name.len != len || strncasecmp(in->headers[i].name.bytes, name, len) != 0)
            continue;
        *ret = face_text(in->headers[i].value);
        return 1;
    }
    return 0;
}

struct sync_request face_request(const struct hook_input *in)
{
    return (struct sync_request){.bytes = sizeof(struct sync_request),
                                 .transport = in->transport,
                                 .recheck = in->recheck,
                                 .has_site = in->has_site,
                                 .database = face_text(in->database),
                                 .token = face_text(in->token),
                                 .site_text = face_text(in->site_text),
                                 .site = site_of(&in->site),
                                 .remote_address = face_text(in->remote_address),
                                 .server = in,
                                 .header = request_header};
}

struct sync_operation face_operation(const struct hook_input *in)
{
    return (struct sync_operation){.bytes = sizeof(struct sync_operation),
                                   .kind = in->operation,
                                   .has_since = in->has_since,
                                   .change_count = in->change_count,
                                   .since = hlc_of(&in->since)};
}

struct sync_apply_result face_apply_result(const struct hook_input *in)
{
    return (struct sync_apply_result){.bytes = sizeof(struct sync_apply_result),
                                      .rejected = in->rejected_count,
                                      .applied = in->result.applied,
                                      .skipped = in->result.skipped,
                                      .conflicts = in->result.conflicts,
                                      .transactions = in->result.transactions};
}

struct sync_coordinator_event face_event(const struct hook_input *in)
{
    return (struct sync_coordinator_event){.bytes = sizeof(struct sync_coordinator_event),
                                           .epoch = in->event.epoch,
                                           .name = face_text(in->event.name),
                                           .namespace_name = face_text(in->event.namespace_name),
                                           .election = face_text(in->event.election),
                                           .leader_id = face_text(in->event.leader_id)};
}

/* Gives as much of a struct as the hook has room for. False when its room is less than any version had. */
static int give(void *ret, const void *full, size_t full_bytes)
{
    uint32_t room;
    memcpy(&room, ret, sizeof room);
    if (room < sizeof room) return 0;
    memcpy(ret, full, room < full_bytes ? room : full_bytes);
    memcpy(ret, &room, sizeof room);
    return 1;
}

static int set_at(struct sync_change_sets *face, uint32_t set, struct sync_change_set *ret)
{
    const struct hook_turn *turn = face->server;
    if (set >= turn->sets->count) return 0;
    struct hook_set s = hook_sets_at(turn->sets, set);
    struct sync_change_set full = {.change_count = s.fact_count,
                                   .hlc = hlc_of(&s.set->hlc),
                                   .site = site_of(&s.set->site),
                                   .transaction_id = face_text(s.set->transaction_id)};
    return give(ret, &full, sizeof full);
}

static void describe(const struct fact *f, struct sync_change *c)
{
    *c = (struct sync_change){
        .hlc = hlc_of(&f->hlc), .schema = face_text(f->schema), .table = face_text(f->table)};
    switch (f->type) {
    case FACT_CELL:
        c->kind = SYNC_CHANGE_CELL;
        c->column = face_text(f->cell.column);
        c->pk = face_text(f->cell.pk);
        c->value = face_text(f->cell.value);
        c->has_prior = f->cell.has_prior;
        c->prior_value = face_text(f->cell.prior_value);
        c->prior_hlc = hlc_of(&f->cell.prior_hlc);
        break;
    case FACT_DELETE:
        c->kind = SYNC_CHANGE_DELETE;
        c->pk = face_text(f->del.pk);
        c->has_prior_row = f->del.has_prior_row;
        c->prior_row = face_text(f->del.prior_row);
        break;
    case FACT_MIGRATION:
        c->kind = SYNC_CHANGE_MIGRATION;
        c->migration = face_text(slice_str(migration_type_name(f->migration.type)));
        c->from_table = face_text(f->migration.from_table);
        c->ddl = face_text(f->migration.ddl);
        c->schema_version = face_text(f->migration.schema_version);
        break;
    }
}

static int change_at(struct sync_change_sets *face, uint32_t set, uint32_t change, struct sync_change *ret)
{
    const struct hook_turn *turn = face->server;
    const struct fact *f = hook_sets_fact(turn->sets, set, change);
    struct sync_change full;
    if (f == NULL) return 0;
    describe(f, &full);
    return give(ret, &full, sizeof full);
}

static struct slice slice_from(struct sync_text t)
{
    return slice_of(t.bytes, t.bytes == NULL ? 0 : t.len);
}

static int reject(struct sync_change_sets *face, uint32_t set, const struct sync_rejection *why)
{
    struct hook_turn *turn = face->server;
    struct sync_rejection full = {0};
    memcpy(&full, why, why->bytes < sizeof full ? why->bytes : sizeof full);
    struct hook_rejection texts = {.reason = slice_from(full.reason),
                                   .code = slice_from(full.code),
                                   .table = slice_from(full.table),
                                   .column = slice_from(full.column)};
    return hook_actions_reject(&turn->actions, turn->sets, set, &texts);
}

static int drop(struct sync_change_sets *face, uint32_t set, uint32_t change)
{
    struct hook_turn *turn = face->server;
    return hook_actions_drop(&turn->actions, turn->sets, set, change);
}

static int replace(struct sync_change_sets *face, uint32_t set, struct sync_text json)
{
    struct hook_turn *turn = face->server;
    return hook_actions_replace(&turn->actions, turn->sets, set, slice_from(json));
}

struct sync_change_sets face_sets(struct hook_turn *turn)
{
    return (struct sync_change_sets){.bytes = sizeof(struct sync_change_sets),
                                     .count = turn->sets->count,
                                     .server = turn,
                                     .set_at = set_at,
                                     .change_at = change_at,
                                     .reject = reject,
                                     .drop = drop,
                                     .replace = replace};
}
