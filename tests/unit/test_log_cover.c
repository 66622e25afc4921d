#include "storage/sharedlog/log_cover.h"

#include <criterion/criterion.h>
#include <stdio.h>

struct source {
    size_t asked;
    enum sync_err rc; /* of the next proof */
};

static enum sync_err noted(void *arg, struct slice database, struct stamp *ret, struct err_ctx *ec)
{
    (void)arg, (void)ec;
    *ret = (struct stamp){.wall_ms = database.len};
    return SYNC_OK;
}

static enum sync_err prove(void *arg, struct slice database, struct stamp *ret, struct err_ctx *ec)
{
    struct source *s = arg;
    enum sync_err rc = s->rc;
    s->asked++;
    s->rc = SYNC_OK;
    if (rc != SYNC_OK) return err_set(ec, rc, "away");
    *ret = (struct stamp){.wall_ms = database.len + 1000};
    return SYNC_OK;
}

static struct log_cover *make(struct source *s)
{
    const struct log_cover_source source = {.noted = noted, .prove = prove, .arg = s};
    struct log_cover *c;
    struct err_ctx ec;
    *s = (struct source){0};
    cr_assert_eq(log_cover_new(&source, &c, &ec), SYNC_OK);
    return c;
}

static uint64_t proved(struct log_cover *c, const char *database)
{
    struct stamp stamp;
    struct err_ctx ec;
    cr_assert_eq(log_cover_proved(c, slice_str(database), &stamp, &ec), SYNC_OK);
    return stamp.wall_ms;
}

Test(log_cover, a_database_is_proved_once_a_round)
{
    struct source s;
    struct log_cover *c = make(&s);
    struct stamp stamp;
    struct err_ctx ec;
    for (int i = 0; i < 3; i++) cr_assert(proved(c, "a") == 1001 && proved(c, "bb") == 1002);
    cr_assert_eq(s.asked, 2);
    cr_assert_eq(log_cover_noted(c, slice_str("ccc"), &stamp, &ec), SYNC_OK);
    cr_assert(stamp.wall_ms == 3 && s.asked == 2, "what is noted costs nothing");
    log_cover_forget(c);
    cr_assert_eq(proved(c, "a"), 1001);
    cr_assert_eq(s.asked, 3);
    log_cover_free(c);
}

Test(log_cover, a_round_proves_no_more_databases_than_it_may_remember)
{
    struct source s;
    struct log_cover *c = make(&s);
    char name[32];
    for (int round = 0; round < 2; round++) {
        s.asked = 0;
        for (int again = 0; again < 2; again++) {
            for (int i = 0; i < LOG_PROOFS_MAX + 100; i++) {
                snprintf(name, sizeof name, "tenant-%06d", i);
                cr_assert_eq(proved(c, name), i < LOG_PROOFS_MAX ? 1013 : 0, "%s", name);
            }
        }
        cr_assert_eq(s.asked, LOG_PROOFS_MAX);
        log_cover_forget(c);
    }
    log_cover_free(c);
}

Test(log_cover, without_an_answer_nothing_is_proved)
{
    struct source s;
    struct log_cover *c = make(&s);
    struct stamp stamp = {.wall_ms = 1};
    struct err_ctx ec;
    s.rc = SYNC_EBUSY;
    cr_assert_eq(log_cover_proved(c, slice_str("a"), &stamp, &ec), SYNC_EBUSY);
    cr_assert_eq(stamp.wall_ms, 0);
    cr_assert_eq(proved(c, "a"), 0, "not in this round any more");
    log_cover_forget(c);
    cr_assert_eq(proved(c, "a"), 1001);
    log_cover_free(c);
    log_cover_free(NULL);
}

Test(log_cover, without_a_source_nothing_is_covered)
{
    const struct log_cover_source none = {0};
    struct log_cover *c;
    struct stamp stamp = {.wall_ms = 1};
    struct err_ctx ec;
    cr_assert_eq(log_cover_new(&none, &c, &ec), SYNC_OK);
    cr_assert_eq(proved(c, "a"), 0);
    cr_assert_eq(log_cover_noted(c, slice_str("a"), &stamp, &ec), SYNC_OK);
    cr_assert_eq(stamp.wall_ms, 0);
    cr_assert_eq(proved(NULL, "a"), 0);
    log_cover_free(c);
}
