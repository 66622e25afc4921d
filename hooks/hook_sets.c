#include "hooks/hook_sets.h"

#include "core/json/json.h"
#include "core/json/json_text.h"
#include "core/protocol/change_set.h"

#include <assert.h>
#include <stdlib.h>

static enum sync_err no_memory(struct err_ctx *ec)
{
    return err_set(ec, SYNC_ENOMEM, "no memory for the decisions of hooks");
}

/* Makes sets that can be changed of those of the batch. */
static enum sync_err spell_out(struct hook_sets *s, struct err_ctx *ec)
{
    if (s->sets != NULL) return SYNC_OK;
    struct hook_set *sets = arena_get(&s->arena, ((size_t)s->count + 1) * sizeof *sets);
    if (sets == NULL) return no_memory(ec);
    for (uint32_t i = 0; i < s->count; i++) sets[i] = hook_sets_at(s, i);
    s->sets = sets;
    return SYNC_OK;
}

/* Changes stand before migrations, whichever member of the ChangeSet came first, so that a change has the
 * same index in this process and in a helper that reads the sets again from JSON. */
static enum sync_err put_in_order(struct hook_sets *s, struct hook_set *set, struct err_ctx *ec)
{
    const struct fact *facts = set->from->facts + set->set->fact_first;
    bool in_order = true;
    for (uint32_t i = 1; i < set->fact_count && in_order; i++)
        in_order = facts[i - 1].type != FACT_MIGRATION || facts[i].type == FACT_MIGRATION;
    if (in_order) return SYNC_OK;
    uint32_t *order = arena_get(&s->arena, set->fact_count * sizeof *order), count = 0;
    if (order == NULL) return no_memory(ec);
    for (int migrations = 0; migrations < 2; migrations++)
        for (uint32_t i = 0; i < set->fact_count; i++)
            if ((facts[i].type == FACT_MIGRATION) == (migrations == 1))
                order[count++] = (uint32_t)(set->set->fact_first + i);
    set->facts = order;
    return SYNC_OK;
}

enum sync_err hook_sets_init(struct hook_sets *s, const struct batch *b, struct err_ctx *ec)
{
    *s = (struct hook_sets){.batch = b};
    s->count = (uint32_t)b->set_count; /* a batch has at most BATCH_FACTS_MAX sets, and facts */
    if (b->migration_count == 0) return SYNC_OK;
    enum sync_err rc = spell_out(s, ec);
    for (uint32_t i = 0; i < s->count && rc == SYNC_OK; i++) rc = put_in_order(s, &s->sets[i], ec);
    if (rc != SYNC_OK) hook_sets_deinit(s);
    return rc;
}

void hook_sets_deinit(struct hook_sets *s)
{
    for (uint32_t i = 0; i < s->replacement_count; i++) batch_deinit(s->replacements[i]);
    arena_deinit(&s->arena);
    *s = (struct hook_sets){0};
}

static const struct fact *fact_of(const struct hook_set *set, uint32_t change)
{
    size_t at = set->facts != NULL ? set->facts[change] : set->set->fact_first + change;
    return &set->from->facts[at];
}

const struct fact *hook_sets_fact(const struct hook_sets *s, uint32_t set, uint32_t change)
{
    if (set >= s->count) return NULL;
    struct hook_set in = hook_sets_at(s, set);
    return change < in.fact_count ? fact_of(&in, change) : NULL;
}

/* ---- recording */

/* More than a hook can mean: each change dropped, each set rejected and replaced. Bounds what a runaway hook
 * makes the server keep. */
static size_t actions_max(const struct hook_sets *s)
{
    size_t max = 16;
    for (uint32_t i = 0; i < s->count; i++) max += 4 + (size_t)hook_sets_at(s, i).fact_count;
    return max;
}

static struct hook_action *add_action(struct hook_actions *a, const struct hook_sets *s,
                                      enum hook_action_kind kind, uint32_t set)
{
    struct hook_action *action = NULL;
    if (a->count_max == 0) a->count_max = actions_max(s);
    if (!a->broken && set < s->count && a->count < a->count_max)
        action = arena_get(&a->arena, sizeof *action);
    if (action == NULL) {
        a->broken = true;
        return NULL;
    }
    *action = (struct hook_action){.kind = kind, .set = set};
    *(a->last == NULL ? &a->first : &a->last->next) = action;
    a->last = action;
    a->count++;
    return action;
}

static bool copy_text(struct arena *arena, struct slice text, struct slice *ret)
{
    if (text.len > REJECTION_TEXT_MAX) text.len = REJECTION_TEXT_MAX;
    *ret = arena_copy(arena, text);
    return text.len == 0 || ret->bytes != NULL;
}

