/* ack_wait.h -- batches that are committed on this machine and may be acknowledged only when the shared log
 * has them (--durability object).
 *
 * A store thread owns one: a batch is held there in the same step in which its group was committed, and let
 * go in the same step in which the position of its database is moved; so none can be missed in between.
 *
 * A batch that waits too long is refused for now. It stays stored, and is uploaded when that works again; the
 * sender, who was promised nothing, sends it once more, which then applies nothing and waits like any other.
 *
 * Threads: the store thread. */
#ifndef SERVER_STORE_ACK_WAIT_H
#define SERVER_STORE_ACK_WAIT_H

#include "storage/shard/shard_upload.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct apply_job;

struct ack_wait {
    struct apply_job *first, *last; /* linked by store.job.next, the one held longest first */
    size_t count;
};

/* Takes the job, whose store.request says up to which stamp its database must be uploaded. */
void ack_wait_hold(struct ack_wait *w, struct apply_job *j, uint64_t until_ns);

/* Lets go whom a complete position has reached. */
void ack_wait_release(struct ack_wait *w, const struct upload_position *positions, const bool *complete,
                      size_t count);

/* Refuses those whose time is over; all of them with now_ns UINT64_MAX. Returns how many. */
size_t ack_wait_expire(struct ack_wait *w, uint64_t now_ns);

/* How long until the next one's time is over; it waits for nobody: UINT32_MAX. */
uint32_t ack_wait_next_ms(const struct ack_wait *w, uint64_t now_ns);

#endif
