#include "storage/shard/shard_write.h"

/* ---- the merge's view of what stands there */

static enum sync_err find_fact(void *state, const struct fact *f, struct arena *arena,
                               struct stored_fact *ret, struct err_ctx *ec)
{
    return writing_find(state, f, arena, ret, ec);
}

static enum sync_err find_tombstone(void *state, const struct fact *f, struct stored_fact *ret,
                                    struct err_ctx *ec)
{
    return writing_find_tombstone(state, f, ret, ec);
}

/* ---- carrying out the plan */

/* What a cell replaces is judged against the state before the batch (protocol section 3, rules 3 and 4). So a
 * cell that survives a delete of its own batch, as resurrection allows, remembers the value that it and the
 * delete found here, in whichever order the two are carried out. */
static struct fact with_prior(const struct fact *f, const struct stored_fact *before)
{
    struct fact cell = *f;
    if (f->type != FACT_CELL) return cell;
    cell.cell.has_prior = before->found;
    cell.cell.prior_value = before->value;
    cell.cell.prior_hlc = before->hlc;
    return cell;
}

static enum sync_err carry_out(struct writing *w, const struct batch *b, const struct merge_plan *plan,
                               struct err_ctx *ec)
{
    struct database *d = w->database;
    enum sync_err rc = writing_begin_database(w, ec);
    if (rc == SYNC_OK) rc = group_wait(w->g, d, &d->record.last, w->created_ms, ec);
    struct stamp s = stamp_next(&d->record.last, &b->highest);
    for (size_t i = 0; i < plan->write_count && rc == SYNC_OK; i++) {
        const struct stored_fact *before = &plan->judgements[plan->writes[i]].before;
        const struct fact f = with_prior(&b->facts[plan->writes[i]], before);
        s.op_seq = (uint32_t)i;
        rc = writing_put(w, &f, before, &s, ec);
    }
    if (rc != SYNC_OK) return rc;
    d->record.last = s;
    d->changed = true;
    return SYNC_OK;
}

static enum sync_err apply_one(struct group *g, struct apply_request *r, struct err_ctx *ec)
{
    struct writing a = {.g = g, .created_ms = r->now_ms};
    enum sync_err rc = group_database(g, r->database, &a.database, ec);
    if (rc == SYNC_OK) rc = database_check_live(a.database, ec);
    if (rc != SYNC_OK) return rc;

    const struct merge_rules rules = {.server_site = a.database->record.server_site,
                                      .allow_resurrection = g->sh->config.allow_resurrection};
    const struct merge_source source = {.state = &a, .find = find_fact, .find_tombstone = find_tombstone};
    struct merge_plan plan;
    struct arena scratch = {0};
    rc = merge_batch(r->batch, &rules, &source, &scratch, &plan, ec);
    if (rc == SYNC_OK) r->result = plan.result;
    if (rc == SYNC_OK && plan.write_count > 0) {
        const struct database before = *a.database;
        uint32_t number_last = g->number_last;
        overlay_mark(&g->overlay);
        rc = carry_out(&a, r->batch, &plan, ec);
        if (rc != SYNC_OK) {
            overlay_rollback(&g->overlay);
            g->number_last = number_last;
            a.database->record = before.record;
            a.database->exists = before.exists;
            a.database->changed = before.changed;
            a.database->waiting = before.waiting;
        }
    }
    arena_deinit(&scratch);
    r->last = a.database->record.last;
    r->waiting = a.database->waiting;
    if (rc != SYNC_OK) err_wrap(ec, "database %.*s", SLICE_ARG(r->database));
    return rc;
}

static void fail_all(struct apply_request *group, enum sync_err rc, const struct err_ctx *ec)
{
    for (struct apply_request *r = group; r != NULL; r = r->next) {
        r->rc = rc;
        r->ec = *ec;
        r->result = (struct merge_result){0};
    }
}

void shard_apply(struct shard *sh, struct apply_request *group)
{
    struct group g;
    struct err_ctx ec;
    enum sync_err rc = group_begin(&g, sh, &ec);
    if (rc == SYNC_OK) {
        for (struct apply_request *r = group; r != NULL; r = r->next) {
            r->result = (struct merge_result){0};
            r->rc = apply_one(&g, r, &r->ec);
        }
        rc = group_commit(&g, &ec);
    }
    /* Whoever was judged was judged against facts that now are not there: so nobody has a true answer. */
    if (rc != SYNC_OK) fail_all(group, rc, &ec);
    group_end(&g);
    if (rc == SYNC_OK) row_learner_step(&sh->learner, &sh->rows, &sh->cache, sh->instance);
}
