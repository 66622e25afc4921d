/* sim.h -- a server and its clients in one process, in one thread, in a time of their own.
 *
 * Everything that happens is an event at a simulated time; what is random comes from one seed. So a run is a
 * function of its seed, and a run that fails can be looked at again.
 *
 * Real are the session (core/protocol/session), the store with its merge, deltas and snapshots, and every
 * text between client and server. Simulated are the network, the sockets, the threads and the clients.
 *
 *     edits --> client --apply_changes--> connection --> session --> store
 *                  ^                          |
 *                  +---- changes, pushes -----+      the network delays, connections break, servers restart
 */
#ifndef TESTS_SIMULATION_SIM_H
#define TESTS_SIMULATION_SIM_H

#include "core/protocol/session.h"
#include "storage/store.h"
#include "tests/unit/store_fixture.h"
#include "wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The protocol's limits, scaled down so that small runs pass them often. */
enum {
    CLIENTS_MAX = 4,
    CLIENT_FACTS_MAX = 6, /* a client sends at most so many at once, and is nudged after so many */
    PUSHES_MAX = 2,       /* frames that wait for one session */
    REQUESTS_MAX = 2,
    PAGE_PROOF_TIMEOUT_MS = 600, /* longer than any way to a client and back */
    TRANSACTION_FACTS_MAX = 5,
    TRANSACTIONS_MAX = 600,
    REQUESTS_KEPT = 256, /* of a client: more are never under way */
};

/* What may be broken on purpose, to see that the simulation notices. X(constant, name on the command line) */
#define SIM_BUG_MAP(X)                                                                                       \
    X(NONE, "none")                                                                                          \
    X(PAGE_WITHOUT_PROOF, "page-without-proof") /* the next page goes at once */                             \
    X(PROOF_WHILE_HELD, "proof-while-held")     /* its time runs though no input is taken */                 \
    X(NO_BULK_NUDGE, "no-bulk-nudge")                                                                        \
    X(NO_LAGGING_NUDGE, "no-lagging-nudge")                                                                  \
    X(NO_SNAPSHOT_NUDGE, "no-snapshot-nudge")                                                                \
    X(DELTA_BY_FACT_HLC, "delta-by-fact-hlc")   /* not by arrival */                                         \
    X(CUT_IN_TRANSACTION, "cut-in-transaction") /* a page ends anywhere */                                   \
    X(PAGE_CLAIMS_ALL, "page-claims-all")       /* a page's watermark is the newest stamp */                 \
    X(ACK_BEFORE_STORE, "ack-before-store")                                                                  \
    X(PUSH_WITH_WATERMARK, "push-with-watermark")                                                            \
    X(LATE_SUBSCRIPTION, "late-subscription") /* pushes only once the first delta is sent */

enum sim_bug {
#define X(c, name) BUG_##c,
    SIM_BUG_MAP(X)
#undef X
        BUG_COUNT
};

const char *sim_bug_name(enum sim_bug bug);

/* How often things happened: a simulation in which they do not happen shows nothing. X(field) */
#define SIM_STATS_MAP(X)                                                                                     \
    X(edits)                                                                                                 \
    X(deltas)                                                                                                \
    X(pages)                                                                                                 \
    X(pages_lost)                                                                                            \
    X(pages_again)                                                                                           \
    X(pages_pushed)                                                                                          \
    X(nudges_bulk)                                                                                           \
    X(nudges_snapshot)                                                                                       \
    X(nudges_lagging)                                                                                        \
    X(nudges_periodic)                                                                                       \
    X(nudges_page)                                                                                           \
    X(holds)                                                                                                 \
    X(pushes_dropped)                                                                                        \
    X(snapshots)                                                                                             \
    X(resumes)                                                                                               \
    X(cuts)                                                                                                  \
    X(disconnects)                                                                                           \
    X(client_restarts)                                                                                       \
    X(server_restarts)                                                                                       \
    X(refused_applies)                                                                                       \
    X(overtaken)

struct sim_stats {
#define X(field) uint64_t field;
    SIM_STATS_MAP(X)
#undef X
};

struct sim;
struct event;
typedef void sim_event_fn(struct sim *s, struct event *e);

/* Something that will happen. What belongs to a connection or a run of a client that has ended does not. */
struct event {
    uint64_t at_ms, order;
    sim_event_fn *run;
    uint32_t client;
    uint64_t epoch;
    bool is_page; /* of a text to a client: `changes` that another page follows */
    char *text;   /* owned */
    size_t len;
};

struct transaction {
    size_t fact_first, fact_count;
    bool split; /* was once sent in parts, so may be held in parts */
};

/* ---- a client: what the protocol's section 5 says the stock one does */

