/* log_line.h -- one line of a log while it is written: bounded, and safe whatever a client put into it.
 *
 * A value is written so that it cannot end its own field or its own line, nor steer a terminal: quotes,
 * backslashes, control characters (C0, DEL, C1), line separators and characters that reorder or hide text
 * are escaped as in JSON, and bytes that are not UTF-8 become U+FFFD. A value over LOG_VALUE_BYTES_MAX is
 * cut between characters and ends in an ellipsis. What does not fit the line any more is left out whole.
 *
 * Pure, no allocation. Threads: one at a time. */
#ifndef CORE_LOG_LOG_LINE_H
#define CORE_LOG_LOG_LINE_H

#include "core/base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LOG_LINE_BYTES_MAX = 4096,  /* with its line feed; what Linux writes to a pipe in one piece */
    LOG_VALUE_BYTES_MAX = 1024, /* one text, escaped, without quotes and ellipsis */
};

struct log_line {
    char bytes[LOG_LINE_BYTES_MAX];
    size_t len;
    size_t limit; /* len never passes it; below LOG_LINE_BYTES_MAX while room is kept for the end */
    bool full;    /* something did not fit */
};

/* An empty line that keeps `reserved` bytes free at its end. */
void log_line_start(struct log_line *l, size_t reserved);

/* Each appends all of its text, or nothing and marks the line full. */
void log_line_put(struct log_line *l, struct slice text); /* our own text, as it is */
void log_line_put_u64(struct log_line *l, uint64_t n);
void log_line_put_i64(struct log_line *l, int64_t n);
void log_line_put_quoted(struct log_line *l, struct slice text); /* a JSON string */
void log_line_put_value(struct log_line *l, struct slice text);  /* quoted only where it must be */
void log_line_put_time(struct log_line *l, uint64_t unix_ms);    /* 2024-05-06T07:08:09.123Z */

/* Takes back everything from `len` on: a field is written whole or not at all. */
void log_line_cut(struct log_line *l, size_t len);

/* Opens the reserved end. */
void log_line_finish(struct log_line *l);

#endif
