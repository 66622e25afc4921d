#include "log_fixture.h"

#include "storage/shard/shard_upload.h"
#include "storage/sharedlog/log_names.h"

#include <criterion/criterion.h>

static struct log_fixture f;
static struct arena arena;

static void begin(void)
{
    log_fixture_init(&f);
}

static void end(void)
{
    log_fixture_free(&f);
    arena_deinit(&arena);
    arena = (struct arena){0};
}

TestSuite(log_writer, .init = begin, .fini = end);

#define SCRIPT(...)                                                                                          \
    scripted_store_script(&f.objects, (enum scripted[]){__VA_ARGS__},                                        \
                          sizeof((enum scripted[]){__VA_ARGS__}) / sizeof(enum scripted))

static bool waits(const char *database)
{
    struct err_ctx ec;
    bool is;
    cr_assert_eq(shard_is_waiting(fixture_shard(&f.x, database), slice_str(database), &is, NULL, &ec),
                 SYNC_OK);
    return is;
}

static const char *everything(const char *database)
{
    return log_fixture_read(&f, database, NULL, NULL, &arena);
}

static struct stamp last_of(const char *database)
{
    struct view *v = fixture_view(&f.x, database);
    struct stamp last = view_database(v)->last;
    view_close(v);
    return last;
}

/* A writer of another server with a data directory of its own, at the same log. */
static void let_another_server_write(void)
{
    struct err_ctx ec = {""};
    struct log_fixture other = f;
    fixture_init(&other.x);
    other.config.writer[0] = 99;
    other.config.host = "there";
    other.config.arg = &other;
    other.writer = NULL;
    cr_assert_eq(log_fixture_open(&other, &ec), SYNC_OK, "%s", ec.text);
    log_writer_close(other.writer);
    fixture_free(&other.x);
}

Test(log_writer, all_databases_of_a_tick_go_into_one_object)
{
    log_fixture_put(&f, "one", "[1]", "\"a\"");
    log_fixture_put(&f, "two", "[1]", "\"b\"");
    log_fixture_put(&f, "one", "[2]", "\"c\"");
    log_fixture_delete(&f, "one", "[1]");
    cr_assert(waits("one") && waits("two"));
    size_t before = f.objects.creations;
    cr_assert_eq(log_fixture_step(&f), LOG_WROTE);
    cr_assert_eq(log_fixture_step(&f), LOG_IDLE, "nothing new, nothing written");
    cr_assert_eq(f.objects.creations - before, 1);
    cr_assert(!waits("one") && !waits("two"));
    cr_assert_str_eq(everything("one"), "[2]=\"c\" [1]! ",
                     "what was deleted before the upload never comes up");
    cr_assert_str_eq(everything("two"), "[1]=\"b\" ");
    cr_assert_str_eq(everything("three"), "");
    cr_assert_gt(f.syncs, 0);
}

Test(log_writer, a_reader_gets_what_is_behind_its_stamp_in_order_and_once)
{
    struct log_summary sum;
    log_fixture_put(&f, "db", "[1]", "1");
    cr_assert_eq(log_fixture_step(&f), LOG_WROTE);
    struct stamp first = last_of("db");
    log_fixture_put(&f, "db", "[1]", "2");
    log_fixture_put(&f, "other", "[9]", "9");
    cr_assert_eq(log_fixture_step(&f), LOG_WROTE);
    log_fixture_put(&f, "db", "[2]", "3");
    cr_assert_eq(log_fixture_step(&f), LOG_WROTE);
    cr_assert_str_eq(log_fixture_read(&f, "db", NULL, &sum, &arena), "[1]=1 [1]=2 [2]=3 ");
    struct stamp last = last_of("db");
    cr_assert_eq(stamp_cmp(&sum.last, &last), 0);
    cr_assert(sum.found && !sum.gap && !sum.closed && !sum.object_durable);
    cr_assert_str_eq(log_fixture_read(&f, "db", &first, NULL, &arena), "[1]=2 [2]=3 ");
    cr_assert_str_eq(log_fixture_read(&f, "db", &last, NULL, &arena), "");
}