struct client {
    uint32_t index;
    struct site_id site;
    int64_t skew_ms;        /* its wall clock against the true time */
    uint64_t slow_ms;       /* applying may take so long */
    uint32_t fails_percent; /* of the pages that its store does not take */
    /* What it keeps on disk. */
    struct model model;
    struct hlc clock; /* wall and counter */
    bool has_watermark;
    struct hlc watermark;
    /* What it keeps in memory, over connections. */
    uint64_t run_epoch;
    bool has_sent; /* acknowledged up to `sent` */
    struct hlc sent;
    bool booting, has_header;
    char snapshot_id[WIRE_ID_MAX];
    struct hlc snapshot_hlc;
    bool completed[MODEL_TABLES];
    /* The connection. */
    bool connected; /* an open socket */
    bool ready;     /* a handshake_ack came */
    uint64_t conn_epoch;
    uint64_t last_request;
    struct {
        uint64_t id;
        struct hlc highest;
    } requests[REQUESTS_KEPT];                  /* not yet acknowledged; by id */
    uint64_t sends_until_ms, receives_until_ms; /* messages keep their order */
    bool wants_boot;
};

/* ---- the server */

struct sim_text {
    struct sim_text *next;
    size_t len;
    char bytes[];
};

struct sim_late {
    struct sim_late *next;
    struct message *message;
};

struct conn {
    bool open, subscribed;
    uint64_t epoch;
    struct session session;
    struct sim_late *late, **late_end;
    bool working; /* through `late` */
    struct sim_text *texts, **texts_end;
    struct sim_text *pushes, **pushes_end;
    size_t push_count;
    struct delta_reader *delta;
    struct snapshot_reader *snapshot;
    bool piece_ready, piece_last, in_delta;
    struct buf piece; /* of a delta: all of it so far */
    struct session_read_result read_result;
    bool lag_counted;
    bool write_scheduled;
    uint64_t write_ms_max; /* how slow its socket is */
    uint64_t tick_at_ms;
};

/* A batch on its way through the store thread. */
struct sim_apply {
    struct sim_apply *next;
    uint32_t client;
    uint64_t epoch;
    struct message *message;
    struct apply_request request;
    bool acked; /* BUG_ACK_BEFORE_STORE */
};

struct sim_server {
    char database[32];
    struct session_config config;
    struct conn conns[CLIENTS_MAX];
    struct sim_apply *queue, **queue_end;
    bool store_scheduled;
    struct model model; /* what it has accepted */
};

struct sim {
    uint64_t seed, random, now_ms, order;
    enum sim_bug bug;
    struct store_fixture *store;
    struct json_reader *json;
    struct sim_stats *stats;
    struct wire_message *wire; /* scratch */
    struct event *events;      /* a heap */
    size_t event_count, event_capacity;
    uint32_t client_count;
    struct client clients[CLIENTS_MAX];
    struct sim_server server;
    bool calm;    /* nothing breaks any more */
    bool refuses; /* the store fails now and then */
    uint64_t page_bytes_max;
    struct transaction transactions[TRANSACTIONS_MAX];
    size_t transaction_count;
    struct sim_fact facts[TRANSACTIONS_MAX * TRANSACTION_FACTS_MAX];
    size_t fact_count;
    struct model truth; /* all that was ever written */
    bool tells;         /* prints what happens */
    char failure[256];  /* "": none */
};

/* sim.c */
uint64_t sim_below(struct sim *s, uint64_t bound);
uint64_t sim_between(struct sim *s, uint64_t low, uint64_t high); /* both included */
bool sim_chance(struct sim *s, uint32_t percent);
struct event *sim_schedule(struct sim *s, uint64_t after_ms, sim_event_fn *run, uint32_t client,
                           uint64_t epoch);
void sim_text(struct event *e, struct slice text); /* gives the event a copy */
void sim_run_until(struct sim *s, uint64_t end_ms);
void sim_fail(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sim_free_events(struct sim *s);
/* One line, when the run tells what happens. */
void sim_tell(const struct sim *s, uint32_t client, const char *what, struct slice text);
void sim_tell_facts(const struct sim *s, const struct client *c, const struct wire_message *m);

/* client.c */
void client_init(struct sim *s, uint32_t index);
void client_connect(struct sim *s, struct event *e); /* an event */
void client_edit(struct sim *s, struct client *c, bool bulk);
void client_boot(struct sim *s, struct client *c);    /* asks for a snapshot now or when connected */
void client_lost(struct sim *s, struct client *c);    /* its connection is gone: comes back by itself */
void client_restart(struct sim *s, struct client *c); /* forgets what is not on disk */
void client_receive(struct sim *s, struct event *e);  /* an event: a text came */

/* server.c */
void server_init(struct sim *s);
void server_deinit(struct sim *s);
void server_accept(struct sim *s, struct client *c);
void server_hang_up(struct sim *s, uint32_t client);
void server_restart(struct sim *s);
void server_receive(struct sim *s, struct event *e); /* an event: a text came */
void server_check(struct sim *s);                    /* does a stranger get what was written? */

/* server_read.c */
void server_begin_delta(struct sim *s, struct conn *c, uint32_t client, const struct session_action *a);
void server_begin_snapshot(struct sim *s, struct conn *c, uint32_t client, struct message *checkpoint);
void server_next_piece(struct sim *s, struct conn *c, uint32_t client);
void server_end_read(struct conn *c);
/* server.c, for server_read.c */
void server_piece_came(struct sim *s, uint32_t client);
void server_carry_out(struct sim *s, uint32_t client, struct session_update *u);

#endif
