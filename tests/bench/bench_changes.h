/* bench_changes.h -- the transactions that the bench writes: each inserts one row of five cells.
 *
 * Messages are made before the clock starts, so that making them costs the measured time nothing. */
#ifndef BENCH_CHANGES_H
#define BENCH_CHANGES_H

#include "core/base/buf.h"
#include "core/facts/hlc.h"
#include "core/facts/site_id.h"

#include <stddef.h>
#include <stdint.h>

enum { CELLS_PER_TRANSACTION = 5 };

/* Who writes: every transaction has its own HLC and its own row. */
struct author {
    struct site_id site;
    uint64_t wall_ms;
    uint16_t counter;
    uint64_t row;
};

void author_init(struct author *a); /* a random site, the wall clock of now */

/* Appends one ChangeSet. Its transactionId begins with "WALL:COUNTER:". */
void author_put_transaction(struct author *a, struct buf *out);

/* Messages in one piece of memory. */
struct messages {
    struct buf text;
    size_t *ends;
    size_t count, capacity;
    size_t transactions_each;
};

/* `count` apply_changes messages of so many transactions each. */
void messages_make(struct messages *m, struct author *a, size_t count, size_t transactions_each);
struct slice messages_at(const struct messages *m, size_t i);
void messages_deinit(struct messages *m);

/* How many ChangeSets a message holds, without reading it as JSON. */
size_t count_transactions(struct slice text);

/* The last "hlc" member of a text: of an answer with changes, the new watermark. False: there is none. */
bool last_hlc(struct slice text, char ret[HLC_TEXT + 1]);

#endif