Test(log_writer, an_attempt_without_an_answer_is_decided_by_reading)
{
    log_fixture_put(&f, "db", "[1]", "1");
    SCRIPT(SCRIPTED_UNKNOWN_WRITTEN);
    cr_assert_eq(log_fixture_step(&f), LOG_WROTE, "it is there: its own bytes");
    log_fixture_put(&f, "db", "[2]", "2");
    SCRIPT(SCRIPTED_UNKNOWN, SCRIPTED_REFUSED, SCRIPTED_READS_FAIL);
    cr_assert_eq(log_fixture_step(&f), LOG_WAITS);
    log_fixture_put(&f, "db", "[3]", "3"); /* is for the next one: what is being put stays as it is */
    cr_assert_eq(log_fixture_step(&f), LOG_WAITS);
    cr_assert_eq(log_fixture_step(&f), LOG_WAITS, "written, but reading it failed");
    cr_assert(waits("db"), "nothing is confirmed");
    struct log_step_info info;
    struct err_ctx ec;
    enum log_step step;
    cr_assert_eq(log_writer_step(f.writer, &step, &info, &ec), SYNC_OK);
    cr_assert_eq(step, LOG_WROTE, "lost to itself");
    cr_assert(info.more, "nobody may think that this was all");
    cr_assert_str_eq(everything("db"), "[1]=1 [2]=2 ");
    cr_assert(waits("db"));
    cr_assert_eq(log_fixture_step(&f), LOG_WROTE);
    cr_assert_str_eq(everything("db"), "[1]=1 [2]=2 [3]=3 ");
    cr_assert(!waits("db"));
}

Test(log_writer, a_request_that_lands_late_does_no_harm)
{
    log_fixture_put(&f, "db", "[1]", "1");
    SCRIPT(SCRIPTED_UNKNOWN_LATE);
    cr_assert_eq(log_fixture_step(&f), LOG_WAITS);
    cr_assert_eq(log_fixture_step(&f), LOG_WROTE);
    cr_assert_eq(scripted_store_land(&f.objects), OBJECT_LOST);
    cr_assert_str_eq(everything("db"), "[1]=1 ");
}

Test(log_writer, what_a_crash_kept_from_being_noted_is_taken_over)
{
    log_fixture_put(&f, "db", "[1]", "1");
    f.lose_confirms = true;
    cr_assert_eq(log_fixture_step(&f), LOG_WROTE);
    f.lose_confirms = false;
    cr_assert(waits("db"));
    log_fixture_restart(&f);
    cr_assert(!waits("db"), "its own object was found");
    cr_assert_eq(log_fixture_step(&f), LOG_IDLE);
    cr_assert_str_eq(everything("db"), "[1]=1 ");
}

Test(log_writer, a_request_of_an_earlier_run_may_land_at_its_number)
{
    log_fixture_put(&f, "db", "[1]", "1");
    SCRIPT(SCRIPTED_UNKNOWN_LATE);
    cr_assert_eq(log_fixture_step(&f), LOG_WAITS);
    cr_assert_eq(scripted_store_land(&f.objects), OBJECT_OK, "after the crash");
    log_fixture_restart(&f);
    log_fixture_put(&f, "db", "[2]", "2");
    cr_assert_eq(log_fixture_step(&f), LOG_WROTE);
    cr_assert_str_eq(everything("db"), "[1]=1 [2]=2 ");
}

Test(log_writer, another_server_at_the_next_number_ends_it_for_good)
{
    log_fixture_put(&f, "db", "[1]", "1");
    cr_assert_eq(log_fixture_step(&f), LOG_WROTE);
    log_fixture_put(&f, "db", "[2]", "2");
    let_another_server_write();
    cr_assert_eq(log_fixture_step(&f), LOG_LOST);
    cr_assert_str_eq(log_writer_rival(f.writer)->host, "there");
    cr_assert_eq(log_writer_rival(f.writer)->writer[0], 99);
    cr_assert_eq(log_fixture_step(&f), LOG_LOST);
    cr_assert(waits("db"));
    cr_assert_str_eq(everything("db"), "[1]=1 ");

    /* And it does not take the log back by starting again. */
    struct err_ctx ec = {""};
    log_writer_close(f.writer);
    f.writer = NULL;
    cr_assert_eq(log_fixture_open(&f, &ec), SYNC_ECONFIG);
    cr_assert_not_null(strstr(ec.text, "another server has taken this log over"), "%s", ec.text);
    cr_assert_not_null(strstr(ec.text, "on host there"), "%s", ec.text);
}

