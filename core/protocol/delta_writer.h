/* delta_writer.h -- facts in log order become ChangeSets, one per source transaction (protocol section 6).
 *
 * Facts of one transaction that arrived together stand next to each other in the log, in opSeq order. Where
 * they arrived in several batches, the later part may have lower opSeqs: it becomes a ChangeSet of its own,
 * since within one the facts go up and `hlc` is the highest. The writer appends facts to a buffer as they
 * come, so a delta of any size is made in pieces; only the migrations of the transaction that is open are
 * kept until it ends, since they stand in a list of their own.
 *
 * Pure. */
#ifndef CORE_PROTOCOL_DELTA_WRITER_H
#define CORE_PROTOCOL_DELTA_WRITER_H

#include "core/base/buf.h"
#include "core/facts/fact.h"

#include <stdbool.h>
#include <stddef.h>

struct delta_writer {
    struct buf migrations; /* of the open transaction */
    struct hlc highest;    /* its last fact; facts come in opSeq order */
    bool is_open;
    bool has_change;
    size_t set_count;
};

void delta_writer_init(struct delta_writer *w);
void delta_writer_deinit(struct delta_writer *w);

/* Would this fact go into the ChangeSet that is open? */
bool delta_writer_continues(const struct delta_writer *w, const struct fact *f);

/* Appends a fact, ending the open ChangeSet and beginning another where the transaction changes. */
void delta_writer_add(struct delta_writer *w, struct buf *out, const struct fact *f);

/* Ends the open ChangeSet, if there is one. */
void delta_writer_finish(struct delta_writer *w, struct buf *out);

/* Appends the set that carries only a watermark (protocol section 8.1). No set is open. */
void delta_writer_watermark(struct delta_writer *w, struct buf *out, const struct hlc *watermark);

#endif
