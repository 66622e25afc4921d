/* push_pace.h -- when a session may be pushed to again: after its client has read the facts sent before.
 *
 * The stock client applies what it receives unserialised. Two messages that reach it together are judged
 * against the same stored state, and the older value of a cell can be written over the newer one for good: no
 * later delta repairs it, since both sides hold the newer fact. The messages need no slow network to meet; a
 * client that was busy for a moment finds all that came meanwhile in its socket.
 *
 * So a message with facts is followed by a WebSocket ping. The client's library answers it once it has handed
 * on what came before, and a pause after the answer leaves time to apply that. What waits is merged
 * meanwhile. A client that never answers is closed by the library, like everyone who does not answer its
 * pings.
 *
 * Threads: one at a time (the loop that owns the session). */
#ifndef SERVER_WS_PUSH_PACE_H
#define SERVER_WS_PUSH_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PACE_PING_BYTES = 8 };

enum pace_state { PACE_FREE, PACE_ASKS, PACE_WAITS };

/* Plain data; zeroed is "nothing was sent". */
struct push_pace {
    enum pace_state state;
    uint64_t pings;    /* the number of the last one is its payload, to tell its answer from others */
    uint64_t pause_ms; /* after the answer */
    uint64_t after_ms; /* no push before */
};

/* How long a client is given for a message of that many bytes: `pause_ms`, and as much again for each further
 * PACE_BYTES of it, up to PACE_MS_MAX. */
enum { PACE_BYTES = 64 << 10, PACE_MS_MAX = 5000 };
uint64_t push_pace_pause_ms(uint64_t pause_ms, size_t bytes);

/* A message with facts has left: no push before its ping is answered and the pause is over. */
void push_pace_sent(struct push_pace *p, uint64_t pause_ms);

/* No push for so long, asked or not. */
void push_pace_rest(struct push_pace *p, uint64_t pause_ms, uint64_t now_ms);

/* Is a ping to be sent now? Then its payload is push_pace_ping()'s, and it counts as sent. */
static inline bool push_pace_asks(const struct push_pace *p)
{
    return p->state == PACE_ASKS;
}
void push_pace_ping(struct push_pace *p, uint8_t ret_payload[PACE_PING_BYTES]);

/* A pong came, of this ping or of another. */
void push_pace_pong(struct push_pace *p, const uint8_t *payload, size_t len, uint64_t now_ms);

/* Has all that was sent been read? */
static inline bool push_pace_is_read(const struct push_pace *p)
{
    return p->state == PACE_FREE;
}

/* From when on there may be a push; UINT64_MAX: not before an answer. */
static inline uint64_t push_pace_due_ms(const struct push_pace *p)
{
    return p->state == PACE_FREE ? p->after_ms : UINT64_MAX;
}

#endif
