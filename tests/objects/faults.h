/* faults.h -- a fresh store behind a fresh fault proxy for each test of S3's own behaviour. */
#ifndef TESTS_OBJECTS_FAULTS_H
#define TESTS_OBJECTS_FAULTS_H

#include "tests/objects/check.h"
#include "tests/objects/fault_proxy.h"
#include "tests/objects/stores.h"

enum { WAIT_MS = 10000 }; /* for what must come about; a test that waits so long has failed */

/* What the running test works with. The observer's findings are about the last call only where calls are one
 * after another. */
struct faults {
    struct fault_proxy *proxy;
    struct object_store *store;  /* through the proxy */
    struct object_store *direct; /* past it */
    struct object_event last;
    enum breaker_state moves[16]; /* of the breaker, in order */
    unsigned moves_count;
    int64_t skew_ms; /* the last one reported */
    struct err_ctx ec;
    char endpoint[64]; /* the proxy's */
};

extern struct faults fx;

/* The proxy and a direct store; no store through the proxy yet. */
void faults_begin(void);
void faults_end(void);

/* Settings with short waits and the proxy as endpoint; fx observes. Opens fx.store after the test changed
 * them. */
struct object_s3_config faults_config(void);
void faults_open(const struct object_s3_config *cfg);

int faults_rule(const char *line); /* checks that it is one */

/* Puts through the direct store, and checks what it holds. */
void faults_put_direct(const char *name, const char *bytes);
void faults_check_holds(const char *name, const char *bytes);
void faults_check_absent(const char *name);

uint64_t faults_clock_ms(void);

/* Makes run_NAME() of the test NAME: with proxy, and a store of the usual settings. */
#define WITH_FAULTS(name)                                                                                    \
    static void run_##name(void)                                                                             \
    {                                                                                                        \
        faults_begin();                                                                                      \
        struct object_s3_config cfg = faults_config();                                                       \
        faults_open(&cfg);                                                                                   \
        name();                                                                                              \
        faults_end();                                                                                        \
    }

/* The same, without a store: the test opens its own. */
#define WITH_PROXY(name)                                                                                     \
    static void run_##name(void)                                                                             \
    {                                                                                                        \
        faults_begin();                                                                                      \
        name();                                                                                              \
        faults_end();                                                                                        \
    }

#define ADD_TEST(name) ret[count++] = (struct test){#name, run_##name};

size_t faults_repeats(struct test *ret);    /* what is repeated and what is not; the breaker */
size_t faults_conditions(struct test *ret); /* how conditional writes end */
size_t faults_transfers(struct test *ret);  /* reads that break, uploads, stalls, cancels */
size_t faults_settings(struct test *ret);   /* wrong and unusual settings, and what is said about them */

#endif
