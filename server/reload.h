/* reload.h -- takes a changed configuration over while the server runs (SIGHUP).
 *
 * The same sources are read as at the start. A source with a mistake leaves everything as it was, and the log
 * names file, key and value; nothing is ever taken over in part. What only a restart can change keeps its
 * value and is named in the log.
 *
 * Who takes part is a table in reload.c: first every part is asked to prepare, which may fail and then
 * changes nothing; when all have, each takes over, which cannot fail.
 *
 * Threads: main. */
#ifndef SERVER_RELOAD_H
#define SERVER_RELOAD_H

#include "core/config/config.h"

struct server;

void server_reload(struct server *s, const struct config_input *in);

#endif
