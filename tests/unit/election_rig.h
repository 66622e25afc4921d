/* election_rig.h -- one election machine with its answers given by hand.
 *
 * Time moves only by rig_at() and rig_after(); what the machine asks for is kept by kind until it is
 * answered. */
#ifndef TESTS_ELECTION_RIG_H
#define TESTS_ELECTION_RIG_H

#include "core/election/election.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { RIG_EVENTS_MAX = 200 };

struct rig {
    struct election *e;
    struct election_update u;
    uint64_t now_ms, wall_ms, start_ms;
    struct election_op asked[ELECTION_OP_KINDS];
    bool open[ELECTION_OP_KINDS];
    uint64_t until_ms[ELECTION_OP_KINDS];         /* it waits for an answer until then */
    struct election_event events[RIG_EVENTS_MAX]; /* all so far */
    size_t event_count;
    char hints[16][WORKER_ID_MAX + 1];
    size_t hint_count;
    struct election_etag etag; /* of state.json as the rig has it */
    struct election_state state;
    uint32_t etags;
};

static struct election_config rig_config(void)
{
    struct election_config cfg = ELECTION_CONFIG_DEFAULT;
    cfg.cold_start.skip = true;
    return cfg;
}

static void rig_put(struct rig *r, enum election_input_kind kind, const struct election_result *result)
{
    struct election_input in = {.kind = kind,
                                .mono_ms = r->now_ms,
                                .wall_ms = r->wall_ms,
                                .random = 0x1234567 * (r->now_ms + r->event_count),
                                .result = result};
    for (int k = 0; k < ELECTION_OP_KINDS; k++)
        if (r->now_ms >= r->until_ms[k]) r->open[k] = false;
    election_step(r->e, &in, &r->u);
    cr_assert_gt(r->u.wake_ms, r->now_ms, "it asks to be called in the past");
    for (size_t i = 0; i < r->u.op_count; i++) {
        r->asked[r->u.ops[i].kind] = r->u.ops[i];
        r->open[r->u.ops[i].kind] = true;
        r->until_ms[r->u.ops[i].kind] = r->now_ms + r->u.ops[i].wait_ms;
    }
    for (size_t i = 0; i < r->u.event_count; i++) {
        cr_assert_lt(r->event_count, RIG_EVENTS_MAX);
        r->events[r->event_count++] = r->u.events[i];
    }
    for (size_t i = 0; i < r->u.hint_count; i++)
        (void)snprintf(r->hints[r->hint_count++ % 16], sizeof r->hints[0], "%s", r->u.hints[i]);
}

static inline void rig_tick(struct rig *r)
{
    rig_put(r, ELECTION_TICK, NULL);
}

/* Moves both clocks on, calling the machine whenever it asks for it. Requests stay unanswered. */
static inline void rig_after(struct rig *r, uint64_t ms)
{
    uint64_t end = r->now_ms + ms;
    while (r->u.wake_ms <= end) {
        r->wall_ms += r->u.wake_ms - r->now_ms;
        r->now_ms = r->u.wake_ms;
        rig_tick(r);
    }
    r->wall_ms += end - r->now_ms;
    r->now_ms = end;
}

static inline struct rig rig_new(const struct election_config *cfg, const char *id)
{
    struct rig r = {.now_ms = 1000000, .wall_ms = 1700000000000, .start_ms = 1000000};
    struct election_self self = {.incarnation = 0xabcdef};
    struct err_ctx ec;
    (void)snprintf(self.worker_id, sizeof self.worker_id, "%s", id);
    cr_assert_eq(election_new(cfg, &self, &r.e, &ec), SYNC_OK, "%s", ec.text);
    rig_tick(&r);
    rig_after(&r, ELECTION_START_JITTER_MS_MAX + 1); /* past the start jitter */
    return r;
}

static inline void rig_free(struct rig *r)
{
    election_free(r->e);
}

/* Has it asked for this, and not been answered? */
#define rig_asks(r, kind) ((r)->open[kind])

static inline struct election_result rig_result(struct rig *r, enum election_op_kind kind,
                                                enum election_outcome outcome)
{
    cr_assert(r->open[kind], "nothing of kind %s was asked", election_op_name(kind));
    r->open[kind] = false;
    return (struct election_result){
        .kind = kind, .op_id = r->asked[kind].id, .outcome = outcome, .readable = true, .complete = true};
}

