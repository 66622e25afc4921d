/* tidy_fixture.h -- a log_tidy over the log of log_fixture.h, with snapshots that cover what a test says. One
 * of each, begun and ended for every test of a suite. Failures that no test expects end it. */
#ifndef TESTS_TIDY_FIXTURE_H
#define TESTS_TIDY_FIXTURE_H

#include "log_fixture.h"

#include "storage/sharedlog/log_tidy.h"

enum { FAN_IN = 4 };

extern struct log_fixture f;
extern struct arena arena;
extern struct log_tidy *tidy;
extern uint64_t now_ms;

/* What snapshots cover. */
struct tidy_cover {
    char database[16];
    struct stamp stamp;
    bool missing; /* it is noted, and is not there */
    size_t proofs;
};
extern struct tidy_cover covers[8];
extern size_t cover_count;
extern bool proofs_fail;

void tidy_begin(void);
void tidy_end(void);

struct log_tidy_config config(void);
void open_tidy(const struct log_tidy_config *cfg);

/* A round up to the writer's last number. */
struct log_tidy_result go(bool weigh);

/* What is left of the log: "1-4 5-8' 9 10", with a mark at what was made anew. */
struct log_list list(void);
const char *parts(void);

/* An object of one cell; and objects up to this number, each of one of three databases. The first only says
 * that the server began. */
void write_one(const char *database, const char *pk, const char *value);
void write_up_to(uint64_t number);

const char *read_back(const char *database);

/* A snapshot covers all that the database has now. */
void cover(const char *database);

#endif
