/* facts_digest.h -- one hash over all that a database holds: equal hashes, equal facts, stamps, priors,
 * createdAt and order of arrival. It does not cover the server site id, which a restore may have to change.
 *
 * It is SHA-256 of the facts' lines as a snapshot has them (snapshot_line.h), so it can be compared between
 * machines and with what is in the object store. */
#ifndef STORAGE_SNAPSHOTS_FACTS_DIGEST_H
#define STORAGE_SNAPSHOTS_FACTS_DIGEST_H

#include "storage/snapshots/snapshot_line.h"
#include "storage/views/view.h"

struct facts_digest {
    struct snapshot_foot counts; /* and the hash, as its text */
};

/* Reads the whole database; any thread. Errors: those of the view. */
enum sync_err facts_digest(struct view *v, struct facts_digest *ret, struct err_ctx *ec);

#endif
