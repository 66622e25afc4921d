#include "core/election/election_keys.h"

#include <criterion/criterion.h>

Test(election_keys, worker_ids_are_safe_in_keys_paths_and_logs)
{
    static const char *const good[] = {"a", "gcs-default-1734567890-abc123", "w_1.2-3", "A9"};
    static const char *const bad[] = {"", ".", "..", ".a", "a/b", "a b", "a\"b", "a\nb", "\xc3\xa9", "a:b"};
    char longest[WORKER_ID_MAX + 2];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) cr_assert(worker_id_ok(slice_str(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not(worker_id_ok(slice_str(bad[i])), "%zu", i);
    memset(longest, 'x', sizeof longest);
    cr_assert(worker_id_ok(slice_of(longest, WORKER_ID_MAX)));
    cr_assert_not(worker_id_ok(slice_of(longest, WORKER_ID_MAX + 1)));
    cr_assert_not(worker_id_ok(slice_of("a\0b", 3)));
}

Test(election_keys, a_workers_key_gives_its_id_back)
{
    struct election_key k = election_worker_key("w-1.a");
    struct slice id;
    cr_assert_str_eq(k.text, "workers/w-1.a.json");
    cr_assert(election_key_worker(slice_str(k.text), &id));
    cr_assert(slice_is(id, "w-1.a"));
}

Test(election_keys, other_keys_are_no_workers)
{
    static const char *const keys[] = {"workers/",         "workers/.json",   "workers/a",
                                       "workers/a/b.json", "worker/a.json",   "workers/..json",
                                       "xworkers/a.json",  "workers/a.jsonx", "",
                                       "workers/a b.json"};
    struct slice id;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        cr_assert_not(election_key_worker(slice_str(keys[i]), &id), "%s", keys[i]);
}

Test(election_keys, an_epochs_key_gives_its_number_back_and_sorts_by_it)
{
    static const uint64_t numbers[] = {1, 2, 9, 10, 99, 4294967296, 9999999999};
    uint64_t n;
    struct election_key before = {""};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct election_key k = election_epoch_key(numbers[i]);
        cr_assert(election_key_epoch(slice_str(k.text), &n));
        cr_assert_eq(n, numbers[i]);
        cr_assert_lt(strcmp(before.text, k.text), 0);
        before = k;
    }
    cr_assert_str_eq(election_epoch_key(42).text, "epochs/epoch-0000000042");
    struct election_key last = election_epoch_key(ELECTION_EPOCH_MAX);
    cr_assert(election_key_epoch(slice_str(last.text), &n));
    cr_assert_eq(n, ELECTION_EPOCH_MAX);
}

Test(election_keys, other_keys_are_no_epochs)
{
    static const char *const keys[] = {"epochs/epoch-",
                                       "epochs/epoch-0",
                                       "epochs/epoch-0000000000",
                                       "epochs/epoch-1x",
                                       "epochs/epoch--1",
                                       "epochs/1",
                                       "epochs/epoch-9007199254740992",
                                       "epochs/epoch-99999999999999999999",
                                       "epoch-1"};
    uint64_t n;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        cr_assert_not(election_key_epoch(slice_str(keys[i]), &n), "%s", keys[i]);
}
