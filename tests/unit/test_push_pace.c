#include "server/ws/push_pace.h"

#include <criterion/criterion.h>
#include <string.h>

static struct push_pace pace;

static void begin(void)
{
    pace = (struct push_pace){0};
}

TestSuite(push_pace, .init = begin);

Test(push_pace, allows_the_first_push_at_once)
{
    cr_assert_eq(push_pace_due_ms(&pace), 0);
    cr_assert(push_pace_is_read(&pace));
    cr_assert_not(push_pace_asks(&pace));
}

Test(push_pace, waits_for_the_answer_and_then_for_the_pause)
{
    uint8_t ping[PACE_PING_BYTES];
    push_pace_sent(&pace, 50);
    cr_assert(push_pace_asks(&pace));
    cr_assert_eq(push_pace_due_ms(&pace), UINT64_MAX);
    push_pace_ping(&pace, ping);
    cr_assert_not(push_pace_asks(&pace));
    cr_assert_eq(push_pace_due_ms(&pace), UINT64_MAX);
    push_pace_pong(&pace, ping, sizeof ping, 1000);
    cr_assert(push_pace_is_read(&pace));
    cr_assert_eq(push_pace_due_ms(&pace), 1050);
}

Test(push_pace, takes_only_the_answer_to_the_last_ping)
{
    uint8_t first[PACE_PING_BYTES], second[PACE_PING_BYTES];
    push_pace_sent(&pace, 50);
    push_pace_ping(&pace, first);
    push_pace_sent(&pace, 50); /* a delta, which waits for no pace */
    push_pace_pong(&pace, first, sizeof first, 1000);
    cr_assert_not(push_pace_is_read(&pace), "what was sent after it is not asked about yet");
    push_pace_ping(&pace, second);
    push_pace_pong(&pace, first, sizeof first, 1000);
    push_pace_pong(&pace, second, sizeof second - 1, 1000);
    push_pace_pong(&pace, NULL, 0, 1000); /* of the library's own ping */
    cr_assert_not(push_pace_is_read(&pace));
    push_pace_pong(&pace, second, sizeof second, 1001);
    cr_assert_eq(push_pace_due_ms(&pace), 1051);
    push_pace_pong(&pace, second, sizeof second, 5000);
    cr_assert_eq(push_pace_due_ms(&pace), 1051, "an answer counts once");
}

Test(push_pace, keeps_the_longest_pause_of_what_is_unread)
{
    uint8_t ping[PACE_PING_BYTES];
    push_pace_sent(&pace, 800);
    push_pace_ping(&pace, ping);
    push_pace_sent(&pace, 50);
    push_pace_ping(&pace, ping);
    push_pace_pong(&pace, ping, sizeof ping, 1000);
    cr_assert_eq(push_pace_due_ms(&pace), 1800);
    push_pace_sent(&pace, 50);
    push_pace_ping(&pace, ping);
    push_pace_pong(&pace, ping, sizeof ping, 2000);
    cr_assert_eq(push_pace_due_ms(&pace), 2050, "and forgets it when all is read");
}

Test(push_pace, rests_as_long_as_the_longest_wish)
{
    push_pace_rest(&pace, 250, 1000);
    cr_assert_eq(push_pace_due_ms(&pace), 1250);
    push_pace_rest(&pace, 50, 1100);
    cr_assert_eq(push_pace_due_ms(&pace), 1250);
}

Test(push_pace, gives_long_messages_longer_within_bounds)
{
    cr_assert_eq(push_pace_pause_ms(50, 0), 50);
    cr_assert_eq(push_pace_pause_ms(50, PACE_BYTES - 1), 50);
    cr_assert_eq(push_pace_pause_ms(50, PACE_BYTES), 100);
    cr_assert_eq(push_pace_pause_ms(50, 10 * (size_t)PACE_BYTES), 550);
    cr_assert_eq(push_pace_pause_ms(50, SIZE_MAX), PACE_MS_MAX);
    cr_assert_eq(push_pace_pause_ms(60000, 0), PACE_MS_MAX);
}
