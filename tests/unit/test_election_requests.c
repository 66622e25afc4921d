/* How many requests an instance makes in an hour, counted one by one: those of the election as the machine
 * asks for them, and those of the cluster's tasks, which it is told of. Every answer takes 20 ms. */
#include "election_rig.h"

#include "core/base/request_budget.h"

enum { HOUR_MS = 3600000, ANSWER_MS = 20, HOURS = 12, RENEW_MS = 9577 };

/* A task that hands out a round of tickets to three instances. Of these requests the leader makes 19: its
 * round (1), its tickets (3), two hints' addresses (2), a list and the deletion of nine objects of the round
 * before (10), and as one of the three a list, a claim and a result (3). The others make the last three. Once
 * an hour each instance also lists the tickets six times, and the leader writes cluster.json six times. */
enum { ROUND_OF_LEADER = 19, ROUND_OF_FOLLOWER = 3, HOURLY_OF_LEADER = 12, HOURLY_OF_FOLLOWER = 6 };

struct count {
    uint64_t requests; /* of the election */
    uint64_t lists;
    uint64_t renew_ms; /* when a foreign leader renews next */
};

static void answer(struct rig *r, enum election_op_kind kind, uint64_t write)
{
    static const char *const keys[] = {"workers/a.json", "workers/b.json", "workers/c.json",
                                       "epochs/epoch-0000000001", NULL};
    char version[32];
    if (kind == ELECTION_READ_STATE) {
        rig_shows(r);
    } else if (kind == ELECTION_WRITE_STATE) {
        rig_writes(r);
    } else if (kind == ELECTION_LIST) {
        (void)snprintf(version, sizeof version, "v%" PRIu64, write);
        rig_lists(r, keys, version);
    } else {
        rig_answer(r, kind, ELECTION_OK);
    }
}

/* Lets the machine run until `end_ms`, and answers whatever it asks for. A foreign leader, if there is one,
 * renews every RENEW_MS. */
static void run(struct rig *r, uint64_t end_ms, bool follows, struct count *count)
{
    uint64_t answer_ms[ELECTION_OP_KINDS] = {0};
    while (r->now_ms < end_ms) {
        uint64_t next = r->u.wake_ms < end_ms ? r->u.wake_ms : end_ms;
        r->event_count = 0;
        for (int k = 0; k < ELECTION_OP_KINDS; k++)
            if (r->open[k] && answer_ms[k] < next) next = answer_ms[k];
        if (follows && count->renew_ms < next) next = count->renew_ms;
        r->wall_ms += next - r->now_ms;
        r->now_ms = next;
        if (follows && next == count->renew_ms) {
            struct election_state s = r->state;
            s.token.write++;
            rig_set_state(r, &s);
            count->renew_ms += RENEW_MS;
        }
        bool answered = false;
        for (enum election_op_kind k = 0; k < ELECTION_OP_KINDS && !answered; k++) {
            if (!r->open[k] || answer_ms[k] > next) continue;
            answer(r, k, next / 14000); /* a worker writes about so often */
            answered = true;
        }
        if (!answered) rig_tick(r);
        for (size_t i = 0; i < r->u.op_count; i++) {
            answer_ms[r->u.ops[i].kind] = r->now_ms + ANSWER_MS;
            count->requests++;
            count->lists += r->u.ops[i].kind == ELECTION_LIST ? 1 : 0;
        }
    }
}

/* Requests an hour, on average of some hours, of the tasks as well. */
static double measure(bool leads, uint32_t tasks, struct count *ret)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, leads ? "a" : "b");
    static const char *const others[] = {"workers/b.json", "workers/c.json", NULL};
    uint32_t round = leads ? ROUND_OF_LEADER : ROUND_OF_FOLLOWER;
    uint32_t burst = tasks * round + (leads ? HOURLY_OF_LEADER : HOURLY_OF_FOLLOWER);
    struct count settling = {.renew_ms = r.now_ms + RENEW_MS}, count = {0};
    if (leads)
        rig_found(&r, others);
    else
        rig_follow(&r, "a");
    run(&r, r.now_ms + HOUR_MS, !leads, &settling);
    count.renew_ms = settling.renew_ms;
    for (int hour = 0; hour < HOURS; hour++) {
        election_lend(r.e, burst, r.now_ms);
        run(&r, r.now_ms + HOUR_MS, !leads, &count);
    }
    cr_assert_eq(rig_leads(&r), leads);
    rig_free(&r);
    *ret = count;
    return (double)(count.requests + (uint64_t)HOURS * burst) / HOURS;
}

Test(election_requests, of_a_leader_stay_within_one_a_heartbeat_however_many_tasks_it_has)
{
    static const uint32_t tasks[] = {0, 1, 3, 5, 8};
    for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++) {
        struct count c;
        double sum = measure(true, tasks[i], &c);
        cr_assert_leq(sum, 720.5, "%u tasks: %.1f an hour", tasks[i], sum);
        cr_assert_geq(c.lists / HOURS, 150, "%u tasks: it still looks who is there", tasks[i]);
    }
}

Test(election_requests, of_a_follower_stay_within_one_a_heartbeat_however_many_tasks_there_are)
{
    static const uint32_t tasks[] = {0, 1, 3, 10};
    for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++) {
        struct count c;
        double sum = measure(false, tasks[i], &c);
        cr_assert_leq(sum, 720.5, "%u tasks: %.1f an hour", tasks[i], sum);
    }
}
