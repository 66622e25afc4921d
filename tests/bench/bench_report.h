/* bench_report.h -- the one JSON object that is printed at the end. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "bench_util.h"

#include "core/base/buf.h"

struct report {
    struct buf out;
    bool first; /* no member in the innermost object yet */
};

void report_init(struct report *r);

/* key NULL: an element of an array. */
void report_object(struct report *r, const char *key);
void report_array(struct report *r, const char *key);
void report_end(struct report *r, char bracket); /* '}' or ']' */

void report_number(struct report *r, const char *key, double value, int decimals);
void report_count(struct report *r, const char *key, uint64_t value);
void report_text(struct report *r, const char *key, const char *value);

/* "PREFIX_p50_us" and so on: 50, 99, 99.9. */
void report_percentiles(struct report *r, const char *prefix, struct samples *s);

/* Ends the outermost object and prints it. */
void report_print(struct report *r);

#endif
