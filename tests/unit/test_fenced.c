/* Writes of old leaders: they come at every point of a newer one's. object_get_buf() is wrapped, so that
 * somebody else can write between a writer's look and its write; conditional writes are wrapped, so that
 * answers get lost. */
#include "storage/objects/fenced.h"

#include "storage/objects/object_dir.h"
#include "temp_dir.h"

#include <criterion/criterion.h>

static struct temp_dir dir;
static struct object_store *store;
static struct err_ctx ec;
static const struct slice key = {.bytes = "a.json", .len = 6};

static void (*after_get)(void); /* called once */
static enum { ANSWERS, LOSES_ANSWER, DOES_NOT_ARRIVE } next_write;
static int gets, puts_done;

enum sync_err __real_object_get_buf(struct object_store *s, const struct object_call *call, struct slice k,
                                    const struct object_range *range, struct buf *ret_bytes,
                                    struct object_info *ret, struct err_ctx *e);
enum sync_err __wrap_object_get_buf(struct object_store *s, const struct object_call *call, struct slice k,
                                    const struct object_range *range, struct buf *ret_bytes,
                                    struct object_info *ret, struct err_ctx *e);
enum sync_err __wrap_object_get_buf(struct object_store *s, const struct object_call *call, struct slice k,
                                    const struct object_range *range, struct buf *ret_bytes,
                                    struct object_info *ret, struct err_ctx *e)
{
    enum sync_err rc = __real_object_get_buf(s, call, k, range, ret_bytes, ret, e);
    void (*then)(void) = after_get;
    gets++;
    after_get = NULL;
    if (then != NULL) then();
    return rc;
}

enum sync_err __real_object_put_if_match(struct object_store *s, const struct object_call *call,
                                         struct slice k, struct slice bytes,
                                         const struct object_version *match, enum object_outcome *outcome,
                                         struct object_version *version, struct err_ctx *e);
enum sync_err __wrap_object_put_if_match(struct object_store *s, const struct object_call *call,
                                         struct slice k, struct slice bytes,
                                         const struct object_version *match, enum object_outcome *outcome,
                                         struct object_version *version, struct err_ctx *e);
