/* batch.h -- the ChangeSets of one message: what is judged, made durable and acknowledged as one.
 *
 * A batch owns the message's text and all that was made of it; its facts are slices of these. Facts stand in
 * the order of the message, those of one ChangeSet next to each other.
 *
 * Threads: one at a time; handed from the loop that read it to the store thread and back. */
#ifndef CORE_FACTS_BATCH_H
#define CORE_FACTS_BATCH_H

#include "core/base/arena.h"
#include "core/facts/fact.h"

#include <stddef.h>
#include <stdint.h>

struct change_set {
    struct site_id site;
    struct slice transaction_id; /* inside of a JSON string, as it came */
    struct hlc hlc;
    size_t fact_first; /* index into the batch's facts */
    size_t fact_count;
};

struct batch {
    char *text; /* the message, malloc'ed; NULL when the bytes are somebody else's */
    size_t text_len;
    struct change_set *sets;
    size_t set_count;
    struct fact *facts;
    size_t fact_count;
    size_t migration_count;
    struct hlc highest; /* of every hlc in it: facts and ChangeSets; zero when it is empty */
    struct arena arena;
};

/* An all-zero batch is an empty one. */
void batch_deinit(struct batch *b);

#endif