Test(log_writer, a_copy_of_the_data_directory_is_another_server)
{
    struct err_ctx ec = {""};
    struct log_fixture copy = f; /* the same store: what two processes on copies of it would see */
    copy.writer = NULL;
    copy.config.arg = &copy;
    copy.config.run[0] = 77;
    cr_assert_eq(log_fixture_open(&copy, &ec), SYNC_OK, "%s", ec.text);
    log_fixture_put(&f, "db", "[1]", "1");
    cr_assert_eq(log_fixture_step(&f), LOG_LOST);
    log_writer_close(copy.writer);
}

Test(log_writer, databases_of_its_own_do_not_mix_with_another_log)
{
    struct err_ctx ec = {""};
    log_writer_close(f.writer);
    f.writer = NULL;
    fixture_free(&f.x);
    fixture_init(&f.x);
    log_fixture_put(&f, "mine", "[1]", "1");
    f.config.writer[0] = 55;
    cr_assert_eq(log_fixture_open(&f, &ec), SYNC_ECONFIG);
    cr_assert_not_null(strstr(ec.text, "holds databases of its own"), "%s", ec.text);
}

Test(log_writer, an_older_data_directory_is_refused)
{
    struct err_ctx ec = {""};
    char copy[128], command[400];
    log_fixture_put(&f, "db", "[1]", "1");
    cr_assert_eq(log_fixture_step(&f), LOG_WROTE);
    /* Kept while nobody has it open, used again after more was written. */
    log_writer_close(f.writer);
    f.writer = NULL;
    store_close(f.x.store);
    snprintf(copy, sizeof copy, "%s-copy", f.x.dir);
    snprintf(command, sizeof command, "cp -a %s %s", f.x.dir, copy);
    cr_assert_eq(system(command), 0);
    f.x.store = NULL;
    fixture_reopen(&f.x);
    cr_assert_eq(log_fixture_open(&f, &ec), SYNC_OK, "%s", ec.text);
    log_fixture_put(&f, "db", "[2]", "2");
    cr_assert_eq(log_fixture_step(&f), LOG_WROTE);
    log_writer_close(f.writer);
    f.writer = NULL;
    store_close(f.x.store);
    f.x.store = NULL;
    snprintf(command, sizeof command, "rm -rf %s && mv %s %s", f.x.dir, copy, f.x.dir);
    cr_assert_eq(system(command), 0);
    fixture_reopen(&f.x);
    cr_assert_eq(log_fixture_open(&f, &ec), SYNC_ECONFIG);
    cr_assert_not_null(strstr(ec.text, "older than what it has written"), "%s", ec.text);
}

Test(log_writer, another_bucket_gets_everything_anew)
{
    struct err_ctx ec = {""};
    log_fixture_put(&f, "db", "[1]", "1");
    cr_assert_eq(log_fixture_step(&f), LOG_WROTE);
    for (uint64_t number = 1; number <= 2; number++) {
        struct log_name name;
        log_object_name(0, number, &name);
        cr_assert_eq(object_delete(f.dir, NULL, log_name_slice(&name), &ec), SYNC_OK);
    }
    log_writer_close(f.writer);
    f.writer = NULL;
    cr_assert_eq(log_fixture_open(&f, &ec), SYNC_ECONFIG, "the same log, without its end");
    cr_assert_not_null(strstr(ec.text, "objects were deleted"), "%s", ec.text);

    uint8_t identity[LOG_IDENTITY_BYTES] = {42};
    cr_assert_eq(object_delete(f.dir, NULL, slice_str(LOG_META_NAME), &ec), SYNC_OK);
    cr_assert_eq(log_meta_open(f.dir, NULL, 0, identity, &f.meta, &ec), SYNC_OK);
    log_fixture_restart(&f);
    cr_assert(waits("db"));
    cr_assert_eq(log_fixture_step(&f), LOG_WROTE);
    cr_assert_str_eq(everything("db"), "[1]=1 ");
}

