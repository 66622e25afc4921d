/* hook_sets.h -- the ChangeSets of a call, as the chain has approved them so far.
 *
 * Starts as a view of a batch, without copying or allocating anything. Each hook's decisions are gathered as
 * actions while it runs and carried out when it has returned: rejected sets leave the view, dropped changes
 * leave their set, a replaced set is read from the hook's JSON with every check that arriving ChangeSets get.
 * The next hook sees the result. In the end hook_sets_settle() edits the batch itself.
 *
 * Lifetimes: the batch and its text outlive the view, and stay unchanged until hook_sets_settle().
 * Threads: one at a time. */
#ifndef HOOKS_HOOK_SETS_H
#define HOOKS_HOOK_SETS_H

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/facts/batch.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    REJECTION_TEXT_MAX = 1000,         /* bytes of each text of a rejection; cut there */
    REPLACEMENT_BYTES_MAX = 100 << 20, /* JSON of one replacement */
    REJECTIONS_BYTES_MAX = 256 << 10,  /* told to a sender; the list ends with the one that passes it */
};

struct hook_rejection {
    struct slice reason, code, table, column; /* in the arena of the view */
};

/* One ChangeSet of the view. */
struct hook_set {
    const struct batch *from; /* the call's batch, or a replacement's */
    const struct change_set *set;
    const uint32_t *facts; /* indices of `from` that are left; NULL: all of the set's */
    uint32_t fact_count;
};

enum hook_action_kind { HOOK_REJECT, HOOK_DROP, HOOK_REPLACE };

/* What one hook wants to happen to one set of the view that it saw. */
struct hook_action {
    struct hook_action *next;
    enum hook_action_kind kind;
    uint32_t set;
    uint32_t change;           /* of HOOK_DROP */
    struct hook_rejection why; /* of HOOK_REJECT */
    struct slice json;         /* of HOOK_REPLACE; JSON_PADDING bytes follow it */
};

/* The actions of one hook, in order. All zero: none. */
struct hook_actions {
    struct hook_action *first, *last;
    size_t count, count_max; /* max: 0 before the first */
    bool broken;             /* it named what is not there, or memory was short: nobody knows what it meant */
    struct arena arena;
};

struct hook_sets {
    const struct batch *batch;
    struct hook_set *sets; /* NULL: as in the batch */
    uint32_t count;
    bool changed;            /* differs from the batch */
    uint64_t dropped_count;  /* single changes */
    uint64_t rejected_facts; /* changes in rejected sets */
    struct hook_rejection *rejected;
    uint32_t rejected_count;
    struct batch **replacements;
    uint32_t replacement_count;
    struct arena arena;
};

/* Errors: SYNC_ENOMEM. */
enum sync_err hook_sets_init(struct hook_sets *s, const struct batch *b, struct err_ctx *ec);
void hook_sets_deinit(struct hook_sets *s); /* takes an all-zero one, too */

/* set: below s->count. */
static inline struct hook_set hook_sets_at(const struct hook_sets *s, uint32_t set)
{
    if (s->sets != NULL) return s->sets[set];
    const struct change_set *as_it_came = &s->batch->sets[set];
    return (struct hook_set){
        .from = s->batch, .set = as_it_came, .fact_count = (uint32_t)as_it_came->fact_count};
}

/* The change's fact, or NULL: no such set or change. */
const struct fact *hook_sets_fact(const struct hook_sets *s, uint32_t set, uint32_t change);

/* Record an action. False: no such set or change in the view, or no memory; the actions are then broken. */
bool hook_actions_reject(struct hook_actions *a, const struct hook_sets *s, uint32_t set,
                         const struct hook_rejection *why);
bool hook_actions_drop(struct hook_actions *a, const struct hook_sets *s, uint32_t set, uint32_t change);
bool hook_actions_replace(struct hook_actions *a, const struct hook_sets *s, uint32_t set, struct slice json);
void hook_actions_deinit(struct hook_actions *a);

/* Carries the actions out on the view. Errors, the view is then to be thrown away: SYNC_EBADMSG for broken
 * actions and for a replacement that is not right, SYNC_ENOMEM, SYNC_ELIMIT. */
enum sync_err hook_sets_carry_out(struct hook_sets *s, const struct hook_actions *a, struct err_ctx *ec);

/* Makes the batch hold what the view approved: `b` is the batch the view was made of. The view's sets are
 * gone afterwards, its rejections stay. After SYNC_ENOMEM the batch is as it was. */
enum sync_err hook_sets_settle(struct hook_sets *s, struct batch *b, struct err_ctx *ec);

/* Appends the sets of the view as JSON objects with commas between them. */
void hook_sets_put(struct buf *out, const struct hook_sets *s);

/* Appends [{"reason":..,"code":..,"table":..,"column":..},..], up to REJECTIONS_BYTES_MAX. */
void hook_rejections_put(struct buf *out, const struct hook_sets *s);

#endif
