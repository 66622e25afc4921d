#include "core/metrics/metrics.h"

#include <assert.h>

enum { METRIC_DECIMALS_MAX = 9 };

uint64_t histogram_count(const struct histogram *h)
{
    uint64_t count = 0;
    for (size_t i = 0; i <= h->bounds->count; i++)
        count += atomic_load_explicit(&h->observed[i], memory_order_relaxed);
    return count;
}

const char *metric_type_name(enum metric_type type)
{
    switch (type) {
    case METRIC_COUNTER: return "counter";
    case METRIC_GAUGE: return "gauge";
    case METRIC_HISTOGRAM: return "histogram";
    }
    return "untyped";
}

size_t metric_series_count(const struct metric_desc *d)
{
    size_t count = 1;
    for (size_t i = 0; i < d->label_count; i++) count *= d->labels[i].value_count;
    return count;
}

/* Of a metric, or with `colon` false of a label. */
static bool name_is_valid(const char *name, bool colon)
{
    for (const char *c = name; *c != '\0'; c++) {
        bool letter =
            (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_' || (colon && *c == ':');
        bool digit = *c >= '0' && *c <= '9';
        if (!letter && !(digit && c != name)) return false;
    }
    return *name != '\0';
}

static struct metric_family *add(struct metrics_registry *r, const struct metric_desc *d,
                                 enum metric_type type)
{
    assert(r->family_count < METRIC_FAMILIES_MAX);
    assert(d->type == type);
    assert(name_is_valid(d->name, true));
    assert(d->decimals <= METRIC_DECIMALS_MAX);
    assert(d->label_count <= METRIC_LABELS_MAX);
    for (size_t i = 0; i < d->label_count; i++) assert(name_is_valid(d->labels[i].name, false));
    for (size_t i = 0; i < r->family_count; i++) assert(strcmp(r->families[i].desc->name, d->name) != 0);
    struct metric_family *f = &r->families[r->family_count++];
    f->desc = d;
    return f;
}

void metrics_add_counter(struct metrics_registry *r, const struct metric_desc *d, struct counter *first)
{
    add(r, d, METRIC_COUNTER)->counters = first;
}

void metrics_add_gauge(struct metrics_registry *r, const struct metric_desc *d, struct gauge *first)
{
    add(r, d, METRIC_GAUGE)->gauges = first;
}

void metrics_add_histogram(struct metrics_registry *r, const struct metric_desc *d, struct histogram *first)
{
    const struct histogram_bounds *bounds = &d->bounds;
    assert(bounds->count > 0);
    assert(bounds->count <= HISTOGRAM_BOUNDS_MAX);
    for (size_t i = 1; i < bounds->count; i++) assert(bounds->at[i - 1] < bounds->at[i]);
    add(r, d, METRIC_HISTOGRAM)->histograms = first;
    for (size_t i = 0; i < metric_series_count(d); i++) first[i].bounds = bounds;
}

/* raw / 10^decimals, without trailing zeros: 2500000000 with 9 decimals is 2.5. */
static void put_decimal(struct buf *b, uint64_t raw, unsigned decimals)
{
    uint64_t unit = 1;
    for (unsigned i = 0; i < decimals; i++) unit *= 10;
    buf_put_u64(b, raw / unit);
    uint64_t rest = raw % unit;
    if (rest == 0) return;
    buf_put_char(b, '.');
    while (rest != 0) {
        unit /= 10;
        buf_put_char(b, (char)('0' + rest / unit));
        rest %= unit;
    }
}

static void put_signed_decimal(struct buf *b, int64_t raw, unsigned decimals)
{
    if (raw < 0) buf_put_char(b, '-');
    put_decimal(b, raw < 0 ? 0 - (uint64_t)raw : (uint64_t)raw, decimals);
}

/* Backslash and line feed are escaped everywhere, quotes in label values only. */
static void put_escaped(struct buf *b, const char *text, bool quotes)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '\n') {
            BUF_PUT_LIT(b, "\\n");
        } else {
            if (*c == '\\' || (quotes && *c == '"')) buf_put_char(b, '\\');
            buf_put_char(b, *c);
        }
    }
}

static void put_label(struct buf *b, const char *name, const char *value)
{
    buf_put_str(b, name);
    BUF_PUT_LIT(b, "=\"");
    put_escaped(b, value, true);
    buf_put_char(b, '"');
}

