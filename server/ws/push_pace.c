#include "server/ws/push_pace.h"

#include <string.h>

uint64_t push_pace_pause_ms(uint64_t pause_ms, size_t bytes)
{
    uint64_t times = 1 + bytes / PACE_BYTES;
    return pause_ms >= PACE_MS_MAX || times > PACE_MS_MAX / (pause_ms + 1) ? PACE_MS_MAX : pause_ms * times;
}

void push_pace_sent(struct push_pace *p, uint64_t pause_ms)
{
    /* Also while an answer is awaited: the message sent now is what must be read. What the client was given
     * time for and has not read yet, it still needs the time for. */
    uint64_t pending_ms = p->state == PACE_FREE ? 0 : p->pause_ms;
    p->pause_ms = pause_ms > pending_ms ? pause_ms : pending_ms;
    p->state = PACE_ASKS;
}

void push_pace_rest(struct push_pace *p, uint64_t pause_ms, uint64_t now_ms)
{
    if (now_ms + pause_ms > p->after_ms) p->after_ms = now_ms + pause_ms;
}

void push_pace_ping(struct push_pace *p, uint8_t ret_payload[PACE_PING_BYTES])
{
    p->state = PACE_WAITS;
    p->pings++;
    memcpy(ret_payload, &p->pings, sizeof p->pings);
}

void push_pace_pong(struct push_pace *p, const uint8_t *payload, size_t len, uint64_t now_ms)
{
    if (p->state != PACE_WAITS || len != sizeof p->pings || memcmp(payload, &p->pings, len) != 0) return;
    p->state = PACE_FREE;
    push_pace_rest(p, p->pause_ms, now_ms);
}
