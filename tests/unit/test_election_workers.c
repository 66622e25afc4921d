#include "core/election/election_workers.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const struct election_etag v1 = {"v1"}, v2 = {"v2"};

static void list(struct election_workers *w, const char *const *ids, const struct election_etag *etag,
                 uint64_t now_ms, bool complete)
{
    workers_list_start(w);
    for (size_t i = 0; ids[i] != NULL; i++) workers_list_see(w, slice_str(ids[i]), etag, now_ms);
    workers_list_end(w, complete);
}

static const char *const abc[] = {"c", "a", "b", NULL};

Test(election_workers, are_sorted_whatever_order_the_list_has)
{
    struct election_workers w = workers_make();
    list(&w, abc, &v1, 1000, true);
    cr_assert_eq(w.count, 3);
    cr_assert_str_eq(w.all[0].id, "a");
    cr_assert_str_eq(w.all[1].id, "b");
    cr_assert_str_eq(w.all[2].id, "c");
    cr_assert_eq(workers_rank(&w, "c", NULL), 2);
    cr_assert_eq(workers_rank(&w, "c", "a"), 1);
    cr_assert_eq(workers_rank(&w, "a", NULL), 0);
    cr_assert_eq(workers_rank(&w, "bb", NULL), 2, "also for one that is not listed");
    cr_assert_eq(workers_live_others(&w, "b"), 2);
    workers_deinit(&w);
}

Test(election_workers, are_gone_when_their_record_did_not_change_for_the_time_out)
{
    struct election_workers w = workers_make();
    list(&w, abc, &v1, 1000, true);
    list(&w, abc, &v1, 20999, true);
    workers_expire(&w, "a", 20999, 20000);
    cr_assert_eq(workers_live_others(&w, "a"), 2);
    list(&w, (const char *const[]){"b", NULL}, &v2, 21000, false);
    workers_expire(&w, "a", 21000, 20000);
    cr_assert_eq(workers_live_others(&w, "a"), 1, "b wrote a heartbeat, c did not");
    cr_assert(w.all[0].live, "the asker itself is never gone");
    cr_assert_eq(workers_rank(&w, "d", NULL), 2);
    workers_deinit(&w);
}

Test(election_workers, come_back_to_life_with_a_new_record)
{
    struct election_workers w = workers_make();
    list(&w, abc, &v1, 1000, true);
    workers_expire(&w, "a", 30000, 20000);
    w.all[1].told = true;
    cr_assert_not(w.all[1].live);
    list(&w, abc, &v2, 31000, true);
    cr_assert(w.all[1].live);
    cr_assert_not(w.all[1].told, "that is news");
    workers_deinit(&w);
}

Test(election_workers, a_whole_list_forgets_those_it_does_not_show_a_page_does_not)
{
    struct election_workers w = workers_make();
    list(&w, abc, &v1, 1000, true);
    list(&w, (const char *const[]){"b", NULL}, &v1, 2000, false);
    cr_assert_eq(w.count, 3);
    list(&w, (const char *const[]){"b", NULL}, &v1, 3000, true);
    cr_assert_eq(w.count, 1);
    cr_assert_str_eq(w.all[0].id, "b");
    cr_assert_eq(w.all[0].changed_ms, 1000);
    workers_deinit(&w);
}

Test(election_workers, more_than_the_limit_are_not_seen)
{
    struct election_workers w = workers_make();
    char id[16];
    workers_list_start(&w);
    for (int i = 0; i < ELECTION_WORKERS_MAX + 50; i++) {
        (void)snprintf(id, sizeof id, "w%06d", i);
        workers_list_see(&w, slice_str(id), &v1, 1000);
    }
    workers_list_end(&w, true);
    cr_assert_eq(w.count, ELECTION_WORKERS_MAX);
    workers_deinit(&w);
}