/* The labels of the series at `index`, without braces. */
static void put_labels(struct buf *b, const struct metric_desc *d, size_t index)
{
    size_t below = metric_series_count(d); /* series that share the labels written so far */
    for (size_t i = 0; i < d->label_count; i++) {
        below /= d->labels[i].value_count;
        if (i > 0) buf_put_char(b, ',');
        put_label(b, d->labels[i].name, d->labels[i].values[index / below % d->labels[i].value_count]);
    }
}

/* name, suffix, labels and the space before the value. */
static void put_series(struct buf *b, const struct metric_desc *d, const char *suffix, size_t index)
{
    buf_put_str(b, d->name);
    buf_put_str(b, suffix);
    if (d->label_count > 0) {
        buf_put_char(b, '{');
        put_labels(b, d, index);
        buf_put_char(b, '}');
    }
    buf_put_char(b, ' ');
}

/* The bound at `i`, or +Inf past the last, with the space before the value. */
static void put_bucket(struct buf *b, const struct metric_desc *d, size_t index, size_t i)
{
    buf_put_str(b, d->name);
    BUF_PUT_LIT(b, "_bucket{");
    put_labels(b, d, index);
    if (d->label_count > 0) buf_put_char(b, ',');
    BUF_PUT_LIT(b, "le=\"");
    if (i < d->bounds.count)
        put_decimal(b, d->bounds.at[i], d->decimals);
    else
        BUF_PUT_LIT(b, "+Inf");
    BUF_PUT_LIT(b, "\"} ");
}

static void write_histogram(struct buf *b, const struct metric_desc *d, const struct histogram *h,
                            size_t index)
{
    uint64_t count = 0;
    for (size_t i = 0; i <= d->bounds.count; i++) {
        count += atomic_load_explicit(&h->observed[i], memory_order_relaxed);
        put_bucket(b, d, index, i);
        buf_put_u64(b, count);
        buf_put_char(b, '\n');
    }
    put_series(b, d, "_sum", index);
    put_decimal(b, atomic_load_explicit(&h->sum, memory_order_relaxed), d->decimals);
    buf_put_char(b, '\n');
    put_series(b, d, "_count", index);
    buf_put_u64(b, count);
    buf_put_char(b, '\n');
}

static void write_family(struct buf *b, const struct metric_family *f)
{
    const struct metric_desc *d = f->desc;
    BUF_PUT_LIT(b, "# HELP ");
    buf_put_str(b, d->name);
    buf_put_char(b, ' ');
    put_escaped(b, d->help, false);
    BUF_PUT_LIT(b, "\n# TYPE ");
    buf_put_str(b, d->name);
    buf_put_char(b, ' ');
    buf_put_str(b, metric_type_name(d->type));
    buf_put_char(b, '\n');

    size_t count = metric_series_count(d);
    for (size_t i = 0; i < count; i++) {
        if (d->type == METRIC_HISTOGRAM) {
            if (d->leave_out_zero && histogram_count(&f->histograms[i]) == 0) continue;
            write_histogram(b, d, &f->histograms[i], i);
            continue;
        }
        int64_t gauge = d->type == METRIC_GAUGE ? gauge_value(&f->gauges[i]) : 0;
        uint64_t counter = d->type == METRIC_COUNTER ? counter_value(&f->counters[i]) : 0;
        if (d->leave_out_zero && gauge == 0 && counter == 0) continue;
        put_series(b, d, "", i);
        if (d->type == METRIC_GAUGE)
            put_signed_decimal(b, gauge, d->decimals);
        else
            put_decimal(b, counter, d->decimals);
        buf_put_char(b, '\n');
    }
}

void metrics_write(const struct metrics_registry *r, struct buf *ret)
{
    for (size_t i = 0; i < r->family_count; i++) write_family(ret, &r->families[i]);
}

void metrics_write_markdown(const struct metrics_registry *r, struct buf *ret)
{
    BUF_PUT_LIT(ret, "| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < r->family_count; i++) {
        const struct metric_desc *d = r->families[i].desc;
        buf_printf(ret, "| `%s` | %s | ", d->name, metric_type_name(d->type));
        for (size_t l = 0; l < d->label_count; l++) {
            buf_printf(ret, "%s`%s`: ", l > 0 ? "; " : "", d->labels[l].name);
            for (size_t v = 0; v < d->labels[l].value_count; v++)
                buf_printf(ret, "%s%s", v > 0 ? ", " : "", d->labels[l].values[v]);
        }
        BUF_PUT_LIT(ret, " | ");
        buf_put_str(ret, d->help);
        BUF_PUT_LIT(ret, " |\n");
    }
}
