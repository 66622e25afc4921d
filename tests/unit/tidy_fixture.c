#include "tidy_fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>

struct log_fixture f;
struct arena arena;
struct log_tidy *tidy;
uint64_t now_ms;

struct tidy_cover covers[8];
size_t cover_count;
bool proofs_fail;

static uint64_t clock_now(void)
{
    return now_ms;
}

static enum sync_err noted(void *arg, struct slice database, struct stamp *ret, struct err_ctx *ec)
{
    (void)arg;
    (void)ec;
    *ret = (struct stamp){0};
    for (size_t i = 0; i < cover_count; i++)
        if (slice_eq(database, slice_str(covers[i].database))) *ret = covers[i].stamp;
    return SYNC_OK;
}

static enum sync_err prove(void *arg, struct slice database, struct stamp *ret, struct err_ctx *ec)
{
    (void)arg;
    *ret = (struct stamp){0};
    if (proofs_fail) return err_set(ec, SYNC_EBUSY, "the store is away");
    for (size_t i = 0; i < cover_count; i++) {
        if (!slice_eq(database, slice_str(covers[i].database))) continue;
        covers[i].proofs++;
        if (!covers[i].missing) *ret = covers[i].stamp;
    }
    return SYNC_OK;
}

struct log_tidy_config config(void)
{
    return (struct log_tidy_config){.merge = {.objects = &f.objects.base, .bytes_max = 1 << 20},
                                    .cover = {.noted = noted, .prove = prove},
                                    .fan_in = FAN_IN,
                                    .now_ms = clock_now};
}

void open_tidy(const struct log_tidy_config *cfg)
{
    struct err_ctx ec = {""};
    log_tidy_free(tidy);
    cr_assert_eq(log_tidy_new(cfg, &tidy, &ec), SYNC_OK);
}

void tidy_begin(void)
{
    log_fixture_init(&f);
    memset(covers, 0, sizeof covers);
    cover_count = 0;
    proofs_fail = false;
    const struct log_tidy_config cfg = config();
    open_tidy(&cfg);
}

void tidy_end(void)
{
    log_tidy_free(tidy);
    tidy = NULL;
    log_fixture_free(&f);
    arena_deinit(&arena);
    arena = (struct arena){0};
}

struct log_tidy_result go(bool weigh)
{
    struct err_ctx ec = {""};
    struct log_tidy_result r;
    cr_assert_eq(log_tidy_round(tidy, log_writer_number(f.writer), weigh, &r, &ec), SYNC_OK, "%s", ec.text);
    return r;
}

struct log_list list(void)
{
    struct err_ctx ec = {""};
    struct log_list l;
    cr_assert_eq(log_list_read(f.dir, NULL, 0, &l, &ec), SYNC_OK, "%s", ec.text);
    return l;
}

const char *parts(void)
{
    struct log_list l = list();
    struct buf text = buf_make(1 << 16);
    for (size_t i = 0; i < l.count; i++) {
        char number[64];
        if (l.parts[i].is_segment)
            snprintf(number, sizeof number, "%s%d-%d", i == 0 ? "" : " ", (int)l.parts[i].first,
                     (int)l.parts[i].last);
        else
            snprintf(number, sizeof number, "%s%d", i == 0 ? "" : " ", (int)l.parts[i].first);
        buf_put_str(&text, number);
        if (l.parts[i].generation > 0) buf_put_char(&text, '\'');
    }
    log_list_deinit(&l);
    buf_put_char(&text, '\0');
    const char *copy = arena_copy(&arena, buf_slice(&text)).bytes;
    buf_deinit(&text);
    return copy;
}

void write_one(const char *database, const char *pk, const char *value)
{
    f.told_count = 0;
    log_fixture_put(&f, database, pk, value);
    cr_assert_eq(log_fixture_step(&f), LOG_WROTE);
}

void write_up_to(uint64_t number)
{
    static const char *const names[] = {"b", "a", "c"};
    char pk[32];
    while (log_writer_number(f.writer) < number) {
        uint64_t next = log_writer_number(f.writer) + 1;
        snprintf(pk, sizeof pk, "[%d]", (int)next);
        write_one(names[next % 3], pk, "1");
    }
}

const char *read_back(const char *database)
{
    return log_fixture_read(&f, database, NULL, NULL, &arena);
}

void cover(const char *database)
{
    struct view *v = fixture_view(&f.x, database);
    size_t at = 0;
    while (at < cover_count && strcmp(covers[at].database, database) != 0) at++;
    if (at == cover_count) cover_count++;
    snprintf(covers[at].database, sizeof covers[at].database, "%s", database);
    covers[at].stamp = view_database(v)->last;
    view_close(v);
}
