#include "log_fixture.h"

#include "storage/objects/object_dir.h"
#include "storage/shard/shard_upload.h"

#include <criterion/criterion.h>

static uint64_t clock_ms; /* the tests' wall clock: a second a look */

static uint64_t wall_ms(void)
{
    return clock_ms += 1000;
}

static enum sync_err uploaded(void *arg, uint32_t shard, const struct upload_position *positions,
                              const bool *complete, size_t count, const struct log_state *state,
                              struct err_ctx *ec)
{
    struct log_fixture *f = arg;
    for (size_t i = 0; i < count && !f->deaf; i++) {
        cr_assert_lt(f->told_count, LOG_ACKS_MAX);
        snprintf(f->told[f->told_count].database, sizeof f->told[0].database, "%.*s",
                 SLICE_ARG(positions[i].database));
        f->told[f->told_count].position = positions[i].position;
        f->told[f->told_count++].complete = complete[i];
    }
    if (f->lose_confirms) return SYNC_OK;
    return shard_uploaded(store_shard(f->x.store, shard), positions, count, f->config.partition, state, ec);
}

static enum sync_err put_state(void *arg, const struct log_state *state, struct err_ctx *ec)
{
    struct log_fixture *f = arg;
    return shard_put_log_state(store_shard(f->x.store, 0), f->config.partition, state, ec);
}

static enum sync_err wait_from_start(void *arg, struct slice database, struct err_ctx *ec)
{
    struct log_fixture *f = arg;
    uint32_t shard = store_shard_of(f->x.store, database);
    return shard_wait_from_start(store_shard(f->x.store, shard), database, 1, ec);
}

static enum sync_err sync_shard(void *arg, uint32_t shard, struct err_ctx *ec)
{
    struct log_fixture *f = arg;
    f->syncs++;
    return shard_sync(store_shard(f->x.store, shard), ec);
}

enum sync_err log_fixture_open(struct log_fixture *f, struct err_ctx *ec)
{
    uint8_t identity[LOG_IDENTITY_BYTES] = {7};
    f->config.run[0]++;
    f->config.store = f->x.store;
    enum sync_err rc = log_meta_open(&f->objects.base, NULL, 0, identity, &f->meta, ec);
    f->config.meta = f->meta;
    return rc == SYNC_OK ? log_writer_open(&f->config, &f->writer, ec) : rc;
}

void log_fixture_init(struct log_fixture *f)
{
    struct err_ctx ec = {""};
    *f = (struct log_fixture){.now_ms = 1000};
    fixture_init(&f->x);
    temp_dir_make(&f->objects_dir);
    const struct object_dir_config dir = {.path = f->objects_dir.path};
    cr_assert_eq(object_dir_open(&dir, &f->dir, &ec), SYNC_OK, "%s", ec.text);
    scripted_store_init(&f->objects, f->dir);
    f->config = (struct log_writer_config){.objects = &f->objects.base,
                                           .host = "here",
                                           .writer = {1, 2, 3},
                                           .bytes = 1 << 20,
                                           .wall_ms = wall_ms,
                                           .uploaded = uploaded,
                                           .put_state = put_state,
                                           .wait_from_start = wait_from_start,
                                           .sync = sync_shard,
                                           .arg = f};
    cr_assert_eq(log_fixture_open(f, &ec), SYNC_OK, "%s", ec.text);
}

void log_fixture_free(struct log_fixture *f)
{
    log_writer_close(f->writer);
    scripted_store_deinit(&f->objects);
    object_store_close(f->dir);
    temp_dir_remove(&f->objects_dir);
    fixture_free(&f->x);
}

void log_fixture_restart(struct log_fixture *f)
{
    struct err_ctx ec = {""};
    log_writer_close(f->writer);
    f->writer = NULL;
    fixture_reopen(&f->x);
    cr_assert_eq(log_fixture_open(f, &ec), SYNC_OK, "%s", ec.text);
}

void log_fixture_put(struct log_fixture *f, const char *database, const char *pk, const char *value)
{
    struct batch b = facts_batch();
    facts_cell(&b, facts_hlc(f->now_ms++, 0, 'a', 0), "t", pk, "c", value);
    cr_assert_eq(fixture_apply(&f->x, database, &b).applied, 1);
}

void log_fixture_delete(struct log_fixture *f, const char *database, const char *pk)
{
    struct batch b = facts_batch();
    facts_delete(&b, facts_hlc(f->now_ms++, 0, 'a', 0), "t", pk, NULL);
    cr_assert_eq(fixture_apply(&f->x, database, &b).applied, 1);
}

enum log_step log_fixture_step(struct log_fixture *f)
{
    struct err_ctx ec = {""};
    struct log_step_info info;
    enum log_step step;
    cr_assert_eq(log_writer_step(f->writer, &step, &info, &ec), SYNC_OK, "%s", ec.text);
    return step;
}

const char *log_fixture_read(struct log_fixture *f, const char *database, const struct stamp *after,
                             struct log_summary *ret, struct arena *arena)
{
    struct err_ctx ec = {""};
    struct log_reader *r;
    struct moved_entry e;
    struct stamp pruned;
    bool found = true;
    struct buf text = buf_make(1 << 20);
    cr_assert_eq(log_reader_open(f->dir, NULL, f->meta.partitions, slice_str(database), after, 0, &r, &ec),
                 SYNC_OK);
    for (;;) {
        cr_assert_eq(log_reader_next(r, &e, &pruned, &found, &ec), SYNC_OK, "%s", ec.text);
        if (!found) break;
        bool cell = e.fact.type == FACT_CELL;
        buf_put_slice(&text, cell ? e.fact.cell.pk : e.fact.del.pk);
        buf_put_str(&text, cell ? "=" : "! ");
        if (cell) buf_put_slice(&text, e.fact.cell.value);
        if (cell) buf_put_char(&text, ' ');
    }
    if (ret != NULL) log_reader_summary(r, ret);
    log_reader_close(r);
    buf_put_char(&text, '\0');
    const char *copy = arena_copy(arena, buf_slice(&text)).bytes;
    buf_deinit(&text);
    return copy;
}
