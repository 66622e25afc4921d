/* What is created once: a ticket, a claim, a result. Answers get lost, and everybody must still know whose it
 * is. object_put_if_absent() is wrapped to lose them. */
#include "server/coordinator/cluster.h"
#include "server/coordinator/hints.h"
#include "storage/objects/object_dir.h"
#include "temp_dir.h"

#include <criterion/criterion.h>

static struct temp_dir dir;
static struct err_ctx ec;
static struct coordinator_metrics metrics;
static struct cluster cluster = {
    .metrics = &metrics, .root = "work/", .worker_id = "a", .incarnation = 1, .call_ms = 5000};
static enum { ANSWERS, LOSES_ANSWER, DOES_NOT_ARRIVE, NEVER_ANSWERS } how;
static int puts_done;

enum sync_err __real_object_put_if_absent(struct object_store *s, const struct object_call *call,
                                          struct slice key, struct slice bytes, enum object_outcome *outcome,
                                          struct object_version *version, struct err_ctx *e);
enum sync_err __wrap_object_put_if_absent(struct object_store *s, const struct object_call *call,
                                          struct slice key, struct slice bytes, enum object_outcome *outcome,
                                          struct object_version *version, struct err_ctx *e);
enum sync_err __wrap_object_put_if_absent(struct object_store *s, const struct object_call *call,
                                          struct slice key, struct slice bytes, enum object_outcome *outcome,
                                          struct object_version *version, struct err_ctx *e)
{
    int now = (int)how;
    puts_done++;
    if (how != NEVER_ANSWERS) how = ANSWERS;
    enum sync_err rc = SYNC_OK;
    if (now == ANSWERS || now == LOSES_ANSWER)
        rc = __real_object_put_if_absent(s, call, key, bytes, outcome, version, e);
    if (now != ANSWERS) *outcome = OBJECT_UNKNOWN;
    return rc;
}

static void begin(void)
{
    struct object_dir_config cfg;
    temp_dir_make(&dir);
    cfg = (struct object_dir_config){.path = dir.path};
    cr_assert_eq(object_dir_open(&cfg, &cluster.store, &ec), SYNC_OK, "%s", ec.text);
}

static void end(void)
{
    object_store_close(cluster.store);
    temp_dir_remove(&dir);
}

TestSuite(cluster, .init = begin, .fini = end);

static bool create(const char *bytes)
{
    bool mine = false;
    cr_assert_eq(cluster_create(&cluster, NULL, NULL, "x.json", slice_str(bytes), &mine, &ec), SYNC_OK, "%s",
                 ec.text);
    return mine;
}

Test(cluster, the_first_one_creates_and_the_second_does_not)
{
    cr_assert(create("first"));
    cr_assert_not(create("second"));
}

Test(cluster, a_lost_answer_is_looked_up)
{
    how = LOSES_ANSWER;
    cr_assert(create("first"), "it had landed");
    cr_assert_eq(puts_done, 1);
}

Test(cluster, what_did_not_arrive_is_sent_again)
{
    how = DOES_NOT_ARRIVE;
    cr_assert(create("first"));
    cr_assert_eq(puts_done, 2);
}

Test(cluster, without_an_answer_somebody_elses_is_not_taken_for_ones_own)
{
    cr_assert(create("first"));
    how = LOSES_ANSWER;
    cr_assert_not(create("second"));
}

Test(cluster, a_store_that_never_answers_is_an_error)
{
    bool mine = true;
    how = NEVER_ANSWERS;
    cr_assert_eq(cluster_create(&cluster, NULL, NULL, "x.json", slice_str("first"), &mine, &ec), SYNC_EBUSY);
    cr_assert_not(mine);
    cr_assert_str_eq(ec.text, "create x.json: no answer to trust");
}

Test(hints, only_one_for_this_very_process_is_taken)
{
    enum hint_kind kind = HINT_TICKETS;
    cr_assert(hint_parse(slice_str("00000000000000ab election"), 0xab, &kind));
    cr_assert_eq(kind, HINT_ELECTION);
    cr_assert(hint_parse(slice_str("00000000000000ab tickets"), 0xab, &kind));
    cr_assert_eq(kind, HINT_TICKETS);
    static const char *const bad[] = {"",
                                      "ab election",
                                      "00000000000000ac election",
                                      "00000000000000AB election",
                                      "00000000000000ab",
                                      "00000000000000ab elections",
                                      "00000000000000ab other"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not(hint_parse(slice_str(bad[i]), 0xab, &kind), "%s", bad[i]);
}
