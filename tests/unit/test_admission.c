#include "server/net/admission.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>

enum { S = 1000000000 };
static struct admission *a;

static void set_up(void)
{
    a = admission_new(42);
}

static void tear_down(void)
{
    admission_free(a);
}

TestSuite(admission, .init = set_up, .fini = tear_down);

static struct admission_key v4(const char *text)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(1234)};
    cr_assert_eq(inet_pton(AF_INET, text, &in.sin_addr), 1);
    return admission_address(a, (const struct sockaddr *)&in);
}

static struct admission_key v6(const char *text)
{
    struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_port = htons(1)};
    cr_assert_eq(inet_pton(AF_INET6, text, &in.sin6_addr), 1);
    return admission_address(a, (const struct sockaddr *)&in);
}

static bool same(struct admission_key x, struct admission_key y)
{
    return x.cells[0] == y.cells[0] && x.cells[1] == y.cells[1];
}

Test(admission, an_address_is_v4_or_a_slash_64)
{
    cr_assert(same(v4("10.0.0.1"), v4("10.0.0.1")));
    cr_assert(!same(v4("10.0.0.1"), v4("10.0.0.2")));
    cr_assert(same(v6("::ffff:10.0.0.1"), v4("10.0.0.1")), "the same client by either socket");
    cr_assert(same(v6("2001:db8:1:2::1"), v6("2001:db8:1:2:ffff::9")));
    cr_assert(!same(v6("2001:db8:1:2::1"), v6("2001:db8:1:3::1")));
}

Test(admission, an_address_has_so_many_connections_and_no_more)
{
    struct admission_key one = v4("10.0.0.1"), other = v4("10.0.0.2");
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 5; i++) cr_assert(admission_enter(a, &one, 5));
        for (int i = 0; i < 3; i++) cr_assert(!admission_enter(a, &one, 5), "refused, and not counted");
        cr_assert(admission_enter(a, &other, 5));
        admission_leave(a, &other);
        admission_leave(a, &one);
        cr_assert(admission_enter(a, &one, 5));
        for (int i = 0; i < 5; i++) admission_leave(a, &one);
    }
    for (int i = 0; i < 5; i++) cr_assert(admission_enter(a, &one, 0), "0 is any number");
    cr_assert(!admission_enter(a, &one, 5), "those count when the limit is set later");
}

Test(admission, many_addresses_do_not_get_each_other_refused)
{
    unsigned refused = 0;
    for (uint32_t i = 0; i < 2000; i++) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000000 + i)};
        struct admission_key key = admission_address(a, (const struct sockaddr *)&in);
        for (int k = 0; k < 3; k++) refused += !admission_enter(a, &key, 3);
    }
    cr_assert_lt(refused, 60, "%u of 6000", refused); /* both cells shared: about 2000^2 / 2^30 each */
}

Test(admission, upgrades_have_a_rate)
{
    unsigned let_in = 0;
    for (int i = 0; i < 100; i++) let_in += admission_upgrade(a, 20, 7);
    cr_assert_eq(let_in, 21);
    for (int i = 0; i < 100; i++) let_in += admission_upgrade(a, 20, 7 + (uint64_t)S);
    cr_assert_eq(let_in, 41);
    cr_assert(admission_upgrade(a, 0, 7 + (uint64_t)S));
}

static struct site_id site(char c)
{
    struct site_id id;
    memset(&id, c, sizeof id);
    return id;
}

static uint64_t wait(const struct config_limits *limits, const char *database, char who, enum limit_kind *ret)
{
    struct site_id id = site(who);
    return admission_batch_wait_ns(a, limits, slice_str(database), &id, S, ret);
}

static void take(const struct config_limits *limits, const char *database, char who, uint64_t changes)
{
    struct site_id id = site(who);
    admission_batch_taken(a, limits, slice_str(database), &id, changes, S);
}

Test(admission, a_site_that_writes_too_much_waits_alone)
{
    enum limit_kind kind;
    struct config_limits limits = {.site_changes_per_s = 10};
    take(&limits, "db", 'a', 30);
    cr_assert_eq(wait(&limits, "db", 'a', &kind), 2 * (uint64_t)S);
    cr_assert_eq(kind, LIMIT_SITE_CHANGES);
    cr_assert_eq(wait(&limits, "db", 'b', &kind), 0);
    cr_assert_eq(wait(&limits, "other", 'a', &kind), 0);
}

Test(admission, a_database_that_is_written_too_much_makes_all_its_sites_wait)
{
    enum limit_kind kind;
    struct config_limits limits = {.database_changes_per_s = 10, .site_changes_per_s = 1000};
    take(&limits, "db", 'a', 30);
    cr_assert_eq(wait(&limits, "db", 'b', &kind), 2 * (uint64_t)S);
    cr_assert_eq(kind, LIMIT_DATABASE_CHANGES);
    cr_assert_eq(wait(&limits, "other", 'a', &kind), 0);
}

Test(admission, no_rate_is_no_wait)
{
    enum limit_kind kind;
    struct config_limits limits = {0};
    take(&limits, "db", 'a', UINT64_MAX);
    cr_assert_eq(wait(&limits, "db", 'a', &kind), 0);
}

Test(admission, work_is_counted)
{
    struct config_limits limits = {.requests_in_flight_all = 2};
    cr_assert(!admission_is_full(a, &limits));
    admission_begins(a);
    admission_begins(a);
    cr_assert(admission_is_full(a, &limits));
    admission_ends(a);
    cr_assert(!admission_is_full(a, &limits));
}
