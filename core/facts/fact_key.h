/* fact_key.h -- makes the key of a fact: the bytes that say what it is about (fact.h).
 *
 * Facts that come in a message get theirs while they are read. Those that come from a record without one, or
 * from another machine, get it from their own texts.
 *
 * Pure. */
#ifndef CORE_FACTS_FACT_KEY_H
#define CORE_FACTS_FACT_KEY_H

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/facts/fact.h"
#include "core/json/json.h"

/* Appends the key and sets its two lengths in the fact. pk_identity: what sql_values_take() made of the pk;
 * nothing for a migration, whose schema version is followed by something that is no part of a number. */
void fact_key_put(struct buf *key, struct fact *f, struct slice pk_identity);

/* Gives the fact its key, in the arena, from its names and its pk. Errors: SYNC_EBADMSG (the pk is none),
 * SYNC_ENOMEM. */
enum sync_err fact_key_make(struct json_reader *reader, struct arena *arena, struct fact *f,
                            struct err_ctx *ec);

#endif