static bool copy_rejection(struct arena *arena, const struct hook_rejection *why, struct hook_rejection *ret)
{
    return copy_text(arena, why->reason, &ret->reason) && copy_text(arena, why->code, &ret->code) &&
           copy_text(arena, why->table, &ret->table) && copy_text(arena, why->column, &ret->column);
}

bool hook_actions_reject(struct hook_actions *a, const struct hook_sets *s, uint32_t set,
                         const struct hook_rejection *why)
{
    struct hook_action *action = add_action(a, s, HOOK_REJECT, set);
    if (action == NULL) return false;
    if (!copy_rejection(&a->arena, why, &action->why)) a->broken = true;
    return !a->broken;
}

bool hook_actions_drop(struct hook_actions *a, const struct hook_sets *s, uint32_t set, uint32_t change)
{
    if (hook_sets_fact(s, set, change) == NULL) a->broken = true;
    struct hook_action *action = add_action(a, s, HOOK_DROP, set);
    if (action == NULL) return false;
    action->change = change;
    return true;
}

bool hook_actions_replace(struct hook_actions *a, const struct hook_sets *s, uint32_t set, struct slice json)
{
    if (json.len > REPLACEMENT_BYTES_MAX) a->broken = true;
    struct hook_action *action = add_action(a, s, HOOK_REPLACE, set);
    if (action == NULL) return false;
    char *copy = arena_get(&a->arena, json.len + JSON_PADDING);
    if (copy == NULL) {
        a->broken = true;
        return false;
    }
    if (json.len > 0) memcpy(copy, json.bytes, json.len);
    memset(copy + json.len, ' ', JSON_PADDING);
    action->json = slice_of(copy, json.len);
    return true;
}

void hook_actions_deinit(struct hook_actions *a)
{
    arena_deinit(&a->arena);
    *a = (struct hook_actions){0};
}

/* ---- carrying out */

/* What all actions together mean for one set. */
struct verdict_on_set {
    const struct hook_action *reject, *replace;
    uint32_t dropped;
    uint8_t *gone; /* one byte per change; NULL: none is dropped */
};

static enum sync_err sum_up(const struct hook_sets *s, const struct hook_actions *a, struct arena *scratch,
                            struct verdict_on_set *verdicts, struct err_ctx *ec)
{
    for (const struct hook_action *x = a->first; x != NULL; x = x->next) {
        struct verdict_on_set *v = &verdicts[x->set];
        switch (x->kind) {
        case HOOK_REJECT:
            if (v->reject == NULL) v->reject = x;
            break;
        case HOOK_REPLACE: v->replace = x; break;
        case HOOK_DROP:
            if (v->gone == NULL) {
                v->gone = arena_get(scratch, s->sets[x->set].fact_count);
                if (v->gone == NULL) return no_memory(ec);
                memset(v->gone, 0, s->sets[x->set].fact_count);
            }
            if (!v->gone[x->change]) v->dropped++;
            v->gone[x->change] = 1;
            break;
        }
    }
    return SYNC_OK;
}

static enum sync_err leave_out(struct hook_sets *s, struct hook_set *set, const struct verdict_on_set *v,
                               struct err_ctx *ec)
{
    uint32_t *left = arena_get(&s->arena, set->fact_count * sizeof *left), count = 0;
    if (left == NULL) return no_memory(ec);
    for (uint32_t i = 0; i < set->fact_count; i++)
        if (!v->gone[i])
            left[count++] = set->facts != NULL ? set->facts[i] : (uint32_t)(set->set->fact_first + i);
    s->dropped_count += v->dropped;
    set->facts = left;
    set->fact_count = count;
    return SYNC_OK;
}

/* Reads the one ChangeSet of a replacement. Its text is copied into the new batch, which lives as long as the
 * view. */
static enum sync_err read_replacement(struct slice json, struct batch *ret, struct err_ctx *ec)
{
    enum sync_err rc;
    struct err_ctx unfinished;
    struct json_reader *r = json_reader_new(JSON_DEPTH_DEFAULT);
    char *text = malloc(json.len + 2 + JSON_PADDING);
    *ret = (struct batch){.text = text};
    if (r == NULL || text == NULL) {
        rc = no_memory(ec);
        goto out;
    }
    text[0] = '[';
    if (json.len > 0) memcpy(text + 1, json.bytes, json.len);
    memset(text + 1 + json.len, ' ', 1 + JSON_PADDING);
    text[1 + json.len] = ']';
    struct json_value root = json_open(r, text, json.len + 2);
    rc = change_sets_take(&root, ret, ec);
    enum sync_err closed = json_close(r, rc == SYNC_OK ? ec : &unfinished);
    if (rc == SYNC_OK) rc = closed;
    if (rc == SYNC_OK && ret->set_count != 1)
        rc = err_set(ec, SYNC_EBADMSG, "%zu ChangeSets in place of one", ret->set_count);
out:
    json_reader_free(r);
    if (rc != SYNC_OK) batch_deinit(ret);
    return rc;
}

