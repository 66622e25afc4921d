#include "server/ws/hub.h"

#include "frame_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { LISTENERS = 4 };

struct listener {
    struct subscriber subscriber; /* first */
    int heard;
    struct subscriber *leaves[LISTENERS]; /* who unsubscribes when this one hears something */
};

static struct hub hub;
static struct listener listeners[LISTENERS];

static void hear(struct subscriber *s, struct frame *f)
{
    struct listener *l = (struct listener *)s;
    cr_assert_neq(f->refs, 0);
    l->heard++;
    for (int i = 0; i < LISTENERS; i++)
        if (l->leaves[i] != NULL) hub_unsubscribe(&hub, l->leaves[i]);
}

static void begin(void)
{
    cr_assert(hub_init(&hub));
    memset(listeners, 0, sizeof listeners);
    for (int i = 0; i < LISTENERS; i++) {
        listeners[i].subscriber.deliver = hear;
        listeners[i].subscriber.site.bytes[0] = (uint8_t)(i + 1);
    }
}

static void end(void)
{
    for (int i = 0; i < LISTENERS; i++) hub_unsubscribe(&hub, &listeners[i].subscriber);
    hub_deinit(&hub); /* asserts that no topic is left */
}

TestSuite(hub, .init = begin, .fini = end);

static void subscribe_all(const char *database)
{
    for (int i = 0; i < LISTENERS; i++)
        cr_assert(hub_subscribe(&hub, slice_str(database), &listeners[i].subscriber));
}

static void publish(const char *database, uint8_t sender)
{
    struct frame *f = frame_of(database, sender, 3);
    hub_publish(&hub, f);
    cr_assert_eq(f->refs, 1, "the frame was only lent");
    frame_unref(f);
}

static void assert_heard(int a, int b, int c, int d)
{
    int expected[LISTENERS] = {a, b, c, d};
    for (int i = 0; i < LISTENERS; i++) cr_assert_eq(listeners[i].heard, expected[i], "listener %d", i);
}

Test(hub, all_of_a_database_hear_but_the_senders_site)
{
    subscribe_all("shop");
    publish("shop", 2);
    assert_heard(1, 0, 1, 1);
    publish("shop", 99);
    assert_heard(2, 1, 2, 2);
    publish("shop2", 99);
    publish("sho", 99);
    publish("", 99);
    assert_heard(2, 1, 2, 2);
}

Test(hub, two_connections_of_one_site_are_both_left_out)
{
    listeners[1].subscriber.site = listeners[0].subscriber.site;
    subscribe_all("shop");
    publish("shop", 1);
    assert_heard(0, 0, 1, 1);
}

Test(hub, who_left_hears_nothing_and_may_come_again)
{
    subscribe_all("shop");
    hub_unsubscribe(&hub, &listeners[0].subscriber);
    hub_unsubscribe(&hub, &listeners[0].subscriber);
    publish("shop", 99);
    assert_heard(0, 1, 1, 1);
    cr_assert(hub_subscribe(&hub, slice_str("other"), &listeners[0].subscriber));
    publish("other", 99);
    assert_heard(1, 1, 1, 1);
}

/* Every one of them may, on hearing, take any set of them away. */
Test(hub, anybody_may_leave_during_a_publication)
{
    hub_deinit(&hub);
    for (unsigned who = 0; who < LISTENERS; who++) {
        for (unsigned gone = 0; gone < 1u << LISTENERS; gone++) {
            begin();
            subscribe_all("shop");
            for (unsigned i = 0; i < LISTENERS; i++)
                if ((gone >> i & 1) != 0) listeners[who].leaves[i] = &listeners[i].subscriber;
            publish("shop", 99);
            for (unsigned i = 0; i < LISTENERS; i++) {
                bool stays = (gone >> i & 1) == 0 || i == who;
                /* The newest hears first, so those behind `who` had heard already. */
                int expected = stays || i > who ? 1 : 0;
                cr_assert_eq(listeners[i].heard, expected, "%u takes %x away: %u", who, gone, i);
            }
            publish("shop", 99);
            for (unsigned i = 0; i < LISTENERS; i++)
                if ((gone >> i & 1) != 0) cr_assert_leq(listeners[i].heard, 1);
            for (int i = 0; i < LISTENERS; i++) hub_unsubscribe(&hub, &listeners[i].subscriber);
            hub_deinit(&hub);
        }
    }
    begin();
}

