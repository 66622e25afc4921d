#include "store_fixture.h"

#include "core/base/buf.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void expect(bool ok, const char *what, const struct err_ctx *ec)
{
    if (ok) return;
    fprintf(stderr, "fixture: %s: %s\n", what, ec->text);
    abort();
}

void fixture_reopen(struct store_fixture *x)
{
    struct err_ctx ec = {""};
    store_close(x->store);
    x->config.dir = x->dir;
    expect(store_open(&x->config, &x->store, &ec) == SYNC_OK, "open", &ec);
}

void fixture_init(struct store_fixture *x)
{
    *x = (struct store_fixture){.dir = "/tmp/sync-store-XXXXXX", .config = STORE_CONFIG_DEFAULT};
    struct err_ctx ec = {""};
    expect(mkdtemp(x->dir) != NULL, "mkdtemp", &ec);
    x->config.shards = 1;
    x->config.sync = false;
    fixture_reopen(x);
}

/* Two levels: a store, its shards, their files. */
void fixture_remove_dir(const char *dir)
{
    DIR *d = opendir(dir);
    if (d == NULL) return;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char path[512];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (unlink(path) != 0) fixture_remove_dir(path);
    }
    closedir(d);
    rmdir(dir);
}

void fixture_free(struct store_fixture *x)
{
    store_close(x->store);
    x->store = NULL;
    fixture_remove_dir(x->dir);
}

struct shard *fixture_shard(struct store_fixture *x, const char *database)
{
    return store_shard(x->store, store_shard_of(x->store, slice_str(database)));
}

struct merge_result fixture_apply(struct store_fixture *x, const char *database, struct batch *b)
{
    struct apply_request r = {.database = slice_str(database), .batch = b, .now_ms = 1000};
    shard_apply(fixture_shard(x, database), &r);
    expect(r.rc == SYNC_OK, "apply", &r.ec);
    batch_deinit(b);
    return r.result;
}

struct view *fixture_view(struct store_fixture *x, const char *database)
{
    struct view *v = NULL;
    struct err_ctx ec = {""};
    expect(view_open(fixture_shard(x, database), slice_str(database), &v, &ec) == SYNC_OK, "view", &ec);
    return v;
}

static void print_fact(struct buf *out, const struct fact *f)
{
    switch (f->type) {
    case FACT_CELL:
        BUF_PUT_LIT(out, "cell ");
        buf_put_slice(out, f->table);
        buf_put_char(out, ' ');
        buf_put_slice(out, f->cell.pk);
        buf_put_char(out, ' ');
        buf_put_slice(out, f->cell.column);
        BUF_PUT_LIT(out, " = ");
        buf_put_slice(out, f->cell.value);
        if (f->cell.has_prior) {
            BUF_PUT_LIT(out, " (was ");
            buf_put_slice(out, f->cell.prior_value);
            BUF_PUT_LIT(out, ")");
        }
        break;
    case FACT_DELETE:
        BUF_PUT_LIT(out, "delete ");
        buf_put_slice(out, f->table);
        buf_put_char(out, ' ');
        buf_put_slice(out, f->del.pk);
        if (f->del.has_prior_row) {
            BUF_PUT_LIT(out, " of ");
            buf_put_slice(out, f->del.prior_row);
        }
        break;
    case FACT_MIGRATION:
        BUF_PUT_LIT(out, "migration ");
        buf_put_slice(out, f->table);
        buf_put_char(out, ' ');
        buf_put_str(out, migration_type_name(f->migration.type));
        buf_put_char(out, ' ');
        buf_put_slice(out, f->migration.schema_version);
        break;
    }
    buf_put_char(out, '\n');
}

static const char *finish(struct buf *out, struct arena *arena)
{
    struct err_ctx ec = {""};
    buf_put_char(out, '\0');
    expect(buf_check(out, &ec) == SYNC_OK, "print", &ec);
    const char *text = arena_copy(arena, buf_slice(out)).bytes;
    buf_deinit(out);
    expect(text != NULL, "print", &ec);
    return text;
}

const char *fixture_log(struct store_fixture *x, const char *database, struct arena *arena)
{
    struct buf out = buf_make(1 << 30);
    struct view *v = fixture_view(x, database);
    struct log_cursor *c = NULL;
    struct err_ctx ec = {""};
    struct log_entry e;
    bool found;
    expect(log_cursor_open(v, NULL, &c, &ec) == SYNC_OK, "log", &ec);
    for (;;) {
        expect(log_cursor_next(c, &e, &found, &ec) == SYNC_OK, "log", &ec);
        if (!found) break;
        print_fact(&out, &e.fact);
    }
    log_cursor_close(c);
    view_close(v);
    return finish(&out, arena);
}

const char *fixture_facts(struct store_fixture *x, const char *database, enum fact_type type,
                          struct arena *arena)
{
    struct buf out = buf_make(1 << 30);
    struct view *v = fixture_view(x, database);
    struct fact_cursor *c = NULL;
    struct err_ctx ec = {""};
    struct stored_entry e;
    bool found;
    expect(fact_cursor_open(v, type, slice_of(NULL, 0), &c, &ec) == SYNC_OK, "facts", &ec);
    for (;;) {
        expect(fact_cursor_next(c, &e, &found, &ec) == SYNC_OK, "facts", &ec);
        if (!found) break;
        print_fact(&out, &e.fact);
    }
    fact_cursor_close(c);
    view_close(v);
    return finish(&out, arena);
}
