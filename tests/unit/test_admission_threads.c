/* Many threads count at once: no more get in than may, nothing is lost, and a rate holds for all together. A
 * plain program: it also runs under ThreadSanitizer. */
#include "server/net/admission.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 4, ROUNDS = 20000, ADDRESS_MAX = 3, PER_SECOND = 1000 };

static struct admission *a;
static _Atomic int inside, most_inside;
static _Atomic unsigned upgrades;

static void check(bool good, const char *what)
{
    if (good) return;
    fprintf(stderr, "failed: %s\n", what);
    exit(1);
}

static void *work(void *arg)
{
    const struct config_limits limits = {.site_changes_per_s = 1000, .database_changes_per_s = 1000};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = 7};
    struct admission_key address = admission_address(a, (const struct sockaddr *)&in);
    struct site_id site = {{0}};
    (void)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (admission_enter(a, &address, ADDRESS_MAX)) {
            int now = atomic_fetch_add(&inside, 1) + 1, most = atomic_load(&most_inside);
            while (now > most && !atomic_compare_exchange_weak(&most_inside, &most, now)) continue;
            atomic_fetch_sub(&inside, 1);
            admission_leave(a, &address);
        }
        if (admission_upgrade(a, PER_SECOND, 5)) atomic_fetch_add(&upgrades, 1);
        admission_batch_taken(a, &limits, slice_str("db"), &site, 1, 5);
        admission_begins(a);
        admission_ends(a);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    enum limit_kind kind;
    const struct config_limits limits = {.site_changes_per_s = 1000, .database_changes_per_s = 2000};
    struct site_id site = {{0}};
    a = admission_new(1);
    check(a != NULL, "memory");
    for (int i = 0; i < THREADS; i++) check(pthread_create(&threads[i], NULL, work, NULL) == 0, "a thread");
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    check(atomic_load(&most_inside) <= ADDRESS_MAX, "no more get in than may");
    for (size_t i = 0; i < ADMISSION_CELLS; i++) check(atomic_load(&a->addresses[i]) == 0, "all have left");
    check(atomic_load(&upgrades) == PER_SECOND + 1, "the rate holds for all threads together");
    check(atomic_load(&a->in_flight) == 0, "work that began has ended");
    /* 80,000 changes at 1,000 a second: the most that may be owed, less the burst. */
    check(admission_batch_wait_ns(a, &limits, slice_str("db"), &site, 5, &kind) == 59u * UINT64_C(1000000000),
          "no charge is lost");
    admission_free(a);
    return 0;
}
