#include "server/net/receiving.h"

#include "server/net/limit.h"
#include "server/net/loop.h"
#include "server/server.h"

#include <assert.h>

static bool is_over(const struct loop *l)
{
    return atomic_load(&l->server->receiving.bytes) > l->config->limits.receiving_bytes;
}

static uint64_t patience_ms(const struct loop *l)
{
    return l->config->limits.http_timeout_ms;
}

static bool take_turn(struct loop *l, struct receiver *r)
{
    if (atomic_exchange(&l->server->receiving.turn_taken, true)) return false;
    r->has_turn = true;
    r->turn_ends_ms = loop_now_ms(l) + patience_ms(l);
    loop_wake_at(l, r->turn_ends_ms);
    return true;
}

static void give_back_turn(struct loop *l, struct receiver *r)
{
    if (!r->has_turn) return;
    r->has_turn = false;
    atomic_store(&l->server->receiving.turn_taken, false);
}

static void wait_in_line(struct loop *l, struct receiver *r)
{
    struct receiver_list *list = &l->receivers;
    r->waiting = true;
    r->next = NULL;
    *(list->last == NULL ? &list->first : &list->last->next) = r;
    list->last = r;
    atomic_fetch_add(&l->server->receiving.waiting, 1);
    limit_hit(l->server, LIMIT_RECEIVING_BYTES);
    loop_wake_at(l, loop_now_ms(l) + RECEIVING_RETRY_MS);
    r->stop(r, true);
}

static void leave_line(struct loop *l, struct receiver *r)
{
    struct receiver_list *list = &l->receivers;
    struct receiver **at = &list->first, *before = NULL;
    while (*at != r) {
        before = *at;
        at = &(*at)->next;
    }
    *at = r->next;
    if (list->last == r) list->last = before;
    r->waiting = false;
    atomic_fetch_sub(&l->server->receiving.waiting, 1);
}

static void let_go_on(struct loop *l)
{
    struct receiver *r;
    while ((r = l->receivers.first) != NULL && (!is_over(l) || take_turn(l, r))) {
        leave_line(l, r);
        r->grew_ms = loop_now_ms(l);
        r->stop(r, false);
    }
}

void receiver_grew(struct loop *l, struct receiver *r, size_t bytes)
{
    assert(bytes >= r->bytes);
    atomic_fetch_add(&l->server->receiving.bytes, bytes - r->bytes);
    r->bytes = bytes;
    r->grew_ms = loop_now_ms(l);
    if (bytes <= RECEIVING_SMALL_BYTES || r->waiting) return;
    loop_wake_at(l, r->grew_ms + patience_ms(l));
    if (!is_over(l))
        give_back_turn(l, r);
    else if (!r->has_turn && (l->receivers.first != NULL || !take_turn(l, r)))
        wait_in_line(l, r);
}

void receiver_ended(struct loop *l, struct receiver *r)
{
    atomic_fetch_sub(&l->server->receiving.bytes, r->bytes);
    r->bytes = 0;
    give_back_turn(l, r);
    if (r->waiting) leave_line(l, r);
    let_go_on(l);
}

void receiving_batch_begins(struct loop *l, size_t bytes)
{
    atomic_fetch_add(&l->server->receiving.bytes, bytes);
}

void receiving_batch_ends(struct loop *l, size_t bytes)
{
    atomic_fetch_sub(&l->server->receiving.bytes, bytes);
    let_go_on(l);
}

void receiving_held_ends(struct receiving *r, size_t bytes)
{
    atomic_fetch_sub(&r->bytes, bytes);
}

bool receiver_is_stuck(struct loop *l, const struct receiver *r, uint64_t now_ms)
{
    if (r->waiting || r->bytes <= RECEIVING_SMALL_BYTES) return false;
    if (atomic_load(&l->server->receiving.waiting) == 0) return false;
    return now_ms - r->grew_ms >= patience_ms(l) || (r->has_turn && now_ms >= r->turn_ends_ms);
}

uint64_t receiver_check_ms(struct loop *l, const struct receiver *r, uint64_t now_ms)
{
    if (r->waiting || r->bytes <= RECEIVING_SMALL_BYTES) return UINT64_MAX;
    uint64_t stuck_ms = r->grew_ms + patience_ms(l);
    if (r->has_turn && r->turn_ends_ms < stuck_ms) stuck_ms = r->turn_ends_ms;
    return stuck_ms > now_ms ? stuck_ms : now_ms + RECEIVING_CHECK_MS;
}

void receiving_tick(struct loop *l)
{
    let_go_on(l);
    if (l->receivers.first == NULL) return;
    for (struct receiver *r = l->receivers.first; r != NULL; r = r->next) r->stop(r, true);
    loop_wake_at(l, loop_now_ms(l) + RECEIVING_RETRY_MS);
}
