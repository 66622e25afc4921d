/* object_race.h -- do conditional creations hold when they race?
 *
 * object_probe.h asks one after the other; here several threads create one key at once, some times over, and
 * then replace one version at once. A store that tells two of them that they won would make two leaders. It
 * proves nothing when it finds nothing, but the services that are known to fail fail at once. */
#ifndef STORAGE_OBJECTS_OBJECT_RACE_H
#define STORAGE_OBJECTS_OBJECT_RACE_H

#include "storage/objects/object_store.h"

enum { OBJECT_RACE_ROUNDS = 3, OBJECT_RACE_RACERS = 4 };

/* Leaves nothing behind but what a failing store keeps, under OBJECT_PROBE_PREFIX. SYNC_OK: at most one of
 * the racers won each time. SYNC_ECONFIG: two did. Else: no answer now, as object_store.h lists. */
enum sync_err object_race(struct object_store *s, const struct object_call *call, struct err_ctx *ec);

#endif
