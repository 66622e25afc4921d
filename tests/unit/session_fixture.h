/* session_fixture.h -- talks to a session and tells what it decided, one word an action:
 *
 *     ack                  handshake_ack
 *     error CODE [fatal]   also: pong, snapshot_complete, "apply_result REQUEST_ID"
 *     open, apply, cut, snapshot, "resume ID", hold, release, "close CODE"
 *     delta, "delta since N", push, "push since N"   N: the watermark's wall time
 *     request_changes, "request_changes since N", asked, recheck
 *
 * joined by ", "; "nothing" when there is none. A nudge is marked by its cause: "ack (bulk)". Texts are valid
 * until the next call. */
#ifndef TESTS_SESSION_FIXTURE_H
#define TESTS_SESSION_FIXTURE_H

#include "core/protocol/session.h"

enum { TEST_SITE = 7, TEST_SERVER_SITE = 9 };

struct session_fixture {
    struct session_config config;
    struct session session;
    uint64_t now_ms;
    struct session_update last; /* deinited, but for its plain fields */
    char told[1024];
};

void session_fixture_init(struct session_fixture *x);
void session_fixture_free(struct session_fixture *x);

/* A client's message. In `text`, %s stands for an HLC in base64 whose wall time is `wall_ms`. */
const char *says(struct session_fixture *x, const char *text);
const char *says_hlc(struct session_fixture *x, const char *text, uint64_t wall_ms);
const char *asks_since(struct session_fixture *x, uint64_t wall_ms); /* get_changes */
const char *sends_batch(struct session_fixture *x);                  /* apply_changes */

const char *opened(struct session_fixture *x, enum sync_err rc);
const char *applied(struct session_fixture *x, const char *request_id, size_t fact_count);
const char *begins_to_ask(struct session_fixture *x);
const char *apply_failed(struct session_fixture *x);
const char *delta_done(struct session_fixture *x);
const char *page_done(struct session_fixture *x, uint64_t watermark_ms);
const char *last_page_done(struct session_fixture *x, uint64_t watermark_ms); /* no further one follows */
const char *read_failed(struct session_fixture *x);
const char *drained(struct session_fixture *x);
const char *time_passes(struct session_fixture *x, uint64_t ms);

/* Who they are was decided: when it is asked again, and until when it holds; from now on, 0: never. */
void identified(struct session_fixture *x, uint64_t recheck_in_ms, uint64_t expires_in_ms);
const char *rechecked(struct session_fixture *x, enum sync_err rc, uint64_t recheck_in_ms,
                      uint64_t expires_in_ms);

/* A handshake, as a stock client's. */
void go_live(struct session_fixture *x);

#define SAYS_HANDSHAKE                                                                                       \
    "{\"type\":\"handshake\",\"databaseId\":\"shop\",\"siteId\":\"BwAAAAAAAAAAAAAAAAAAAA\","                 \
    "\"protocolVersion\":1}"
#define SAYS_GET_CHANGES  "{\"type\":\"get_changes\"}"
#define SAYS_GET_SNAPSHOT "{\"type\":\"get_snapshot\"}"
#define SAYS_APPLY        "{\"type\":\"apply_changes\",\"changes\":[],\"requestId\":1}"
#define SAYS_RESUME                                                                                          \
    "{\"type\":\"resume_snapshot\",\"checkpoint\":{\"snapshotId\":\"s1\",\"siteId\":"                        \
    "\"BwAAAAAAAAAAAAAAAAAAAA\",\"hlc\":\"%s\",\"lastTableIndex\":0,\"lastEntryIndex\":0,"                   \
    "\"completedTables\":[],\"entriesProcessed\":0,\"createdAt\":0}}"

#endif
