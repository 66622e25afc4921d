/* Every allocation of the election and of what the cluster keeps in the object store fails once: the 1st,
 * then the 2nd, until none is left (nomem.h). Reading what is kept there needs no memory but the JSON
 * reader's (test_json_nomem.c). */
#include "core/election/election.h"
#include "core/election/election_record.h"
#include "core/election/election_text.h"
#include "core/election/election_workers.h"
#include "core/election/ticket.h"

#include "nomem.h"

#include <criterion/criterion.h>
#include <stdio.h>

static enum sync_err make_election(struct err_ctx *ec)
{
    static const struct election_config cfg = ELECTION_CONFIG_DEFAULT;
    static const struct election_self self = {.worker_id = "worker-1", .incarnation = 7};
    struct election_input in = {.kind = ELECTION_TICK, .mono_ms = 1, .random = 5};
    struct election_update u;
    struct election *e;
    enum sync_err rc = election_new(&cfg, &self, &e, ec);
    if (rc != SYNC_OK) return rc;
    election_step(e, &in, &u);
    election_free(e);
    return SYNC_OK;
}

Test(election_nomem, a_new_election)
{
    nomem_each(make_election);
}

static enum sync_err put_records(struct err_ctx *ec)
{
    static const char *const tasks[] = {"retention", "cluster-status"};
    struct buf out = buf_make(METADATA_BYTES_MAX);
    struct election_worker_record worker = {.worker_id = "worker-1", .url = "http://worker-1:8080"};
    election_state_put(&out, "default", &(struct election_state){.epoch = 7, .leader_id = "worker-1"});
    election_epoch_put(&out, &(struct election_epoch){.epoch = 7, .worker_id = "worker-1"});
    election_worker_record_put(&out, &worker);
    election_metadata_put(
        &out, &(struct election_metadata){.namespace_name = "default", .tasks = tasks, .task_count = 2});
    enum sync_err rc = buf_check(&out, ec);
    buf_deinit(&out);
    return rc;
}

Test(election_nomem, records_written)
{
    nomem_each(put_records);
}

static enum sync_err put_lines(struct err_ctx *ec)
{
    struct buf out = buf_make(METADATA_BYTES_MAX);
    for (enum election_event_kind k = ELECTION_EVENT_STARTED; k <= ELECTION_EVENT_GONE; k++)
        election_event_line(&out, "global", "default", &(struct election_event){.kind = k, .to = "worker-1"});
    enum sync_err rc = buf_check(&out, ec);
    buf_deinit(&out);
    return rc;
}

Test(election_nomem, lines_of_the_log)
{
    nomem_each(put_lines);
}

/* ---- who is there, and what is to do */

enum { SEEN = 200 };

static void see_workers(struct election_workers *w)
{
    static const struct election_etag etag = {"1"};
    char id[WORKER_ID_MAX + 1];
    workers_list_start(w);
    for (int i = 0; i < SEEN; i++) {
        (void)snprintf(id, sizeof id, "worker-%03d", i);
        workers_list_see(w, slice_str(id), &etag, 1);
    }
    workers_list_end(w, true);
}

/* Who finds no room is not seen: by this listing. The next one makes it good. */
static enum sync_err list_workers(struct err_ctx *ec)
{
    struct election_workers w = workers_make();
    see_workers(&w);
    bool failed = nomem_disarm();
    cr_assert_leq(w.count, SEEN);
    see_workers(&w);
    cr_assert_eq(w.count, SEEN);
    workers_deinit(&w);
    return failed ? err_set(ec, SYNC_ENOMEM, "not all were seen") : SYNC_OK;
}

Test(election_nomem, workers_seen)
{
    nomem_each(list_workers);
}

static void see_tickets(struct ticket_board *b)
{
    ticket_board_list_start(b);
    for (uint64_t i = 1; i <= SEEN; i++) {
        struct ticket_id id = ticket_id_numbered("snapshots", i, 1);
        struct ticket_key key = ticket_body_key(id.text);
        ticket_board_see(b, slice_str(key.text), 1);
    }
    ticket_board_list_end(b, true);
}

static enum sync_err list_tickets(struct err_ctx *ec)
{
    struct ticket_board b = {0};
    see_tickets(&b);
    bool failed = nomem_disarm();
    cr_assert_leq(b.count, SEEN);
    see_tickets(&b);
    cr_assert_eq(b.count, SEEN);
    ticket_board_deinit(&b);
    return failed ? err_set(ec, SYNC_ENOMEM, "not all were seen") : SYNC_OK;
}

Test(election_nomem, tickets_seen)
{
    nomem_each(list_tickets);
}

static enum sync_err put_tickets(struct err_ctx *ec)
{
    static const struct ticket_stamp by = {.worker_id = "worker-1", .incarnation = 7, .wall_ms = 1};
    struct buf out = buf_make(METADATA_BYTES_MAX);
    ticket_body_put(&out, "snapshots-1-n-0", 7, &by);
    ticket_claim_put(&out, "snapshots-1-n-0", 1, &by);
    ticket_result_put(&out, "snapshots-1-n-0", 1, false, "a \"text\"", &by);
    enum sync_err rc = buf_check(&out, ec);
    buf_deinit(&out);
    return rc;
}

Test(election_nomem, tickets_written)
{
    nomem_each(put_tickets);
}
