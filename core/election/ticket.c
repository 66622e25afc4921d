#include "core/election/ticket.h"

#include "core/json/json_text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROUND_DIGITS = 10, CLAIM_DIGITS = 4 };

static const char BODY_NAME[] = "ticket.json";
static const char RESULT_NAME[] = "result.json";
static const char CLAIM_PREFIX[] = "claim-";
static const char SUFFIX[] = ".json";

/* --- names --- */

bool ticket_task_ok(struct slice task)
{
    if (task.len == 0 || task.len > TICKET_TASK_MAX) return false;
    for (size_t i = 0; i < task.len; i++) {
        char c = task.bytes[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        bool dash = c == '-' && i > 0 && i + 1 < task.len && task.bytes[i - 1] != '-';
        if (!letter && !dash) return false;
    }
    return true;
}

static struct ticket_id make_id(const char *task, uint64_t round, const char *kind, const char *part)
{
    struct ticket_id id;
    assert(ticket_task_ok(slice_str(task)) && round > 0);
    int n =
        snprintf(id.text, sizeof id.text, "%s-%0*" PRIu64 "-%s-%s", task, ROUND_DIGITS, round, kind, part);
    assert(n > 0 && n <= TICKET_ID_MAX);
    return id;
}

struct ticket_id ticket_id_for_worker(const char *task, uint64_t round, const char *worker_id)
{
    return make_id(task, round, "w", worker_id);
}

struct ticket_id ticket_id_numbered(const char *task, uint64_t round, uint32_t number)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%u", number);
    return make_id(task, round, "n", text);
}

/* Digits only, at least `least` of them; 0 is none. */
static bool read_number(struct slice digits, size_t least, uint64_t max, uint64_t *ret)
{
    uint64_t n = 0;
    if (digits.len < least || digits.len > 19) return false;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.bytes[i] < '0' || digits.bytes[i] > '9') return false;
        n = n * 10 + (uint64_t)(digits.bytes[i] - '0');
    }
    *ret = n;
    return n > 0 && n <= max;
}

static struct slice from(struct slice s, size_t at)
{
    return slice_of(s.bytes + at, s.len - at);
}

/* A task has dashes of its own, so its end is the first dash behind which a round and a kind of part
 * stand. */
static bool parse_at(struct slice id, size_t dash, struct ticket_name *ret)
{
    struct slice rest = from(id, dash + 1);
    const char *end = rest.len == 0 ? NULL : memchr(rest.bytes, '-', rest.len);
    if (end == NULL) return false;
    size_t digits = (size_t)(end - rest.bytes);
    if (!read_number(slice_of(rest.bytes, digits), ROUND_DIGITS, INT64_MAX, &ret->round)) return false;
    struct slice part = from(rest, digits + 1);
    uint64_t number;
    ret->task = slice_of(id.bytes, dash);
    ret->worker = slice_of(NULL, 0);
    if (part.len < 3 || part.bytes[1] != '-' || !ticket_task_ok(ret->task)) return false;
    if (part.bytes[0] == 'n')
        return slice_is(from(part, 2), "0") || read_number(from(part, 2), 1, UINT32_MAX, &number);
    ret->worker = from(part, 2);
    return part.bytes[0] == 'w' && worker_id_ok(ret->worker);
}

bool ticket_id_parse(struct slice id, struct ticket_name *ret)
{
    if (id.len > TICKET_ID_MAX) return false;
    for (size_t i = 1; i < id.len && i <= TICKET_TASK_MAX; i++)
        if (id.bytes[i] == '-' && parse_at(id, i, ret)) return true;
    return false;
}

/* --- keys --- */

static struct ticket_key make_key(const char *id, const char *name)
{
    struct ticket_key k;
    int n = snprintf(k.text, sizeof k.text, "%s%s/%s", TICKETS_KEY, id, name);
    assert(n > 0 && n <= TICKET_KEY_MAX);
    return k;
}

struct ticket_key ticket_body_key(const char *id)
{
    return make_key(id, BODY_NAME);
}

struct ticket_key ticket_claim_key(const char *id, uint32_t claim)
{
    char name[32];
    assert(claim > 0 && claim <= TICKET_CLAIMS_MAX);
    (void)snprintf(name, sizeof name, "%s%0*u%s", CLAIM_PREFIX, CLAIM_DIGITS, claim, SUFFIX);
    return make_key(id, name);
}

struct ticket_key ticket_result_key(const char *id)
{
    return make_key(id, RESULT_NAME);
}

bool ticket_key_parse(struct slice key, struct slice *ret_id, enum ticket_object *ret, uint32_t *ret_claim)
{
    struct slice root = slice_str(TICKETS_KEY), prefix = slice_str(CLAIM_PREFIX);
    struct ticket_name ignored;
    uint64_t number;
    *ret_claim = 0;
    if (!slice_starts_with(key, root)) return false;
    struct slice rest = from(key, root.len);
    const char *slash = rest.len == 0 ? NULL : memchr(rest.bytes, '/', rest.len);
    if (slash == NULL) return false;
    *ret_id = slice_of(rest.bytes, (size_t)(slash - rest.bytes));
    struct slice name = from(rest, ret_id->len + 1);
    if (!ticket_id_parse(*ret_id, &ignored)) return false;
    if (slice_is(name, BODY_NAME)) {
        *ret = TICKET_BODY;
        return true;
    }
    if (slice_is(name, RESULT_NAME)) {
        *ret = TICKET_RESULT;
        return true;
    }
    if (!slice_starts_with(name, prefix) || name.len != prefix.len + CLAIM_DIGITS + sizeof SUFFIX - 1)
        return false;
    if (!slice_is(from(name, prefix.len + CLAIM_DIGITS), SUFFIX)) return false;
    if (!read_number(slice_of(name.bytes + prefix.len, CLAIM_DIGITS), CLAIM_DIGITS, TICKET_CLAIMS_MAX,
                     &number))
        return false;
    *ret = TICKET_CLAIM;
    *ret_claim = (uint32_t)number;
    return true;
}

