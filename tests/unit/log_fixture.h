/* log_fixture.h -- a store, an object directory and a writer of the shared log between them, for tests.
 * Shards are used directly: there is one thread. Failures that no test expects end it. */
#ifndef TESTS_LOG_FIXTURE_H
#define TESTS_LOG_FIXTURE_H

#include "scripted_store.h"
#include "store_fixture.h"
#include "temp_dir.h"

#include "storage/sharedlog/log_reader.h"
#include "storage/sharedlog/log_writer.h"

enum { LOG_ACKS_MAX = 64 };

struct log_fixture {
    struct store_fixture x;
    struct temp_dir objects_dir;
    struct object_store *dir;
    struct scripted_store objects;
    struct log_meta meta;
    struct log_writer_config config;
    struct log_writer *writer;
    uint64_t now_ms;
    size_t syncs;
    bool deaf;          /* does not note what may be acknowledged */
    bool lose_confirms; /* positions are not moved: a crash before that */
    struct {            /* what may be acknowledged, as the writer told */
        char database[64];
        struct stamp position;
        bool complete;
    } told[LOG_ACKS_MAX];
    size_t told_count;
};

void log_fixture_init(struct log_fixture *f);
void log_fixture_free(struct log_fixture *f);

/* Closes the writer, opens one again: another run of the same server. */
void log_fixture_restart(struct log_fixture *f);
enum sync_err log_fixture_open(struct log_fixture *f, struct err_ctx *ec);

/* One cell c of row pk, later than all before. */
void log_fixture_put(struct log_fixture *f, const char *database, const char *pk, const char *value);
void log_fixture_delete(struct log_fixture *f, const char *database, const char *pk);

enum log_step log_fixture_step(struct log_fixture *f);

/* What the reader gives, like fixture_log() but without what was before: "[1]=\"x\" " and "[1]! " of
 * deletes. */
const char *log_fixture_read(struct log_fixture *f, const char *database, const struct stamp *after,
                             struct log_summary *ret, struct arena *arena);

#endif
