/* session.h -- one WebSocket client's conversation as a state machine (protocol sections 5, 8.2, 8.4).
 *
 * Events go in (a message came, a batch was applied, a delta was written, time passed), actions come out, for
 * the server to carry out in their order. It decides; it reads no socket, store or clock. What it guards:
 *
 * - the order of the handshake's checks, and what may be said before it;
 * - one `changes` at a time, and the next page only once the client proved the last one by its watermark;
 * - the nudges: handshake_ack sent again, so that the client asks for what it lacks and sends the rest;
 * - how long whoever was let in may stay, and when that is asked again.
 *
 *     NEW --handshake--> OPENING --opened--> LIVE
 *      \______________________\_______________\--> CLOSED
 *
 * Threads: one at a time (the loop that owns the connection). */
#ifndef CORE_PROTOCOL_SESSION_H
#define CORE_PROTOCOL_SESSION_H

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/protocol/message.h"
#include "core/protocol/site_ask.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DATABASE_ID_BYTES_MAX = 255,
    CONNECTION_ID_TEXT = 16,
    REQUEST_ID_BYTES_MAX = 64 << 10,
    SESSION_READS_MAX = 8,       /* deltas and snapshots that wait for the one under way */
    SESSION_ACTIONS_MAX = 6,     /* of one step */
    PAGE_NUDGES_MAX = 3,         /* for one page, before it is sent again */
    RETRY_NUDGE_MS = 10000,      /* after a failure of ours */
    PAGE_PAUSE_MS = 250,         /* before the second nudge; four times as long before each further one */
    RECHECK_PAUSE_MS = 1000,     /* between two rechecks at least, whatever a hook says */
    RECHECK_RETRY_MS = 5000,     /* after one that nobody could decide */
    RECHECK_PATIENCE_MS = 60000, /* so long may it take until it is decided */
};

/* Close codes of RFC 6455 and of the protocol. */
enum {
    CLOSE_GOING_AWAY = 1001,
    CLOSE_POLICY = 1008,
    CLOSE_INTERNAL = 1011,
    CLOSE_TRY_AGAIN = 1013,
    CLOSE_AUTH_FAILED = 4001,
    CLOSE_NO_DATABASE = 4002,
    CLOSE_VERSION = 4003,
};

struct session_config {
    uint32_t nudge_facts; /* a message with as many facts or more is followed by a nudge */
    uint32_t page_proof_timeout_ms;
    uint32_t
        catch_up_timeout_ms; /* for the answer to a nudge after lagging; then it is pushed what it lacks */
    uint64_t renudge_interval_ms; /* to sessions that stay connected; spread by a tenth */
    uint32_t handshake_timeout_ms;
    uint32_t requests_max; /* batches in flight; then input is held back */
};

enum session_state { SESSION_NEW, SESSION_OPENING, SESSION_LIVE, SESSION_CLOSED };

enum session_reading { READING_NONE, READING_DELTA, READING_SNAPSHOT };

enum nudge_cause { NUDGED_BULK, NUDGED_SNAPSHOT, NUDGED_LAGGING, NUDGED_PERIODIC, NUDGED_PAGE };

/* A delta or snapshot that was asked for. */
struct session_read {
    enum session_reading kind;
    bool has_since;
    struct hlc since;
    struct message *message; /* resume_snapshot: holds the checkpoint; else NULL */
    uint64_t after_applies;  /* starts once that many batches are answered */
};

enum page_state { PAGE_NONE, PAGE_WAITS, PAGE_PAUSES };

/* The page sent last, while it waits for its proof. */
struct page_proof {
    enum page_state state;
    struct hlc watermark;
    uint64_t deadline_ms;
    uint32_t nudges;
    bool was_held;   /* input was held back meanwhile: silence is not the client's then */
    bool has_answer; /* a get_changes came, with a watermark below the page's */
    bool answer_has_since;
    struct hlc answer_since;
};

/* Who lagged and was nudged is expected to ask for what it lacks. Who does not is pushed it, page by page,
 * and from then on without being nudged first, until it asks for something by itself: so no nudge is repeated
 * for ever. */
struct catch_up {
    bool waits; /* for its get_changes */
    bool was_held;
    bool deaf;    /* the last nudge was not answered */
    bool pushing; /* the delta under way is such a page */
    uint64_t deadline_ms;
    bool has_pushed;
    struct hlc pushed; /* up to here, in a page */
};

/* Plain data. */
struct session {
    const struct session_config *config;
    enum session_state state;
    char connection_id[CONNECTION_ID_TEXT + 1];
    char *database; /* malloc'ed at the handshake */
    size_t database_len;
    struct site_id site, server_site;
    bool holds_input;
    bool lagging;      /* queued pushes were dropped; nudged when the socket has drained */
    bool ids_by_hook;  /* a hook judges database ids: what is text may be one */
    bool reads_denied; /* a hook has not allowed to read: no pushes, which would be reading, too */
    bool expired;      /* its time is over: nothing is done for it until a recheck said yes */
    bool rechecking;
    uint64_t expires_ms, recheck_ms; /* UINT64_MAX: never */
    uint64_t recheck_ends_ms;        /* then the recheck must have been decided */
    bool has_proven;
    struct hlc proven; /* the watermark that the client told last: retention does not pass it */
    uint64_t applies_begun, applies_done;
    enum session_reading reading;
    bool delta_has_since; /* where the delta under way began */
    struct hlc delta_since;
    struct session_read reads[SESSION_READS_MAX];
    size_t read_first, read_count;
    struct page_proof page;
    struct catch_up catch_up;
    struct site_ask ask;
    uint64_t handshake_deadline_ms, renudge_ms;
};

