/* stores.h -- the store that a test run is about: a directory, or the bucket that the environment names.
 *
 * S3_ENDPOINT, S3_ACCESS_KEY, S3_SECRET_KEY, S3_REGION, S3_BUCKET (and S3_TLS_ENDPOINT, S3_CA_FILE) are what
 * tests/s3-server prints. Every run works under a prefix of its own, so that a bucket can be used again. */
#ifndef TESTS_OBJECTS_STORES_H
#define TESTS_OBJECTS_STORES_H

#include "storage/objects/object_s3.h"
#include "storage/objects/object_store.h"

/* kind is "dir" or "s3", place the directory (made if missing) or "". A run prefix is drawn, or taken from
 * the environment's OBJECTS_RUN by a child process. */
void stores_init(const char *kind, const char *place);
const char *stores_kind(void);
const char *stores_place(void);
const char *stores_run(void);

/* A store of that kind; every call opens another one on the same objects. Checks that it opens. */
struct object_store *stores_open(void);
struct object_store *stores_open_observed(const struct object_observer *observer);

/* The S3 settings of the run, to be changed by a test. Borrows texts that stay. */
struct object_s3_config stores_s3_config(void);

/* Opens with those settings; checks that it opens. */
struct object_store *stores_open_s3(const struct object_s3_config *cfg);

/* A key of the run: "NAME" under a folder that is new for every test. Up to 8 at a time; not for threads. */
struct slice stores_key(const char *name);
void stores_next_folder(void);

const char *need_env(const char *name); /* checks that it is set */

#endif
