/* The tables in docs/ that the code can print itself.
 *
 *     docs_tables check FILE TABLE    exits 1 when the file's table differs from the code's
 *     docs_tables write FILE TABLE    puts the code's table into the file
 *
 * TABLE is options or metrics. In the file the table stands between two lines that hold
 * <!-- TABLE: made from the code --> and <!-- end of TABLE -->. */
#include "core/config/config.h"
#include "core/metrics/sync_metrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { DOCS_BYTES_MAX = 1 << 20 };

static void fail(const char *file, const char *what)
{
    fprintf(stderr, "%s: %s\n", file, what);
    exit(1);
}

static void print_table(const char *table, struct buf *ret)
{
    static struct sync_metrics metrics;
    if (strcmp(table, "options") == 0) {
        config_write_markdown(ret);
    } else if (strcmp(table, "metrics") == 0) {
        sync_metrics_init(&metrics);
        metrics_write_markdown(&metrics.registry, ret);
    } else {
        fail(table, "not a table");
    }
}

static void read_file(const char *path, struct buf *ret)
{
    char piece[4096];
    size_t n;
    FILE *f = fopen(path, "rb");
    if (f == NULL) fail(path, strerror(errno));
    while ((n = fread(piece, 1, sizeof piece, f)) > 0) buf_put(ret, piece, n);
    if (ferror(f)) fail(path, "cannot be read");
    (void)fclose(f); /* was only read */
}

/* The text between the two marker lines. */
static struct slice find_table(const char *path, struct slice text, const char *table)
{
    char first[100], last[100];
    int first_len = snprintf(first, sizeof first, "<!-- %s: made from the code -->\n", table);
    int last_len = snprintf(last, sizeof last, "<!-- end of %s -->\n", table);
    const char *from = memmem(text.bytes, text.len, first, (size_t)first_len);
    if (from == NULL) fail(path, "the marker in front of the table is missing");
    from += first_len;
    const char *to = memmem(from, (size_t)(text.bytes + text.len - from), last, (size_t)last_len);
    if (to == NULL) fail(path, "the marker behind the table is missing");
    return slice_of(from, (size_t)(to - from));
}

int main(int argc, char **argv)
{
    if (argc != 4) fail("usage", "docs_tables check|write FILE TABLE");
    const char *path = argv[2];
    struct buf docs = buf_make(DOCS_BYTES_MAX), table = buf_make(DOCS_BYTES_MAX);
    struct err_ctx ec;
    read_file(path, &docs);
    print_table(argv[3], &table);
    if (buf_check(&docs, &ec) != SYNC_OK || buf_check(&table, &ec) != SYNC_OK) fail(path, ec.text);
    struct slice old = find_table(path, buf_slice(&docs), argv[3]);

    if (strcmp(argv[1], "check") == 0) {
        if (!slice_eq(old, buf_slice(&table)))
            fail(path, "the table differs from the code's; `docs_tables write` puts it right");
    } else {
        FILE *f = fopen(path, "wb");
        if (f == NULL) fail(path, strerror(errno));
        size_t before = (size_t)(old.bytes - docs.bytes);
        fwrite(docs.bytes, 1, before, f);
        fwrite(table.bytes, 1, table.len, f);
        fwrite(old.bytes + old.len, 1, docs.len - before - old.len, f);
        if (fclose(f) != 0) fail(path, strerror(errno));
    }
    buf_deinit(&docs);
    buf_deinit(&table);
    return 0;
}
