/* view_internal.h -- what the files of the reading side share. */
#ifndef STORAGE_VIEWS_VIEW_INTERNAL_H
#define STORAGE_VIEWS_VIEW_INTERNAL_H

#include "storage/leveldb/instance.h"
#include "storage/records/keys.h"
#include "storage/records/record.h"
#include "storage/shard/shard_internal.h"
#include "storage/views/view.h"

struct view {
    struct reader *reader;
    uint32_t number; /* 0: the database does not exist, and no key has this number and a kind of facts */
    struct database_info info;
    size_t name_len;
    char name[DATABASE_ID_MAX]; /* for error texts */
};

/* Puts the database's name in front of the error. Returns rc. */
enum sync_err view_error(const struct view *v, enum sync_err rc, struct err_ctx *ec);

enum key_kind view_kind_of(enum fact_type type);

#endif