static enum sync_err put_in_place(struct hook_sets *s, struct hook_set *set, struct slice json,
                                  struct err_ctx *ec)
{
    struct batch *b = arena_get(&s->arena, sizeof *b);
    if (b == NULL) return no_memory(ec);
    enum sync_err rc = read_replacement(json, b, ec);
    if (rc != SYNC_OK) return rc;
    s->replacements[s->replacement_count++] = b;
    if (!site_id_eq(&b->sets[0].site, &set->set->site) ||
        !slice_eq(b->sets[0].transaction_id, set->set->transaction_id))
        return err_set(ec, SYNC_EBADMSG, "siteId or transactionId differs");
    *set = (struct hook_set){.from = b, .set = &b->sets[0], .fact_count = (uint32_t)b->fact_count};
    return put_in_order(s, set, ec);
}

/* Room for what the actions add to the lists of the view. */
static enum sync_err make_room(struct hook_sets *s, struct err_ctx *ec)
{
    size_t rejected_max = (size_t)s->rejected_count + s->count;
    size_t replacements_max = (size_t)s->replacement_count + s->count;
    struct hook_rejection *rejected = arena_get(&s->arena, rejected_max * sizeof *rejected);
    struct batch **replacements = arena_get(&s->arena, replacements_max * sizeof *replacements);
    if (rejected == NULL || replacements == NULL) return no_memory(ec);
    if (s->rejected_count > 0) memcpy(rejected, s->rejected, s->rejected_count * sizeof *rejected);
    if (s->replacement_count > 0)
        memcpy(replacements, s->replacements, s->replacement_count * sizeof *replacements);
    s->rejected = rejected;
    s->replacements = replacements;
    return SYNC_OK;
}

static enum sync_err carry_out_on(struct hook_sets *s, struct hook_set *set, const struct verdict_on_set *v,
                                  struct err_ctx *ec)
{
    if (v->replace != NULL) return put_in_place(s, set, v->replace->json, ec);
    return v->gone != NULL ? leave_out(s, set, v, ec) : SYNC_OK;
}

enum sync_err hook_sets_carry_out(struct hook_sets *s, const struct hook_actions *a, struct err_ctx *ec)
{
    if (a->broken)
        return err_set(ec, SYNC_EBADMSG, "it decided about a ChangeSet or change that is not there");
    if (a->count == 0) return SYNC_OK;
    struct arena scratch = {0};
    uint32_t kept = 0;
    enum sync_err rc = spell_out(s, ec);
    if (rc == SYNC_OK) rc = make_room(s, ec);
    struct verdict_on_set *verdicts = arena_get(&scratch, s->count * sizeof *verdicts);
    if (rc == SYNC_OK && verdicts == NULL) rc = no_memory(ec);
    if (rc != SYNC_OK) goto out;
    memset(verdicts, 0, s->count * sizeof *verdicts);
    rc = sum_up(s, a, &scratch, verdicts, ec);
    for (uint32_t i = 0; i < s->count && rc == SYNC_OK; i++) {
        const struct verdict_on_set *v = &verdicts[i];
        if (v->reject != NULL) {
            s->rejected_facts += s->sets[i].fact_count;
            if (!copy_rejection(&s->arena, &v->reject->why, &s->rejected[s->rejected_count++]))
                rc = no_memory(ec);
            continue;
        }
        rc = carry_out_on(s, &s->sets[i], v, ec);
        if (rc != SYNC_OK) err_wrap(ec, "ChangeSet %u", i);
        s->sets[kept++] = s->sets[i];
    }
    if (rc == SYNC_OK) s->count = kept;
    s->changed = true;
out:
    arena_deinit(&scratch);
    return rc;
}

/* ---- the end */

/* Copies what a replacement's fact points at into the arena of the batch that takes it. */
static bool own(struct arena *arena, struct slice *s)
{
    *s = arena_copy(arena, *s);
    return s->len == 0 || s->bytes != NULL;
}

static bool own_fact(struct arena *arena, struct fact *f)
{
    bool good = own(arena, &f->schema) && own(arena, &f->table) && own(arena, &f->key);
    switch (f->type) {
    case FACT_CELL:
        return good && own(arena, &f->cell.column) && own(arena, &f->cell.pk) && own(arena, &f->cell.value) &&
               own(arena, &f->cell.prior_value);
    case FACT_DELETE: return good && own(arena, &f->del.pk) && own(arena, &f->del.prior_row);
    case FACT_MIGRATION:
        return good && own(arena, &f->migration.from_table) && own(arena, &f->migration.ddl) &&
               own(arena, &f->migration.schema_version);
    }
    return good;
}

