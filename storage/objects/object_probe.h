/* object_probe.h -- may this store be relied on? Asked once, when a server starts.
 *
 * Writes a small object under a key that nobody else uses, creates it again, replaces it under a version it
 * no longer has, replaces one that is not there, then reads, lists and deletes it. So wrong keys, missing
 * rights, a missing bucket and a service that ignores conditions (two servers would overwrite each other's
 * log) show before data depends on it. It does not show what happens in a race: docs/object-store.md tells
 * that of the services it is known of. */
#ifndef STORAGE_OBJECTS_OBJECT_PROBE_H
#define STORAGE_OBJECTS_OBJECT_PROBE_H

#include "storage/objects/object_store.h"

#define OBJECT_PROBE_PREFIX "probe/" /* what a probe that was cut off leaves is a few bytes under it */

/* SYNC_OK: it does what object_store.h promises, as far as one caller can see. SYNC_ECONFIG: the operator has
 * to change something, or the service cannot be used. Else: no answer now, as object_store.h lists. */
enum sync_err object_probe(struct object_store *s, const struct object_call *call, struct err_ctx *ec);

#endif
