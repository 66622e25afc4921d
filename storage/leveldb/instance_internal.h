/* instance_internal.h -- what instance.c and reader.c share. */
#ifndef STORAGE_LEVELDB_INSTANCE_INTERNAL_H
#define STORAGE_LEVELDB_INSTANCE_INTERNAL_H

#include "storage/leveldb/instance.h"

#include <pthread.h>
#include <stdatomic.h>

struct instance {
    char *dir;
    const leveldb_options_t *options;
    leveldb_readoptions_t *read_options; /* the owner's: what is there now */
    leveldb_writeoptions_t *write_options, *lazy_options, *sync_options;
    _Atomic uint64_t torn_bytes;
    /* Guards the list of readers, and db against them: the owner, the only one to change db, reads it
     * without. */
    pthread_mutex_t lock;
    leveldb_t *db; /* NULL: closed */
    struct reader *readers;
};

struct reader {
    struct instance *in;
    struct reader *next, **link; /* in->readers */
    pthread_mutex_t lock;        /* guards what follows; taken after in->lock */
    leveldb_t *db;               /* NULL: cut off */
    const leveldb_snapshot_t *snapshot;
    leveldb_readoptions_t *options, *options_uncached;
    struct scan *scans;
};

/* The caller holds in->lock. */
void reader_cut_off(struct reader *r);

enum sync_err instance_error(struct err_ctx *ec, const char *doing, char *text);

#endif
