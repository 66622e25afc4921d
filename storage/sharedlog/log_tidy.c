#include "storage/sharedlog/log_tidy.h"

#include "storage/sharedlog/log_plan.h"

#include <stdlib.h>
#include <string.h>

enum { THIN_HALF_BYTES_MIN = 1 << 20 }; /* of a segment that is not covered as a whole */

/* A segment that this process has seen. */
struct seen {
    struct log_part part;
    uint64_t since_ms;
    bool proven; /* its head was read */
};

struct log_tidy {
    struct log_tidy_config cfg;
    struct seen *seen;
    size_t seen_count;
};

/* One round. */
struct round {
    struct log_tidy *t;
    struct log_list list;
    uint64_t *weights; /* of the list's parts: the bytes that are to stay */
    bool *thin;        /* likewise: it is worth a new generation */
    uint64_t until;
    struct log_tidy_result *result;
};

enum sync_err log_tidy_new(const struct log_tidy_config *cfg, struct log_tidy **ret, struct err_ctx *ec)
{
    struct log_tidy *t = calloc(1, sizeof *t);
    if (t == NULL) return err_set(ec, SYNC_ENOMEM, "no memory to tidy the shared log");
    t->cfg = *cfg;
    enum sync_err rc = log_cover_new(&cfg->cover, &t->cfg.merge.cover, ec);
    if (rc == SYNC_OK)
        *ret = t;
    else
        free(t);
    return rc;
}

void log_tidy_free(struct log_tidy *t)
{
    if (t == NULL) return;
    log_cover_free(t->cfg.merge.cover);
    free(t->seen);
    free(t);
}

static bool same_part(const struct log_part *a, const struct log_part *b)
{
    return a->first == b->first && a->last == b->last && a->is_segment == b->is_segment &&
           a->generation == b->generation;
}

/* ---- merging */

/* Weights and marks follow the list when parts of it are replaced. */
static enum sync_err replace(struct round *r, size_t first, size_t count, const struct log_part *segment,
                             struct err_ctx *ec)
{
    size_t after = r->list.count - first - count;
    enum sync_err rc = log_list_replace(&r->list, first, count, segment, ec);
    if (rc != SYNC_OK) return rc;
    memmove(r->weights + first + 1, r->weights + first + count, after * sizeof *r->weights);
    memmove(r->thin + first + 1, r->thin + first + count, after * sizeof *r->thin);
    r->weights[first] = segment->bytes;
    r->thin[first] = false;
    return SYNC_OK;
}

/* *ret_done is false where these parts stay as they are, for a reason that holds for them alone. */
static enum sync_err merge(struct round *r, size_t first, size_t count, uint64_t generation, bool *ret_done,
                           struct err_ctx *ec)
{
    struct log_tidy_result *result = r->result;
    enum log_merged merged;
    struct log_part segment;
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++) bytes += r->list.parts[first + i].bytes;
    *ret_done = false;
    enum sync_err rc =
        log_merge(&r->t->cfg.merge, r->list.parts + first, count, generation, &merged, &segment, ec);
    if (rc == SYNC_OK && merged == LOG_UNSURE) return SYNC_EBUSY;
    if (rc == SYNC_EFORMAT || (rc == SYNC_OK && merged == LOG_TOO_LARGE)) {
        result->failures++;
        result->why = *ec;
        if (rc == SYNC_OK)
            (void)err_set(&result->why, SYNC_ELIMIT, "a segment of %zu parts would be too large", count);
        return SYNC_OK;
    }
    if (rc != SYNC_OK || merged == LOG_UNCHANGED) return rc;
    *ret_done = true;
    result->segment_bytes += segment.bytes;
    if (bytes > segment.bytes) result->dropped_bytes += bytes - segment.bytes;
    return replace(r, first, count, &segment, ec);
}

static enum sync_err merge_all(struct round *r, struct err_ctx *ec)
{
    const struct log_tidy_config *cfg = &r->t->cfg;
    /* Rows and runs take a little more in a segment than in an object. */
    uint64_t bytes_max = cfg->merge.bytes_max - cfg->merge.bytes_max / 16;
    struct log_plan plan = {0};
    size_t first, count;
    enum sync_err rc = SYNC_OK;
    while (rc == SYNC_OK &&
           log_plan_next(&plan, &r->list, r->weights, cfg->fan_in, r->until, bytes_max, &first, &count)) {
        bool done;
        rc = merge(r, first, count, 0, &done, ec);
        if (rc == SYNC_OK && done) r->result->merged++;
        if (rc == SYNC_OK && done) plan.next = first + 1;
    }
    return rc;
}

/* ---- what snapshots cover */

static enum sync_err weigh_all(struct round *r, struct err_ctx *ec)
{
    const struct log_tidy_config *cfg = &r->t->cfg;
    for (size_t i = 0; i < r->list.count; i++) {
        const struct log_part *p = &r->list.parts[i];
        struct log_weight w;
        if (p->last > r->until) break;
        enum sync_err rc = log_merge_weigh(&cfg->merge, p, &w, ec);
        if (rc == SYNC_EFORMAT) { /* it stays as it is */
            r->result->failures++;
            r->result->why = *ec;
            continue;
        }
        if (rc != SYNC_OK) return rc;
        if (w.bytes < r->weights[i]) r->weights[i] = w.bytes;
        r->thin[i] = w.covered_bytes >= cfg->thin_bytes_min &&
                     (w.all_covered ? w.covered_bytes > 0
                                    : w.covered_bytes >= w.bytes && w.covered_bytes >= THIN_HALF_BYTES_MIN);
    }
    return SYNC_OK;
}