static void raise_highest(struct batch *b, const struct hlc *h)
{
    if (hlc_cmp(h, &b->highest) > 0) b->highest = *h;
}

/* Appends one set of the view to `n`, a batch under construction whose slices live in `arena`. */
static bool append_set(struct batch *n, const struct batch *original, const struct hook_set *set,
                       struct arena *arena)
{
    struct change_set *to = &n->sets[n->set_count];
    *to = *set->set;
    to->fact_first = n->fact_count;
    to->fact_count = set->fact_count;
    raise_highest(n, &to->hlc);
    if (set->from != original && !own(arena, &to->transaction_id)) return false;
    for (uint32_t i = 0; i < set->fact_count; i++) {
        struct fact *f = &n->facts[n->fact_count];
        *f = *fact_of(set, i);
        f->set = (uint32_t)n->set_count;
        if (set->from != original && !own_fact(arena, f)) return false;
        raise_highest(n, &f->hlc);
        if (f->type == FACT_MIGRATION) n->migration_count++;
        n->fact_count++;
    }
    n->set_count++;
    return true;
}

enum sync_err hook_sets_settle(struct hook_sets *s, struct batch *b, struct err_ctx *ec)
{
    if (!s->changed) return SYNC_OK;
    size_t facts = 0;
    for (uint32_t i = 0; i < s->count; i++) facts += s->sets[i].fact_count;
    struct batch n = {.sets = calloc(s->count + 1, sizeof *n.sets),
                      .facts = calloc(facts + 1, sizeof *n.facts)};
    bool good = n.sets != NULL && n.facts != NULL;
    /* New texts go into the batch's own arena: it keeps what was put there even when this fails. */
    for (uint32_t i = 0; i < s->count && good; i++) good = append_set(&n, b, &s->sets[i], &b->arena);
    if (!good) {
        free(n.sets);
        free(n.facts);
        return no_memory(ec);
    }
    assert(n.fact_count == facts);
    free(b->sets);
    free(b->facts);
    b->sets = n.sets;
    b->facts = n.facts;
    b->set_count = n.set_count;
    b->fact_count = n.fact_count;
    b->migration_count = n.migration_count;
    b->highest = n.highest;
    s->count = 0;
    s->changed = false;
    return SYNC_OK;
}

static void put_facts(struct buf *out, const struct hook_set *set, bool migrations)
{
    bool first = true;
    for (uint32_t i = 0; i < set->fact_count; i++) {
        const struct fact *f = fact_of(set, i);
        if ((f->type == FACT_MIGRATION) != migrations) continue;
        if (!first) buf_put_char(out, ',');
        first = false;
        fact_put(out, f);
    }
}

void hook_sets_put(struct buf *out, const struct hook_sets *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        struct hook_set in = hook_sets_at(s, i);
        const struct change_set *set = in.set;
        if (i > 0) buf_put_char(out, ',');
        BUF_PUT_LIT(out, "{\"siteId\":");
        json_put_site(out, &set->site);
        BUF_PUT_LIT(out, ",\"transactionId\":\"");
        buf_put_slice(out, set->transaction_id);
        BUF_PUT_LIT(out, "\",\"hlc\":");
        json_put_hlc(out, &set->hlc);
        BUF_PUT_LIT(out, ",\"changes\":[");
        put_facts(out, &in, false);
        BUF_PUT_LIT(out, "],\"schemaMigrations\":[");
        put_facts(out, &in, true);
        BUF_PUT_LIT(out, "]}");
    }
}

static void put_member(struct buf *out, const char *name, struct slice text)
{
    if (text.len == 0) return;
    buf_put_str(out, name);
    json_put_text(out, text);
}

void hook_rejections_put(struct buf *out, const struct hook_sets *s)
{
    size_t first = out->len;
    buf_put_char(out, '[');
    for (uint32_t i = 0; i < s->rejected_count && out->len - first < REJECTIONS_BYTES_MAX; i++) {
        const struct hook_rejection *r = &s->rejected[i];
        if (i > 0) buf_put_char(out, ',');
        BUF_PUT_LIT(out, "{\"reason\":");
        json_put_text(out, r->reason);
        put_member(out, ",\"code\":", r->code);
        put_member(out, ",\"table\":", r->table);
        put_member(out, ",\"column\":", r->column);
        buf_put_char(out, '}');
    }
    buf_put_char(out, ']');
}