enum session_action_type {
    SESSION_SEND,     /* `text`: one message */
    SESSION_OPEN,     /* authenticate and find the database: ends in session_opened() */
    SESSION_RECHECK,  /* authenticate again: ends in session_rechecked() */
    SESSION_APPLY,    /* `message`: its batch; ends in session_applied() */
    SESSION_DELTA,    /* from `since`; ends in session_read_done() */
    SESSION_CUT,      /* end the delta at the next end of a transaction */
    SESSION_SNAPSHOT, /* `message` with a checkpoint, or NULL; ends in session_read_done() */
    SESSION_HOLD,     /* take no more input */
    SESSION_RELEASE,  /* take input again */
    SESSION_ASKED,    /* the site has told all that it has: it need not be asked again */
    SESSION_CLOSE,    /* with close_code, after what was sent before */
};

struct session_action {
    enum session_action_type type;
    struct buf text;         /* the carrier's to take */
    struct message *message; /* malloc'ed; the carrier's */
    bool has_since;
    struct hlc since;
    bool as_push; /* of a delta: in push_changes, without a watermark */
    uint16_t close_code;
};

struct session_update {
    struct session_action actions[SESSION_ACTIONS_MAX];
    size_t count;
    bool nudged; /* a nudge is among the actions, for this cause */
    enum nudge_cause cause;
};

/* Frees what a carrier did not take (sets taken fields to zero as it takes them). */
void session_update_deinit(struct session_update *u);

void session_init(struct session *s, const struct session_config *config, const char *connection_id,
                  uint64_t now_ms);
void session_deinit(struct session *s);

/* A message came. Takes `m`, malloc'ed. */
void session_message(struct session *s, struct message *m, uint64_t now_ms, struct session_update *ret);
/* A message came that could not be read. */
void session_broken_message(struct session *s, const struct err_ctx *ec, struct session_update *ret);

/* How long those who were let in may stay: until expires_ms, and until they are authenticated again at
 * recheck_ms, which is also done at expires_ms. UINT64_MAX: for ever. Before session_opened(). */
void session_identified(struct session *s, uint64_t recheck_ms, uint64_t expires_ms, uint64_t now_ms);

/* The recheck was decided: with SYNC_OK they may stay until the times given, as above. SYNC_EBUSY and
 * SYNC_ENOMEM: nobody knew; it is tried again for a while. */
void session_rechecked(struct session *s, enum sync_err rc, const struct err_ctx *ec, uint64_t recheck_ms,
                       uint64_t expires_ms, uint64_t now_ms, struct session_update *ret);

/* Authenticate again at this time, if nothing earlier is due. */
void session_recheck_at(struct session *s, uint64_t recheck_ms);

/* The database was found, or not. On SYNC_OK the session already receives pushes, so that nothing falls
 * between them and the first delta. `spread` is a random number. */
void session_opened(struct session *s, enum sync_err rc, const struct err_ctx *ec,
                    const struct site_id *server_site, uint64_t spread, uint64_t now_ms,
                    struct session_update *ret);

/* Follows session_opened() where the database's end may have been lost, and this site was not asked yet. */
void session_ask(struct session *s, uint64_t now_ms, struct session_update *ret);

/* A batch is durable, or refused. fact_count: as it came; rejected: see message_put_apply_result(). */
void session_applied(struct session *s, struct slice request_id, size_t fact_count, enum sync_err rc,
                     const struct err_ctx *ec, const struct merge_result *result, struct slice rejected,
                     uint64_t now_ms, struct session_update *ret);

/* The delta about to be written starts below what was pruned: comes before its first byte. */
void session_pruned(struct session *s, struct session_update *ret);

/* A delta or snapshot was handed to the socket in full, or failed before its first byte. */
struct session_read_result {
    enum sync_err rc;
    const struct err_ctx *ec;
    bool has_more;        /* of a delta: another page follows */
    struct hlc watermark; /* of the page */
};
void session_read_done(struct session *s, const struct session_read_result *result, uint64_t now_ms,
                       struct session_update *ret);

/* Something of ours failed (the store, memory), and the client was told. It does not try again by itself: it
 * is nudged in a while, and then asks for what it lacks and sends what it has not had acknowledged. */
void session_retry_later(struct session *s, uint64_t now_ms);

/* Pushes were dropped; later: everything queued has left. */
void session_lagged(struct session *s);
void session_drained(struct session *s, uint64_t now_ms, struct session_update *ret);

/* When session_tick() is due next; UINT64_MAX: never. */
uint64_t session_deadline_ms(const struct session *s);
void session_tick(struct session *s, uint64_t spread, uint64_t now_ms, struct session_update *ret);

/* May a push be queued? Not before the handshake, not while the client boots from a snapshot (it would drop
 * it, and is nudged afterwards), not while it lags, not while it must not read. */
bool session_takes_pushes(const struct session *s);

static inline struct slice session_database(const struct session *s)
{
    return slice_of(s->database, s->database_len);
}

/* 1 to 255 of A-Z a-z 0-9 _ : . - (protocol section 1) */
bool database_id_is_valid(struct slice id);

/* 1 to 255 bytes of UTF-8 without control characters: what a hook may call valid. */
bool database_id_is_text(struct slice id);

#endif