enum sync_err __wrap_object_put_if_match(struct object_store *s, const struct object_call *call,
                                         struct slice k, struct slice bytes,
                                         const struct object_version *match, enum object_outcome *outcome,
                                         struct object_version *version, struct err_ctx *e)
{
    int how = (int)next_write;
    next_write = ANSWERS;
    enum sync_err rc = SYNC_OK;
    if (how != DOES_NOT_ARRIVE)
        rc = __real_object_put_if_match(s, call, k, bytes, match, outcome, version, e);
    if (how != ANSWERS) *outcome = OBJECT_UNKNOWN;
    puts_done++;
    return rc;
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

TestSuite(fenced, .init = begin, .fini = end);

static enum fenced_outcome write_as(uint64_t epoch, const char *by, const char *value,
                                    struct fenced_memory *memory)
{
    enum fenced_outcome outcome = FENCED_WRITTEN;
    cr_assert_eq(fenced_write(store, NULL, key, epoch, by, slice_str(value), memory, &outcome, &ec), SYNC_OK,
                 "%s", ec.text);
    return outcome;
}

static void check_there(uint64_t epoch, const char *value)
{
    struct buf bytes = buf_make(1 << 20);
    struct fenced_value found;
    cr_assert_eq(fenced_read(store, NULL, key, &bytes, &found, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_eq(found.epoch, epoch);
    cr_assert(slice_is(found.value, value), "%.*s", SLICE_ARG(found.value));
    buf_deinit(&bytes);
}

Test(fenced, nothing_there_is_no_error)
{
    struct buf bytes = buf_make(1 << 20);
    struct fenced_value found = {.epoch = 9};
    cr_assert_eq(fenced_read(store, NULL, key, &bytes, &found, &ec), SYNC_OK);
    cr_assert_eq(found.epoch, 0);
    buf_deinit(&bytes);
}

Test(fenced, the_bytes_are_json_that_names_the_writer)
{
    struct buf bytes = buf_make(1 << 20);
    cr_assert_eq(write_as(3, "w1", "{\"a\":[1,2]}", NULL), FENCED_WRITTEN);
    cr_assert_eq(object_get_buf(store, NULL, key, NULL, &bytes, NULL, &ec), SYNC_OK);
    cr_assert(slice_is(buf_slice(&bytes), "{\"epoch\":3,\"by\":\"w1\",\"value\":{\"a\":[1,2]}}\n"));
    buf_deinit(&bytes);
}

Test(fenced, an_older_epoch_is_turned_away_and_leaves_everything)
{
    cr_assert_eq(write_as(5, "new", "1", NULL), FENCED_WRITTEN);
    cr_assert_eq(write_as(4, "old", "2", NULL), FENCED_OLD);
    check_there(5, "1");
    cr_assert_eq(write_as(5, "new", "3", NULL), FENCED_WRITTEN);
    cr_assert_eq(write_as(6, "newer", "4", NULL), FENCED_WRITTEN);
    check_there(6, "4");
}

static void newer_writes(void)
{
    cr_assert_eq(write_as(8, "new", "\"new\"", NULL), FENCED_WRITTEN);
}

Test(fenced, an_old_leader_that_looked_before_the_new_one_wrote_does_not_land_behind_it)
{
    cr_assert_eq(write_as(7, "old", "\"first\"", NULL), FENCED_WRITTEN);
    after_get = newer_writes;
    cr_assert_eq(write_as(7, "old", "\"late\"", NULL), FENCED_OLD);
    check_there(8, "\"new\"");
}

Test(fenced, nor_does_it_where_there_was_nothing)
{
    after_get = newer_writes;
    cr_assert_eq(write_as(7, "old", "\"late\"", NULL), FENCED_OLD);
    check_there(8, "\"new\"");
}

static void older_writes(void)
{
    cr_assert_eq(write_as(7, "old", "\"old\"", NULL), FENCED_WRITTEN);
}

Test(fenced, a_new_leader_goes_over_an_old_ones_last_write)
{
    after_get = older_writes;
    cr_assert_eq(write_as(8, "new", "\"new\"", NULL), FENCED_WRITTEN);
    check_there(8, "\"new\"");
}

Test(fenced, what_is_remembered_saves_the_look_and_never_the_fence)
{
    struct fenced_memory memory = {0};
    cr_assert_eq(write_as(7, "old", "1", &memory), FENCED_WRITTEN);
    gets = 0;
    cr_assert_eq(write_as(7, "old", "2", &memory), FENCED_WRITTEN);
    cr_assert_eq(gets, 0, "one request");
    newer_writes();
    cr_assert_eq(write_as(7, "old", "3", &memory), FENCED_OLD);
    check_there(8, "\"new\"");
    cr_assert_eq(memory.epoch, 0);
}

Test(fenced, a_memory_of_another_epoch_is_looked_at_again)
{
    struct fenced_memory memory = {0};
    cr_assert_eq(write_as(7, "a", "1", &memory), FENCED_WRITTEN);
    newer_writes();
    cr_assert_eq(write_as(9, "a", "2", &memory), FENCED_WRITTEN);
    check_there(9, "2");
}

Test(fenced, a_lost_answer_is_looked_up)
{
    cr_assert_eq(write_as(7, "a", "1", NULL), FENCED_WRITTEN);
    next_write = LOSES_ANSWER;
    puts_done = 0;
    cr_assert_eq(write_as(7, "a", "2", NULL), FENCED_WRITTEN);
    cr_assert_eq(puts_done, 1, "it had landed");
    check_there(7, "2");
    next_write = DOES_NOT_ARRIVE;
    puts_done = 0;
    cr_assert_eq(write_as(7, "a", "3", NULL), FENCED_WRITTEN);
    cr_assert_eq(puts_done, 2, "it had not");
    check_there(7, "3");
}

Test(fenced, a_damaged_object_is_an_error_that_names_it)
{
    static const char *const bad[] = {"",
                                      "x",
                                      "[]",
                                      "{}",
                                      "{\"epoch\":0,\"value\":1}",
                                      "{\"epoch\":\"3\",\"value\":1}",
                                      "{\"epoch\":3}",
                                      "{\"epoch\":3,\"value\":1} x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        enum fenced_outcome outcome;
        cr_assert_eq(object_put(store, NULL, key, slice_str(bad[i]), NULL, &ec), SYNC_OK);
        cr_assert_eq(fenced_write(store, NULL, key, 9, "w", slice_str("1"), NULL, &outcome, &ec),
                     SYNC_EBADMSG, "%s", bad[i]);
        cr_assert_not_null(strstr(ec.text, "a.json"), "%s", ec.text);
    }
}