/* --- bytes --- */

static void put_start(struct buf *out, const char *id, const struct ticket_stamp *by, const char *when)
{
    buf_printf(out,
               "{ \"format\":1,\"ticket\":\"%s\",\"worker\":\"%s\",\"incarnation\":\"%016" PRIx64
               "\",\"%s\":%" PRIu64,
               id, by->worker_id, by->incarnation, when, by->wall_ms);
}

void ticket_body_put(struct buf *out, const char *id, uint64_t epoch, const struct ticket_stamp *by)
{
    put_start(out, id, by, "publishedAt");
    buf_printf(out, ",\"epoch\":%" PRIu64 " }\n", epoch);
}

void ticket_claim_put(struct buf *out, const char *id, uint32_t claim, const struct ticket_stamp *by)
{
    put_start(out, id, by, "claimedAt");
    buf_printf(out, ",\"claim\":%u }\n", claim);
}

void ticket_result_put(struct buf *out, const char *id, uint32_t claim, bool ok, const char *text,
                       const struct ticket_stamp *by)
{
    put_start(out, id, by, "finishedAt");
    buf_printf(out, ",\"claim\":%u,\"ok\":%s,\"text\":", claim, ok ? "true" : "false");
    json_put_text(out, slice_str(text));
    BUF_PUT_LIT(out, " }\n");
}

/* --- the board --- */

void ticket_board_deinit(struct ticket_board *b)
{
    free(b->all);
    *b = (struct ticket_board){0};
}

/* Where the id is or belongs. */
static size_t place_of(const struct ticket_board *b, struct slice id, bool *ret_there)
{
    size_t low = 0, high = b->count;
    *ret_there = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int c = slice_cmp(slice_str(b->all[middle].id.text), id);
        if (c == 0) {
            *ret_there = true;
            return middle;
        }
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct ticket_seen *find(struct ticket_board *b, const char *id)
{
    bool there;
    size_t at = place_of(b, slice_str(id), &there);
    return there ? &b->all[at] : NULL;
}

/* NULL when there is no room: the ticket is not seen, as if the listing had been shorter. */
static struct ticket_seen *find_or_add(struct ticket_board *b, struct slice id, uint64_t now_ms)
{
    bool there;
    size_t at = place_of(b, id, &there);
    if (there) return &b->all[at];
    if (b->count == TICKETS_SEEN_MAX) return NULL;
    if (b->count == b->capacity) {
        size_t capacity = b->capacity == 0 ? 16 : 2 * b->capacity;
        struct ticket_seen *all = realloc(b->all, capacity * sizeof *all);
        if (all == NULL) return NULL;
        b->all = all;
        b->capacity = capacity;
    }
    memmove(&b->all[at + 1], &b->all[at], (b->count - at) * sizeof b->all[0]);
    b->count++;
    b->all[at] = (struct ticket_seen){.since_ms = now_ms};
    memcpy(b->all[at].id.text, id.bytes, id.len);
    return &b->all[at];
}

void ticket_board_list_start(struct ticket_board *b)
{
    for (size_t i = 0; i < b->count; i++) b->all[i].seen = false;
}

void ticket_board_see(struct ticket_board *b, struct slice key, uint64_t now_ms)
{
    struct slice id;
    enum ticket_object object;
    uint32_t claim;
    if (!ticket_key_parse(key, &id, &object, &claim)) return;
    struct ticket_seen *t = find_or_add(b, id, now_ms);
    if (t == NULL) return;
    t->seen = true;
    switch (object) {
    case TICKET_BODY: t->published = true; break;
    case TICKET_RESULT: t->done = true; break;
    case TICKET_CLAIM:
        if (claim <= t->claims) break;
        t->claims = claim;
        t->since_ms = now_ms;
        break;
    }
}

void ticket_board_list_end(struct ticket_board *b, bool complete)
{
    size_t kept = 0;
    if (!complete) return;
    for (size_t i = 0; i < b->count; i++)
        if (b->all[i].seen) b->all[kept++] = b->all[i];
    b->count = kept;
}

void ticket_board_claimed(struct ticket_board *b, const char *id, uint32_t claim, uint64_t now_ms)
{
    struct ticket_seen *t = find(b, id);
    if (t == NULL || claim <= t->claims) return;
    t->claims = claim;
    t->since_ms = now_ms;
}

void ticket_board_done(struct ticket_board *b, const char *id)
{
    struct ticket_seen *t = find(b, id);
    if (t != NULL) t->done = true;
}

const struct ticket_seen *ticket_board_next(const struct ticket_board *b, const char *self,
                                            bool (*handles)(void *arg, struct slice task), void *arg,
                                            uint64_t now_ms, uint32_t timeout_ms, uint32_t *ret_claim)
{
    for (size_t i = 0; i < b->count; i++) {
        const struct ticket_seen *t = &b->all[i];
        struct ticket_name name;
        if (!t->published || t->done || t->claims == TICKET_CLAIMS_MAX) continue;
        if (t->claims > 0 && now_ms - t->since_ms < timeout_ms) continue;
        if (!ticket_id_parse(slice_str(t->id.text), &name) || !handles(arg, name.task)) continue;
        if (name.worker.len > 0 && !slice_is(name.worker, self)) continue;
        *ret_claim = t->claims + 1;
        return t;
    }
    return NULL;
}
