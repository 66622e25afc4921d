#include "bench_report.h"

#include "core/json/json_text.h"

#include <stdio.h>

void report_init(struct report *r)
{
    *r = (struct report){.out = buf_make(1 << 20), .first = true};
    buf_put_char(&r->out, '{');
}

static void begin(struct report *r, const char *key)
{
    if (!r->first) buf_put_char(&r->out, ',');
    r->first = false;
    if (key != NULL) buf_printf(&r->out, "\"%s\":", key);
}

void report_object(struct report *r, const char *key)
{
    begin(r, key);
    buf_put_char(&r->out, '{');
    r->first = true;
}

void report_array(struct report *r, const char *key)
{
    begin(r, key);
    buf_put_char(&r->out, '[');
    r->first = true;
}

void report_end(struct report *r, char bracket)
{
    buf_put_char(&r->out, bracket);
    r->first = false;
}

void report_number(struct report *r, const char *key, double value, int decimals)
{
    begin(r, key);
    buf_printf(&r->out, "%.*f", decimals, value);
}

void report_count(struct report *r, const char *key, uint64_t value)
{
    begin(r, key);
    buf_put_u64(&r->out, value);
}

void report_text(struct report *r, const char *key, const char *value)
{
    begin(r, key);
    json_put_text(&r->out, slice_str(value));
}

void report_percentiles(struct report *r, const char *prefix, struct samples *s)
{
    static const struct {
        const char *name;
        double percent;
    } wanted[] = {{"p50", 50}, {"p99", 99}, {"p99_9", 99.9}};
    char key[64];
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        (void)snprintf(key, sizeof key, "%s_%s_us", prefix, wanted[i].name);
        report_number(r, key, (double)samples_percentile(s, wanted[i].percent) / 1000, 1);
    }
}

void report_print(struct report *r)
{
    struct err_ctx ec;
    report_end(r, '}');
    if (buf_check(&r->out, &ec) != SYNC_OK) die("the report: %s", ec.text);
    (void)printf("%.*s\n", SLICE_ARG(buf_slice(&r->out)));
    buf_deinit(&r->out);
}