/* The case that makes an early acknowledgement a lie: the fact that replaced one is not in the object yet. */
Test(log_writer, a_database_that_is_cut_is_complete_only_at_its_end)
{
    char pk[32], value[3000];
    f.config.bytes = 16 << 10;
    log_fixture_restart(&f);
    memset(value, 'x', sizeof value);
    value[0] = value[sizeof value - 2] = '"';
    value[sizeof value - 1] = '\0';
    for (int i = 0; i < 30; i++) {
        snprintf(pk, sizeof pk, "[%d]", i);
        log_fixture_put(&f, "long", pk, value);
    }
    log_fixture_put(&f, "long", "[0]",
                    "\"new\""); /* leaves a hole at the beginning, which only the end fills */
    log_fixture_put(&f, "short", "[1]", "1");
    struct stamp end_stamp = last_of("long");
    f.told_count = 0;
    size_t objects = 0;
    while (log_fixture_step(&f) == LOG_WROTE) {
        objects++;
        if (objects == 1) log_fixture_put(&f, "long", "[1]", "\"later\"");
    }
    cr_assert_gt(objects, 4);
    bool reached = false, short_told = false;
    for (size_t i = 0; i < f.told_count; i++) {
        if (strcmp(f.told[i].database, "short") == 0) {
            short_told = f.told[i].complete;
            cr_assert(!reached, "it did not have to wait for the long one");
            continue;
        }
        if (!reached) cr_assert_eq(f.told[i].complete, stamp_cmp(&f.told[i].position, &end_stamp) >= 0);
        reached = reached || f.told[i].complete;
    }
    cr_assert(reached && short_told);
    const char *text = everything("long");
    cr_assert_not_null(strstr(text, "[0]=\"new\" "));
    cr_assert_not_null(strstr(text, "[29]="));
    cr_assert_not_null(strstr(text, "[1]=\"later\" "));
}

Test(log_writer, a_clean_close_is_told_and_a_new_run_takes_it_back)
{
    struct log_summary sum;
    struct err_ctx ec = {""};
    enum log_step step;
    f.config.object_durable = true;
    log_fixture_put(&f, "db", "[1]", "1");
    cr_assert_eq(log_fixture_step(&f), LOG_WROTE);
    cr_assert_eq(log_writer_close_mark(f.writer, &step, &ec), SYNC_OK);
    cr_assert_eq(step, LOG_WROTE);
    (void)log_fixture_read(&f, "db", NULL, &sum, &arena);
    cr_assert(sum.closed);
    cr_assert_not(sum.object_durable, "the writer was opened without it");
    log_fixture_restart(&f);
    (void)log_fixture_read(&f, "db", NULL, &sum, &arena);
    cr_assert_not(sum.closed);
}

Test(log_writer, an_object_that_is_missing_is_damage)
{
    struct err_ctx ec = {""};
    struct log_name name;
    struct log_reader *r = NULL;
    for (int i = 0; i < 3; i++) {
        log_fixture_put(&f, "db", "[1]", i % 2 == 0 ? "1" : "2");
        cr_assert_eq(log_fixture_step(&f), LOG_WROTE);
    }
    log_object_name(0, 3, &name);
    cr_assert_eq(object_delete(f.dir, NULL, log_name_slice(&name), &ec), SYNC_OK);
    cr_assert_eq(log_reader_open(f.dir, NULL, 1, slice_str("db"), NULL, 0, &r, &ec), SYNC_EFORMAT);
    cr_assert_not_null(strstr(ec.text, "number 3 of the shared log is missing"), "%s", ec.text);
}

Test(log_writer, retention_is_told_with_the_next_section)
{
    struct err_ctx ec = {""};
    struct log_reader *r;
    struct moved_entry e;
    struct stamp pruned, tombstone;
    bool found;
    size_t removed;
    log_fixture_put(&f, "db", "[1]", "1");
    log_fixture_delete(&f, "db", "[1]");
    cr_assert_eq(log_fixture_step(&f), LOG_WROTE);
    tombstone = last_of("db");
    struct batch b = facts_batch();
    const struct prune_candidate c = {.row_key = facts_row_key(&b, "t", "[1]"),
                                      .table_key_len = (uint32_t)facts_table_key(&b, "t").len,
                                      .stamp = tombstone};
    cr_assert_eq(shard_prune(fixture_shard(&f.x, "db"), slice_str("db"), &c, 1, &removed, &ec), SYNC_OK);
    cr_assert_eq(removed, 1);
    batch_deinit(&b);
    log_fixture_put(&f, "db", "[1]", "2");
    cr_assert_eq(log_fixture_step(&f), LOG_WROTE);
    cr_assert_eq(log_reader_open(f.dir, NULL, 1, slice_str("db"), &tombstone, 0, &r, &ec), SYNC_OK);
    cr_assert_eq(log_reader_next(r, &e, &pruned, &found, &ec), SYNC_OK);
    cr_assert(found);
    cr_assert_eq(stamp_cmp(&pruned, &tombstone), 0);
    log_reader_close(r);
}
