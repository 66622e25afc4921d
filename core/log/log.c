#include "core/log/log.h"

#include "core/log/log_filter.h"

#include <assert.h>

enum { SETTINGS_LEVEL_SHIFT = 8, SETTINGS_JSON = 1 << 10 };
static_assert((int)LOG_NAMESPACE_COUNT <= (int)SETTINGS_LEVEL_SHIFT,
              "a bit for each namespace below the level");

/* What ends a line that lost fields; room for the longer one is kept in every line. */
#define TRUNCATED_TEXT " truncated=true\n"
#define TRUNCATED_JSON ",\"truncated\":true}\n"

const char *log_namespace_name(enum log_namespace ns)
{
#define X(constant, name) "sync-coordinator:" name,
    static const char *const names[] = {LOG_NAMESPACE_MAP(X)};
#undef X
    return names[ns];
}

const char *log_level_name(enum log_level level)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    return names[level];
}

uint32_t log_settings(enum log_level level, enum log_format format, struct slice patterns)
{
    uint32_t settings = (uint32_t)level << SETTINGS_LEVEL_SHIFT;
    if (format == LOG_FORMAT_JSON) settings |= SETTINGS_JSON;
    if (patterns.len == 0 && level == LOG_LEVEL_DEBUG) patterns = slice_str("*");
    for (uint32_t ns = 0; ns < LOG_NAMESPACE_COUNT; ns++)
        if (log_filter_match(patterns, slice_str(log_namespace_name((enum log_namespace)ns))))
            settings |= UINT32_C(1) << ns;
    return settings;
}

void log_output_init(struct log_output *o, struct log_sink sink)
{
    o->sink = sink;
    atomic_init(&o->settings, log_settings(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, slice_of(NULL, 0)));
}

void log_configure(struct log_output *o, enum log_level level, enum log_format format, struct slice patterns)
{
    atomic_store_explicit(&o->settings, log_settings(level, format, patterns), memory_order_relaxed);
}

struct logger logger_of(struct log_output *o)
{
    return (struct logger){.output = o};
}

struct logger logger_for_conn(const struct logger *parent, struct slice conn)
{
    struct logger l = {.output = parent->output};
    size_t len = conn.len < LOG_CONN_BYTES_MAX ? conn.len : LOG_CONN_BYTES_MAX;
    if (len > 0) memcpy(l.conn, conn.bytes, len);
    return l;
}

static void put(struct log_line *line, const char *text)
{
    log_line_put(line, slice_str(text));
}

static void put_field_value(struct log_line *line, const struct log_field *f, bool json)
{
    switch (f->type) {
    case LOG_FIELD_TEXT:
        if (json)
            log_line_put_quoted(line, f->text);
        else
            log_line_put_value(line, f->text);
        break;
    case LOG_FIELD_U64: log_line_put_u64(line, f->number); break;
    case LOG_FIELD_I64: log_line_put_i64(line, (int64_t)f->number); break;
    case LOG_FIELD_BOOL: put(line, f->number != 0 ? "true" : "false"); break;
    }
}

/* The whole field, or nothing of it. A field that does not fit does not keep a shorter one out. */
static bool put_field(struct log_line *line, const struct log_field *f, bool json)
{
    size_t first = line->len;
    put(line, json ? ",\"" : " ");
    put(line, f->key);
    put(line, json ? "\":" : "=");
    put_field_value(line, f, json);
    bool fits = !line->full;
    if (!fits) log_line_cut(line, first);
    line->full = false;
    return fits;
}

static void put_head(struct log_line *line, enum log_namespace ns, enum log_level level, uint64_t now_ms,
                     struct slice event, bool json)
{
    put(line, json ? "{\"time\":\"" : "");
    log_line_put_time(line, now_ms);
    put(line, json ? "\",\"level\":\"" : " ");
    put(line, log_level_name(level));
    if (json)
        put(line, "\",\"namespace\":\"");
    else
        put(line, level == LOG_LEVEL_INFO || level == LOG_LEVEL_WARN ? "  " : " "); /* names line up */
    put(line, log_namespace_name(ns));
    put(line, json ? "\",\"event\":\"" : " ");
    log_line_put(line, event);
    put(line, json ? "\"" : "");
    assert(!line->full); /* all of it is ours, and short */
}

void log_write(const struct logger *l, enum log_namespace ns, enum log_level level,
               const struct log_field *fields, size_t count)
{
    struct log_output *o = l->output;
    bool json = (atomic_load_explicit(&o->settings, memory_order_relaxed) & SETTINGS_JSON) != 0;
    bool truncated = false;
    struct log_line line;
    log_line_start(&line, sizeof TRUNCATED_JSON);
    put_head(&line, ns, level, o->sink.now_ms(o->sink.arg), fields[0].text, json);
    if (l->conn[0] != '\0') {
        struct log_field conn = log_field_str("conn", l->conn);
        truncated |= !put_field(&line, &conn, json);
    }
    for (size_t i = 1; i < count; i++) truncated |= !put_field(&line, &fields[i], json);

    log_line_finish(&line);
    if (truncated)
        put(&line, json ? TRUNCATED_JSON : TRUNCATED_TEXT);
    else
        put(&line, json ? "}\n" : "\n");
    assert(!line.full);
    o->sink.write(o->sink.arg, line.bytes, line.len);
}
