/* receiving.h -- what messages and bodies may hold in memory while they come in, all connections together.
 *
 * Counted are messages that have come in part, and batches until the store has answered them, or until the
 * last hook that may still read one has returned. Past
 * limits.receivingBytes a connection whose message is still growing is read no further; it goes on when there
 * is room again. Small messages are never stopped, so that few large ones cannot shut out everybody.
 *
 * Stopped connections alone could wait for each other for ever. So one of all, the one that has waited
 * longest on its loop, may go on over the limit until its message is complete: it has the turn. Whoever has
 * the turn for longer than limits.httpTimeoutMs while it is needed, or holds memory for as long without
 * sending anything while others wait, is cut off.
 *
 * Threads: each function on the connection's loop; the counters are shared. */
#ifndef SERVER_NET_RECEIVING_H
#define SERVER_NET_RECEIVING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

enum {
    RECEIVING_SMALL_BYTES = 16 << 10, /* of one message: never stopped */
    RECEIVING_CHECK_MS = 1000,        /* somebody who waits is noticed by those who hold within this time */
    RECEIVING_RETRY_MS = 50,          /* room that another loop has made is found within this time */
};

/* All loops'. All zero to begin with. */
struct receiving {
    _Atomic size_t bytes;
    _Atomic uint32_t waiting; /* connections that were stopped */
    _Atomic bool turn_taken;
};

/* Embedded in each connection. All zero but for `stop` to begin with. */
struct receiver {
    struct receiver *next; /* of those that wait */
    size_t bytes;
    bool waiting, has_turn;
    uint64_t grew_ms, turn_ends_ms;
    /* Read no further (also called again and again while it lasts), or go on. */
    void (*stop)(struct receiver *r, bool stop);
};

/* One loop's connections that wait, the longest first. All zero to begin with. */
struct receiver_list {
    struct receiver *first, *last;
};

/* The message has come in part and holds `bytes`. May stop the connection. */
void receiver_grew(struct loop *l, struct receiver *r, size_t bytes);
/* It is complete, or given up. Never calls r->stop; may let others go on. */
void receiver_ended(struct loop *l, struct receiver *r);

/* A batch is under way, or no longer. */
void receiving_batch_begins(struct loop *l, size_t bytes);
void receiving_batch_ends(struct loop *l, size_t bytes);

/* A batch that was no longer waited for is gone at last. Any thread; who waits finds the room by itself. */
void receiving_held_ends(struct receiving *r, size_t bytes);

/* Is it to be cut off now? */
bool receiver_is_stuck(struct loop *l, const struct receiver *r, uint64_t now_ms);

/* When to ask that next; UINT64_MAX: not before it grows. */
uint64_t receiver_check_ms(struct loop *l, const struct receiver *r, uint64_t now_ms);

/* Lets go on whom there is room for. */
void receiving_tick(struct loop *l);

#endif
