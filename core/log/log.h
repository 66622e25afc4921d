/* log.h -- lines of key=value about what happens: one line, one event.
 *
 *     log_warn(&s->logger, LOG_WS, "session.lagging", LOG_SLICE("db", db), LOG_U64("dropped_bytes", n));
 *
 *     2024-05-06T07:08:09.123Z warn  sync-coordinator:ws session.lagging conn=k3x db=shop dropped_bytes=812
 *     {"time":"...","level":"warn","namespace":"sync-coordinator:ws","event":"session.lagging","conn":"k3x",...
 *
 * There is no format string: a line is an event and typed fields, keys and events are literals, and every
 * text is escaped by the writer (log_line.h), so that no caller can forget it and no client can forge a line
 * or a field. A line over LOG_LINE_BYTES_MAX loses the fields that do not fit and says truncated=true. What
 * never belongs into a field is a token or the value of a cell.
 *
 * Whether a line is shown: info, warn and error by level; debug lines by namespace, as DEBUG= of the `debug`
 * package does (log_filter.h). Level debug without any pattern shows the debug lines of every namespace.
 * Fields of a line that is not shown are not even evaluated.
 *
 * Threads: any, at any time, also log_configure(). The sink is called from whichever thread logs.
 *
 * Pure: the sink and the clock are arguments; no allocation (a line is built on the stack). */
#ifndef CORE_LOG_LOG_H
#define CORE_LOG_LOG_H

#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/log/log_line.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(constant, name): the namespaces, shown as "sync-coordinator:NAME". */
#define LOG_NAMESPACE_MAP(X)                                                                                 \
    X(SERVER, "server")                                                                                      \
    X(HTTP, "http")                                                                                          \
    X(WS, "ws")                                                                                              \
    X(SERVICE, "service")                                                                                    \
    X(AUTH, "auth")                                                                                          \
    X(CONFIG, "config")                                                                                      \
    X(STORAGE, "storage")                                                                                    \
    X(HOOKS, "hooks")

#define X(constant, name) LOG_##constant,
enum log_namespace { LOG_NAMESPACE_MAP(X) LOG_NAMESPACE_COUNT };
#undef X

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

enum { LOG_CONN_BYTES_MAX = 40 };

/* What lines go to. Both functions are called from many threads at once. */
struct log_sink {
    void (*write)(void *arg, const char *line, size_t len); /* one whole line, its line feed included */
    uint64_t (*now_ms)(void *arg);                          /* wall clock, since 1970 UTC */
    void *arg;
};

/* One for the whole server; does not move. */
struct log_output {
    struct log_sink sink;
    _Atomic uint32_t settings; /* log_settings(): one word, so a reload is one store */
};

/* What a part of the server holds, by value. All lines of a connection carry its id, since they go through
 * the logger made for it. */
struct logger {
    struct log_output *output;
    char conn[LOG_CONN_BYTES_MAX + 1]; /* empty: no connection */
};

void log_output_init(struct log_output *o, struct log_sink sink); /* level info, text, no debug lines */

/* Changes what is shown, from now on, for all loggers of this output. `patterns` as in log_filter.h. */
void log_configure(struct log_output *o, enum log_level level, enum log_format format, struct slice patterns);

struct logger logger_of(struct log_output *o);

/* The same output, with a connection's id (cut after LOG_CONN_BYTES_MAX bytes). */
struct logger logger_for_conn(const struct logger *parent, struct slice conn);

/* The settings word: bit i: debug lines of namespace i; bits 8 and 9: level; bit 10: JSON. */
uint32_t log_settings(enum log_level level, enum log_format format, struct slice patterns);

static inline bool log_enabled(const struct logger *l, enum log_namespace ns, enum log_level level)
{
    uint32_t settings = atomic_load_explicit(&l->output->settings, memory_order_relaxed);
    if (level == LOG_LEVEL_DEBUG) return (settings >> ns & 1) != 0;
    return (uint32_t)level >= (settings >> 8 & 3);
}

enum log_field_type { LOG_FIELD_TEXT, LOG_FIELD_U64, LOG_FIELD_I64, LOG_FIELD_BOOL };

struct log_field {
    const char *key;
    enum log_field_type type;
    struct slice text;
    uint64_t number; /* of U64 and BOOL; of I64 converted */
};

static inline struct log_field log_field_text(const char *key, struct slice text)
{
    return (struct log_field){.key = key, .type = LOG_FIELD_TEXT, .text = text};
}

static inline struct log_field log_field_str(const char *key, const char *text) /* NULL shows as empty */
{
    return log_field_text(key, text == NULL ? slice_of(NULL, 0) : slice_str(text));
}

static inline struct log_field log_field_number(const char *key, enum log_field_type type, uint64_t number)
{
    return (struct log_field){.key = key, .type = type, .number = number};
}

/* The fields. Keys are literals of a-z, 0-9 and _ (`"" key` refuses anything but a literal). */
#define LOG_SLICE(key, slice) log_field_text("" key, slice)
#define LOG_STR(key, text)    log_field_str("" key, text)
#define LOG_U64(key, n)       log_field_number("" key, LOG_FIELD_U64, n)
#define LOG_I64(key, n)       log_field_number("" key, LOG_FIELD_I64, (uint64_t)(int64_t)(n))
#define LOG_BOOL(key, b)      log_field_number("" key, LOG_FIELD_BOOL, (b) ? 1 : 0)
#define LOG_FAILURE(ec)       log_field_str("error", (ec)->text) /* of a struct err_ctx * */

/* event: a literal like "session.lagging"; then any number of fields. */
#define log_debug(to, ns, event, ...) LOG_AT(to, ns, LOG_LEVEL_DEBUG, event, ##__VA_ARGS__)
#define log_info(to, ns, event, ...)  LOG_AT(to, ns, LOG_LEVEL_INFO, event, ##__VA_ARGS__)
#define log_warn(to, ns, event, ...)  LOG_AT(to, ns, LOG_LEVEL_WARN, event, ##__VA_ARGS__)
#define log_error(to, ns, event, ...) LOG_AT(to, ns, LOG_LEVEL_ERROR, event, ##__VA_ARGS__)

#define LOG_AT(to, ns, level, event, ...)                                                                    \
    do {                                                                                                     \
        const struct logger *log_to_ = (to);                                                                 \
        if (log_enabled(log_to_, ns, level)) {                                                               \
            const struct log_field log_fields_[] = {log_field_str("event", "" event), ##__VA_ARGS__};        \
            log_write(log_to_, ns, level, log_fields_, sizeof log_fields_ / sizeof log_fields_[0]);          \
        }                                                                                                    \
    } while (0)

/* Behind the macros: fields[0] is the event. */
void log_write(const struct logger *l, enum log_namespace ns, enum log_level level,
               const struct log_field *fields, size_t count);

const char *log_namespace_name(enum log_namespace ns); /* "sync-coordinator:ws" */
const char *log_level_name(enum log_level level);      /* "warn" */

#endif
