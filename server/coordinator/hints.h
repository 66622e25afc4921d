/* hints.h -- telling another instance to look now, over HTTP.
 *
 * A hint is a courtesy that saves seconds: POST URL/coordinator/hint, URL being what the other one wrote into
 * its worker record, with the header
 *
 *   X-Coordinator-Hint: <incarnation> election|tickets
 *
 * The incarnation is the receiver's own, from that record: whoever knows it can read the object store. So
 * nobody else can make an instance spend requests. A hint that is lost costs seconds, nothing else.
 *
 * Threads: any; hint_send() blocks for two time limits at most. */
#ifndef SERVER_COORDINATOR_HINTS_H
#define SERVER_COORDINATOR_HINTS_H

#include "server/coordinator/election_io.h"

enum hint_kind { HINT_ELECTION, HINT_TICKETS };

enum { HINT_TIMEOUT_MS = 1000, HINT_TEXT_MAX = 40 };

#define HINT_HEADER "X-Coordinator-Hint"

/* Reads the worker's record and posts. */
enum sync_err hint_send(const struct election_site *site, const char *worker_id, enum hint_kind kind,
                        struct err_ctx *ec);

/* The header's value; false for what is none, or is not for this incarnation. */
bool hint_parse(struct slice value, uint64_t incarnation, enum hint_kind *ret);

#endif
