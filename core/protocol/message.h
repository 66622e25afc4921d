/* message.h -- the messages of the WebSocket protocol (section 5), and the body of POST changes (section 4).
 *
 * Reading takes the members of every message in one pass, whatever their order, and never refuses a message
 * for a member that its type does not use: what was wrong with a member is kept beside it until the session
 * asks. Only text that is not a JSON object fails as a whole. */
#ifndef CORE_PROTOCOL_MESSAGE_H
#define CORE_PROTOCOL_MESSAGE_H

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/facts/batch.h"
#include "core/facts/hlc.h"
#include "core/facts/merge.h"
#include "core/json/json.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    PROTOCOL_VERSION = 1,
    CHECKPOINT_TABLES_MAX = 1 << 20, /* that a checkpoint may name */
};

enum message_type {
    MESSAGE_UNKNOWN,
    MESSAGE_HANDSHAKE,
    MESSAGE_GET_CHANGES,
    MESSAGE_APPLY_CHANGES,
    MESSAGE_GET_SNAPSHOT,
    MESSAGE_RESUME_SNAPSHOT,
    MESSAGE_PING,
};

/* Where an interrupted snapshot stands, told by the client (protocol section 7). */
struct checkpoint {
    struct slice snapshot_id; /* inside of a JSON string */
    struct site_id site;      /* the client's own */
    struct hlc hlc;
    struct slice *completed; /* "schema.table", resolved, sorted bytewise */
    size_t completed_count;
    uint64_t entries_processed;
};

/* A member that was there and wrong has rc set and its text in ec; `has` is then true as well. */
struct member_state {
    bool has;
    enum sync_err rc;
    struct err_ctx ec;
};

/* Owns the text and everything else in it by way of `batch`. Texts are resolved. */
struct message {
    enum message_type type;
    bool version_ok; /* protocolVersion is the integer 1 */
    struct slice database_id;
    struct slice token;
    struct slice request_id; /* JSON as it came; empty: none */
    bool has_database_id;    /* neither absent, null nor "" */
    bool has_token;
    struct member_state site_state;
    struct site_id site;
    struct member_state since_state; /* absent, null and "" are all "none" */
    struct hlc since;
    struct member_state changes_state;
    struct batch batch;
    struct member_state checkpoint_state;
    struct checkpoint checkpoint;
};

/* Reads one message and takes `text` (malloc'ed, JSON_PADDING readable bytes behind it), also on failure.
 * Errors: SYNC_EBADMSG when it is not a JSON object, SYNC_ENOMEM, SYNC_ELIMIT. */
enum sync_err message_read(struct json_reader *r, char *text, size_t len, struct message *ret,
                           struct err_ctx *ec);
void message_deinit(struct message *m); /* accepts an all-zero message */

/* Server to client. Each appends one whole message. */
void message_put_handshake_ack(struct buf *out, struct slice database, const struct site_id *server_site,
                               const char *connection_id);
void message_put_request_changes(struct buf *out, const struct site_id *site, const struct hlc *since);
/* `rejected`: a JSON array of what hooks rejected, or empty. */
void message_put_apply_result(struct buf *out, struct slice request_id, const struct merge_result *result,
                              struct slice rejected);
void message_put_error(struct buf *out, const char *code, const char *text, bool fatal);
void message_put_pong(struct buf *out);
void message_put_snapshot_complete(struct buf *out);

/* What stands around the ChangeSets of `changes` and `push_changes`, and the chunk of `snapshot_chunk`. */
#define MESSAGE_CHANGES_HEAD "{\"type\":\"changes\",\"changeSets\":["
#define MESSAGE_PUSH_HEAD    "{\"type\":\"push_changes\",\"changeSets\":["
#define MESSAGE_SETS_TAIL    "]}"
#define MESSAGE_CHUNK_HEAD   "{\"type\":\"snapshot_chunk\",\"chunk\":"
#define MESSAGE_CHUNK_TAIL   "}"

/* {"applied":..,"skipped":..,"conflicts":..,"transactions":..,"rejected":..} without the braces. */
void merge_result_put(struct buf *out, const struct merge_result *result, struct slice rejected);

#endif
