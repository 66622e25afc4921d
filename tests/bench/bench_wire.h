/* bench_wire.h -- what stands on the wire: HTTP/1.1 and WebSocket framing of a client (RFC 9112, 6455).
 *
 * Only what this bench needs: answers with a length or in chunks, unmasked frames, pings answered. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include "bench_conn.h"

void wire_ask_upgrade(struct conn *c);

/* Takes what arrived, and calls c->on_message for what is complete by it. */
void wire_take(struct conn *c, struct slice bytes);

/* Of bench_conn.c: sends, or keeps until the socket has room. */
void conn_put(struct conn *c, struct slice head, struct slice body);

#endif
