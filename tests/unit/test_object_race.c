/* The race that is run before anybody leads: an honest store passes, stores that lie in one way or another do
 * not. The conditional writes are wrapped to lie. */
#include "storage/objects/object_race.h"

#include "storage/objects/object_dir.h"
#include "temp_dir.h"

#include <criterion/criterion.h>
#include <stdatomic.h>

static struct temp_dir dir;
static struct object_store *store;
static struct err_ctx ec;
static atomic_bool same_bytes_again;
static enum { HONEST, CREATES_TWICE, REPLACES_TWICE, NEVER_CREATES, SILENT, UNKNOWN_LOSERS } lie;

enum sync_err __real_object_put_if_absent(struct object_store *s, const struct object_call *call,
                                          struct slice key, struct slice bytes, enum object_outcome *outcome,
                                          struct object_version *version, struct err_ctx *e);
enum sync_err __wrap_object_put_if_absent(struct object_store *s, const struct object_call *call,
                                          struct slice key, struct slice bytes, enum object_outcome *outcome,
                                          struct object_version *version, struct err_ctx *e);
enum sync_err __wrap_object_put_if_absent(struct object_store *s, const struct object_call *call,
                                          struct slice key, struct slice bytes, enum object_outcome *outcome,
                                          struct object_version *version, struct err_ctx *e)
{
    if (lie == SILENT) return err_set(e, SYNC_EBUSY, "silent");
    if (lie == CREATES_TWICE) {
        *outcome = OBJECT_OK;
        return object_put(s, call, key, bytes, version, e);
    }
    enum sync_err rc = __real_object_put_if_absent(s, call, key, bytes, outcome, version, e);
    if (lie == NEVER_CREATES) *outcome = OBJECT_LOST;
    if (lie == UNKNOWN_LOSERS && *outcome == OBJECT_LOST) *outcome = OBJECT_UNKNOWN;
    return rc;
}

enum sync_err __real_object_put_if_match(struct object_store *s, const struct object_call *call,
                                         struct slice key, struct slice bytes,
                                         const struct object_version *match, enum object_outcome *outcome,
                                         struct object_version *version, struct err_ctx *e);
enum sync_err __wrap_object_put_if_match(struct object_store *s, const struct object_call *call,
                                         struct slice key, struct slice bytes,
                                         const struct object_version *match, enum object_outcome *outcome,
                                         struct object_version *version, struct err_ctx *e);
enum sync_err __wrap_object_put_if_match(struct object_store *s, const struct object_call *call,
                                         struct slice key, struct slice bytes,
                                         const struct object_version *match, enum object_outcome *outcome,
                                         struct object_version *version, struct err_ctx *e)
{
    struct object_info info;
    struct buf there = buf_make(64);
    if (object_get_buf(s, NULL, key, NULL, &there, &info, e) == SYNC_OK && slice_eq(buf_slice(&there), bytes))
        same_bytes_again = true; /* a store whose versions are hashes would let the next one win as well */
    buf_deinit(&there);
    if (lie != REPLACES_TWICE)
        return __real_object_put_if_match(s, call, key, bytes, match, outcome, version, e);
    *outcome = OBJECT_OK;
    return object_put(s, call, key, bytes, version, e);
}

static void begin(void)
{
    struct object_dir_config cfg;
    temp_dir_make(&dir);
    cfg = (struct object_dir_config){.path = dir.path};
    cr_assert_eq(object_dir_open(&cfg, &store, &ec), SYNC_OK, "%s", ec.text);
}

static void end(void)
{
    object_store_close(store);
    temp_dir_remove(&dir);
}

TestSuite(object_race, .init = begin, .fini = end);

Test(object_race, an_honest_store_passes_and_is_left_as_it_was)
{
    struct object_query query = {0};
    struct object_page page;
    cr_assert_eq(object_race(store, NULL, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_eq(object_list(store, NULL, &query, &page, &ec), SYNC_OK);
    cr_assert_eq(page.count, 0);
    cr_assert_not(atomic_load(&same_bytes_again),
                  "a replacement writes other bytes than the ones it replaces");
    object_page_deinit(&page);
}

Test(object_race, one_that_lets_two_create_is_refused)
{
    lie = CREATES_TWICE;
    cr_assert_eq(object_race(store, NULL, &ec), SYNC_ECONFIG);
    cr_assert_not_null(strstr(ec.text, "created one object at once were all told that they did it"), "%s",
                       ec.text);
}

Test(object_race, one_that_lets_two_replace_is_refused)
{
    lie = REPLACES_TWICE;
    cr_assert_eq(object_race(store, NULL, &ec), SYNC_ECONFIG);
    cr_assert_not_null(strstr(ec.text, "replaced one version at once were all told"), "%s", ec.text);
}

Test(object_race, one_that_lets_nobody_create_is_refused)
{
    lie = NEVER_CREATES;
    cr_assert_eq(object_race(store, NULL, &ec), SYNC_ECONFIG);
}

Test(object_race, one_that_does_not_answer_is_no_verdict)
{
    lie = SILENT;
    cr_assert_eq(object_race(store, NULL, &ec), SYNC_EBUSY);
    lie = UNKNOWN_LOSERS;
    cr_assert_eq(object_race(store, NULL, &ec), SYNC_OK, "%s", ec.text);
}