static enum sync_err thin_all(struct round *r, struct err_ctx *ec)
{
    enum sync_err rc = SYNC_OK;
    for (size_t i = 0; i < r->list.count && rc == SYNC_OK; i++) {
        const struct log_part *p = &r->list.parts[i];
        bool done;
        /* The objects of a range that is not whole yet are merged before long. */
        if (!r->thin[i] || p->last > r->until - r->until % r->t->cfg.fan_in) continue;
        rc = merge(r, i, 1, p->is_segment ? p->generation + 1 : 0, &done, ec);
        if (rc == SYNC_OK && done) r->result->thinned++;
    }
    return rc;
}

/* ---- deleting */

/* Since when the segments that there are have been known. */
static enum sync_err note_seen(struct round *r, struct err_ctx *ec)
{
    struct log_tidy *t = r->t;
    uint64_t now_ms = t->cfg.now_ms();
    struct seen *seen = calloc(r->list.count + 1, sizeof *seen);
    size_t count = 0, old = 0;
    if (seen == NULL) return err_set(ec, SYNC_ENOMEM, "no memory to tidy the shared log");
    for (size_t i = 0; i < r->list.count; i++) {
        const struct log_part *p = &r->list.parts[i];
        if (!p->is_segment) continue;
        while (old < t->seen_count && t->seen[old].part.first < p->first) old++;
        bool known = old < t->seen_count && same_part(&t->seen[old].part, p);
        seen[count++] = known ? t->seen[old] : (struct seen){.part = *p, .since_ms = now_ms};
    }
    free(t->seen);
    t->seen = seen;
    t->seen_count = count;
    return SYNC_OK;
}

static struct seen *what_replaces(struct log_tidy *t, const struct log_part *p)
{
    for (size_t low = 0, high = t->seen_count; low < high;) {
        size_t middle = low + (high - low) / 2;
        struct seen *s = &t->seen[middle];
        if (s->part.first <= p->first && s->part.last >= p->last) return s;
        if (s->part.first > p->first)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* It must be there, whole and as it says, before anything goes for its sake. */
static enum sync_err prove(struct round *r, struct seen *s, struct err_ctx *ec)
{
    const struct log_merge_config *cfg = &r->t->cfg.merge;
    struct arena arena = {0};
    struct log_head head;
    struct log_section *sections;
    size_t count;
    uint32_t head_bytes;
    if (s->proven) return SYNC_OK;
    enum sync_err rc = log_part_head(cfg->objects, cfg->call, cfg->partition, &s->part, &arena, &head,
                                     &sections, &count, &head_bytes, ec);
    if (rc == SYNC_OK && head_bytes + log_object_data_bytes(sections, count) != s->part.bytes)
        rc = err_set(ec, SYNC_EFORMAT, "a segment of the shared log has another length than it says");
    s->proven = rc == SYNC_OK;
    arena_deinit(&arena);
    return rc;
}

static enum sync_err delete_replaced(struct round *r, struct err_ctx *ec)
{
    const struct log_tidy_config *cfg = &r->t->cfg;
    enum sync_err rc = SYNC_OK;
    bool go_on = true;
    for (size_t i = 0; i < r->list.replaced_count && rc == SYNC_OK; i++) {
        const struct log_part *p = &r->list.replaced[i];
        struct seen *s = what_replaces(r->t, p);
        struct log_name name;
        r->result->waiting++;
        if (!go_on || s == NULL || cfg->now_ms() - s->since_ms < cfg->grace_ms) continue;
        rc = prove(r, s, ec);
        if (rc != SYNC_OK) break;
        go_on = cfg->may_delete == NULL || cfg->may_delete(cfg->arg);
        if (!go_on) continue;
        log_part_name(cfg->merge.partition, p, &name);
        rc = object_delete(cfg->merge.objects, cfg->merge.call, log_name_slice(&name), ec);
        if (rc != SYNC_OK) break;
        r->result->deleted++;
        r->result->waiting--;
    }
    return rc;
}

enum sync_err log_tidy_round(struct log_tidy *t, uint64_t until, bool weigh, struct log_tidy_result *ret,
                             struct err_ctx *ec)
{
    const struct log_merge_config *cfg = &t->cfg.merge;
    struct round r = {.t = t, .until = until, .result = ret};
    *ret = (struct log_tidy_result){0};
    enum sync_err rc = log_list_read(cfg->objects, cfg->call, cfg->partition, &r.list, ec);
    if (rc != SYNC_OK) return rc;
    if (r.until > log_list_last(&r.list)) r.until = log_list_last(&r.list);
    r.weights = calloc(r.list.count + 1, sizeof *r.weights);
    r.thin = calloc(r.list.count + 1, sizeof *r.thin);
    if (r.weights == NULL || r.thin == NULL)
        rc = err_set(ec, SYNC_ENOMEM, "no memory to tidy the shared log");
    for (size_t i = 0; i < r.list.count && rc == SYNC_OK; i++) r.weights[i] = r.list.parts[i].bytes;
    if (rc == SYNC_OK && weigh) rc = weigh_all(&r, ec);
    if (rc == SYNC_OK) rc = merge_all(&r, ec);
    if (rc == SYNC_OK && weigh) rc = thin_all(&r, ec);
    if (rc == SYNC_OK) rc = note_seen(&r, ec);
    if (rc == SYNC_OK) rc = delete_replaced(&r, ec);
    ret->parts = (uint32_t)r.list.count;
    free(r.weights);
    free(r.thin);
    log_list_deinit(&r.list);
    log_cover_forget(cfg->cover); /* the next round asks anew */
    return rc;
}
