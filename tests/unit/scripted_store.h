/* scripted_store.h -- an object store over another one, whose conditional creations end as a test says.
 *
 * Each creation takes the next outcome of the script; with an empty script it goes through. Everything else
 * goes through, until the fuse blows, where one is set: then everything fails, as after a crash. Threads:
 * one. */
#ifndef TESTS_SCRIPTED_STORE_H
#define TESTS_SCRIPTED_STORE_H

#include "storage/objects/object_impl.h"

enum scripted {
    SCRIPTED_PASS,            /* as it is */
    SCRIPTED_REFUSED,         /* SYNC_EBUSY, not written */
    SCRIPTED_UNKNOWN,         /* unknown, not written */
    SCRIPTED_UNKNOWN_WRITTEN, /* unknown, written */
    SCRIPTED_UNKNOWN_LATE,    /* unknown; written by scripted_store_land() */
    SCRIPTED_READS_FAIL,      /* unknown, written, and the next read fails */
};

struct scripted_store {
    struct object_store base; /* first: use &s->base */
    struct object_store *below;
    enum scripted script[16];
    size_t script_count, script_next;
    bool fail_read;
    char late_key[OBJECT_KEY_MAX + 1];
    struct buf late;
    size_t creations; /* asked for */
    size_t removals;
    size_t heads, lists;
    bool has_fuse;
    uint32_t fuse; /* so many calls go through */
};

void scripted_store_init(struct scripted_store *s, struct object_store *below);
void scripted_store_deinit(struct scripted_store *s);
void scripted_store_script(struct scripted_store *s, const enum scripted *script, size_t count);

/* The request that was late arrives: a creation like any other. Returns its outcome. */
enum object_outcome scripted_store_land(struct scripted_store *s);

#endif
