/* election_io.h -- carries out one request of an election on the object store, and says how it ended.
 *
 * Only a write that the store confirmed counts as written. Everything that is not certain, errors included,
 * is ELECTION_UNKNOWN: the election is made to live with that.
 *
 * Below the election's root an operator's command may lie as well (commands/step-down-<epoch>, written by
 * `sync-coordinator coordinator step-down`); the leader's listings find it.
 *
 * Threads: any; blocks up to the request's own time limit. */
#ifndef SERVER_COORDINATOR_ELECTION_IO_H
#define SERVER_COORDINATOR_ELECTION_IO_H

#include "core/election/election.h"
#include "storage/objects/object_store.h"

enum { ELECTION_ROOT_MAX = 192 };

#define ELECTION_TASK_ROOT_KEY "plg_coordinator_task/" /* of elections of single tasks */
#define ELECTION_COMMANDS_KEY  "commands/"

/* Where an election lies, and what this instance writes about itself. Texts are borrowed. */
struct election_site {
    struct object_store *store;
    char root[ELECTION_ROOT_MAX + 1]; /* "plg_coordinator_global/default/" */
    const char *namespace_name;
    struct election_self self;
    const char *url, *host, *version;
    const char *const *tasks; /* names */
    size_t task_count;
};

/* task NULL: the election that all tasks of the namespace share. */
void election_site_root(struct election_site *site, const char *namespace_name, const char *task);

struct election_answer {
    struct election_result result;
    uint64_t step_down_epoch; /* LIST: of the command that was found; 0: none */
    struct object_page page;  /* the keys of result.listed */
    struct election_listed *listed;
};

void election_io_run(const struct election_site *site, const struct election_op *op,
                     const atomic_bool *cancel, struct election_answer *ret);
void election_answer_deinit(struct election_answer *a);

/* Reads a record below the root. SYNC_ENOTFOUND: there is none. The rest as the store and the record say. */
enum sync_err election_io_read_worker(const struct election_site *site, const struct object_call *call,
                                      const char *worker_id, struct election_worker_record *ret,
                                      struct err_ctx *ec);
enum sync_err election_io_read_state(const struct election_site *site, const struct object_call *call,
                                     struct election_state *ret, struct object_version *ret_version,
                                     struct err_ctx *ec);

/* The command's key below the root, zero terminated. */
void election_step_down_key(uint64_t epoch, char ret[ELECTION_KEY_MAX + 1]);

#endif