Test(hub, tells_whether_anybody_else_would_hear)
{
    const struct site_id one = listeners[0].subscriber.site, stranger = {.bytes = {99}};
    cr_assert_not(hub_has_receiver(&hub, slice_str("shop"), &stranger));
    cr_assert(hub_subscribe(&hub, slice_str("shop"), &listeners[0].subscriber));
    cr_assert(hub_has_receiver(&hub, slice_str("shop"), &stranger));
    cr_assert_not(hub_has_receiver(&hub, slice_str("shop"), &one));
    cr_assert_not(hub_has_receiver(&hub, slice_str("shop2"), &stranger));
}

Test(hub, interest_is_raised_by_each_subscriber_and_lowered_with_it)
{
    cr_assert_not(interest_has(&hub.interest, slice_str("shop")));
    subscribe_all("shop");
    for (int i = 0; i < LISTENERS; i++) {
        cr_assert(interest_has(&hub.interest, slice_str("shop")));
        hub_unsubscribe(&hub, &listeners[i].subscriber);
    }
    cr_assert_not(interest_has(&hub.interest, slice_str("shop")));
}

static void count(struct subscriber *s, void *arg)
{
    cr_assert_not_null(s->topic);
    ++*(int *)arg;
}

Test(hub, who_is_muted_hears_nothing_but_is_there)
{
    const struct site_id stranger = {.bytes = {99}};
    int n = 0;
    subscribe_all("shop");
    hub_mute(&hub, &listeners[1].subscriber, true);
    hub_mute(&hub, &listeners[1].subscriber, true);
    publish("shop", 99);
    assert_heard(1, 0, 1, 1);
    hub_each(&hub, slice_str("shop"), count, &n);
    cr_assert_eq(n, LISTENERS);
    hub_mute(&hub, &listeners[1].subscriber, false);
    publish("shop", 99);
    assert_heard(2, 1, 2, 2);

    for (int i = 0; i < LISTENERS; i++) hub_mute(&hub, &listeners[i].subscriber, true);
    cr_assert(hub_has_receiver(&hub, slice_str("shop"), &stranger), "it may listen again at any moment");
    cr_assert(interest_has(&hub.interest, slice_str("shop")));
    publish("shop", 99);
    assert_heard(2, 1, 2, 2);
    for (int i = 0; i < LISTENERS; i++) hub_unsubscribe(&hub, &listeners[i].subscriber);
    cr_assert_eq(hub.topic_count, 0);
    hub_mute(&hub, &listeners[0].subscriber, true); /* not subscribed */
    subscribe_all("shop");
    publish("shop", 99);
    assert_heard(3, 2, 3, 3);
}

static void mute_self(struct subscriber *s, struct frame *f)
{
    hear(s, f);
    hub_mute(&hub, s, true);
}

Test(hub, whoever_mutes_itself_on_hearing_keeps_nobody_from_it)
{
    subscribe_all("shop");
    for (int i = 0; i < LISTENERS; i++) listeners[i].subscriber.deliver = mute_self;
    publish("shop", 99);
    assert_heard(1, 1, 1, 1);
    publish("shop", 99);
    assert_heard(1, 1, 1, 1);
}

Test(hub, keeps_many_databases_apart)
{
    enum { COUNT = 1000 };
    static struct listener many[COUNT];
    char name[16];
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(name, sizeof name, "db%d", i);
        many[i].subscriber.deliver = hear;
        cr_assert(hub_subscribe(&hub, slice_str(name), &many[i].subscriber));
    }
    cr_assert_eq(hub.topic_count, COUNT);
    for (int i = 0; i < COUNT; i++) {
        int n = 0;
        (void)snprintf(name, sizeof name, "db%d", i);
        hub_each(&hub, slice_str(name), count, &n);
        cr_assert_eq(n, 1, "%s", name);
        publish(name, 99);
    }
    for (int i = 0; i < COUNT; i++) {
        cr_assert_eq(many[i].heard, 1);
        hub_unsubscribe(&hub, &many[i].subscriber);
    }
    cr_assert_eq(hub.topic_count, 0);
}