static inline void rig_answer(struct rig *r, enum election_op_kind kind, enum election_outcome outcome)
{
    struct election_result result = rig_result(r, kind, outcome);
    rig_put(r, ELECTION_RESULT, &result);
}

/* state.json becomes what somebody wrote. */
static inline void rig_set_state(struct rig *r, const struct election_state *s)
{
    r->state = *s;
    (void)snprintf(r->etag.text, sizeof r->etag.text, "etag-%u", ++r->etags);
}

static inline struct election_state rig_foreign(const char *id, uint64_t epoch, uint64_t write)
{
    struct election_state s = {.epoch = epoch,
                               .hold = ELECTION_HELD,
                               .token = {.incarnation = 77, .write = write},
                               .lease_ms = 15000,
                               .renew_ms = 9577,
                               .workers = 2};
    (void)snprintf(s.leader_id, sizeof s.leader_id, "%s", id);
    return s;
}

/* The look is answered with state.json as the rig has it. */
static inline void rig_shows(struct rig *r)
{
    struct election_result result = rig_result(r, ELECTION_READ_STATE, ELECTION_OK);
    result.etag = r->etag;
    result.state = r->state;
    rig_put(r, ELECTION_RESULT, &result);
}

/* The writing of state.json succeeds. */
static inline void rig_writes(struct rig *r)
{
    struct election_result result = rig_result(r, ELECTION_WRITE_STATE, ELECTION_OK);
    rig_set_state(r, &r->asked[ELECTION_WRITE_STATE].state);
    result.etag = r->etag;
    rig_put(r, ELECTION_RESULT, &result);
}

/* The list is answered with these keys, a NULL at the end; ETags are made of the key and `version`. */
static inline void rig_lists(struct rig *r, const char *const *keys, const char *version)
{
    struct election_listed listed[64];
    struct election_result result = rig_result(r, ELECTION_LIST, ELECTION_OK);
    for (; keys[result.listed_count] != NULL; result.listed_count++) {
        struct election_listed *l = &listed[result.listed_count];
        l->key = slice_str(keys[result.listed_count]);
        (void)snprintf(l->etag.text, sizeof l->etag.text, "%s", version);
    }
    result.listed = listed;
    rig_put(r, ELECTION_RESULT, &result);
}

static inline bool rig_leads(const struct rig *r)
{
    return election_may_lead(&r->u.lead, r->now_ms);
}

static inline struct election_status rig_status(const struct rig *r)
{
    struct election_status st;
    election_status(r->e, r->now_ms, &st);
    return st;
}

/* The last event of the kind, NULL when there was none. */
static inline const struct election_event *rig_event(const struct rig *r, enum election_event_kind kind)
{
    for (size_t i = r->event_count; i-- > 0;)
        if (r->events[i].kind == kind) return &r->events[i];
    return NULL;
}

static inline bool rig_hinted(const struct rig *r, const char *id)
{
    for (size_t i = 0; i < r->hint_count; i++)
        if (strcmp(r->hints[i], id) == 0) return true;
    return false;
}

static const char *const rig_no_keys[] = {NULL};

/* From nothing to leading epoch 1 of a new namespace, `others` being listed as well. */
static inline void rig_found(struct rig *r, const char *const *keys)
{
    rig_answer(r, ELECTION_PUT_WORKER, ELECTION_OK);
    rig_answer(r, ELECTION_READ_STATE, ELECTION_ABSENT);
    if (rig_asks(r, ELECTION_LIST)) rig_lists(r, keys, "v1");
    if (rig_asks(r, ELECTION_READ_STATE)) rig_answer(r, ELECTION_READ_STATE, ELECTION_ABSENT);
    rig_answer(r, ELECTION_CREATE_EPOCH, ELECTION_OK);
    cr_assert_eq(r->asked[ELECTION_WRITE_STATE].state.hold, ELECTION_VACANT);
    rig_writes(r);
    cr_assert_eq(r->asked[ELECTION_WRITE_STATE].state.hold, ELECTION_HELD);
    rig_writes(r);
}

/* A follower that has seen `id` lead epoch 7. */
static inline void rig_follow(struct rig *r, const char *id)
{
    struct election_state s = rig_foreign(id, 7, 1);
    rig_answer(r, ELECTION_PUT_WORKER, ELECTION_OK);
    rig_set_state(r, &s);
    rig_shows(r);
}

#endif
