#include "core/protocol/site_ask.h"

#include "core/protocol/message.h"

void site_ask_begin(struct site_ask *a, const struct site_id *server, uint64_t now_ms, struct buf *out)
{
    *a = (struct site_ask){.active = true, .was_asked = true, .deadline_ms = now_ms + ASK_PATIENCE_MS};
    message_put_request_changes(out, server, NULL);
}

void site_ask_answered(struct site_ask *a, size_t fact_count, const struct hlc *highest)
{
    if (!a->was_asked || fact_count == 0) return;
    a->active = true;
    a->answers++;
    if (hlc_cmp(highest, &a->highest) > 0) a->highest = *highest;
}

bool site_ask_applied(struct site_ask *a, size_t fact_count, bool durable, const struct site_id *server,
                      uint64_t now_ms, struct buf *out)
{
    if (!a->active || fact_count == 0 || a->answers == 0) return false;
    a->answers--;
    if (!durable) { /* it will be asked from the beginning when it comes again */
        *a = (struct site_ask){0};
        return false;
    }
    a->deadline_ms = now_ms + ASK_PATIENCE_MS;
    message_put_request_changes(out, server, &a->highest);
    return true;
}

uint64_t site_ask_deadline_ms(const struct site_ask *a)
{
    return a->active ? a->deadline_ms : UINT64_MAX;
}

bool site_ask_is_over(struct site_ask *a, uint64_t now_ms)
{
    if (!a->active || now_ms < a->deadline_ms) return false;
    if (a->answers > 0) { /* one is on its way to the disk */
        a->deadline_ms = now_ms + ASK_PATIENCE_MS;
        return false;
    }
    a->active = false;
    return true;
}
