#include "core/election/election_keys.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

static_assert(sizeof ELECTION_WORKERS_KEY - 1 + WORKER_ID_MAX + sizeof ".json" - 1 <= ELECTION_KEY_MAX,
              "a worker's key fits");

static const char EPOCH_PREFIX[] = ELECTION_EPOCHS_KEY "epoch-";
static const char WORKER_SUFFIX[] = ".json";

static bool is_id_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
}

bool worker_id_ok(struct slice id)
{
    if (id.len == 0 || id.len > WORKER_ID_MAX || id.bytes[0] == '.') return false;
    for (size_t i = 0; i < id.len; i++)
        if (!is_id_char(id.bytes[i])) return false;
    return true;
}

bool election_namespace_ok(struct slice name)
{
    static_assert(ELECTION_NAMESPACE_MAX == WORKER_ID_MAX, "one rule for both");
    return worker_id_ok(name);
}

struct election_key election_worker_key(const char *worker_id)
{
    struct election_key k;
    int n = snprintf(k.text, sizeof k.text, "%s%s%s", ELECTION_WORKERS_KEY, worker_id, WORKER_SUFFIX);
    assert(n > 0 && n <= ELECTION_KEY_MAX);
    return k;
}

struct election_key election_epoch_key(uint64_t epoch)
{
    struct election_key k;
    int n = snprintf(k.text, sizeof k.text, "%s%010" PRIu64, EPOCH_PREFIX, epoch);
    assert(n > 0 && n <= ELECTION_KEY_MAX);
    return k;
}

bool election_key_worker(struct slice key, struct slice *ret_id)
{
    struct slice prefix = slice_str(ELECTION_WORKERS_KEY);
    size_t suffix_len = sizeof WORKER_SUFFIX - 1;
    if (!slice_starts_with(key, prefix) || key.len < prefix.len + suffix_len) return false;
    struct slice id = slice_of(key.bytes + prefix.len, key.len - prefix.len - suffix_len);
    if (!slice_eq(slice_of(id.bytes + id.len, suffix_len), slice_of(WORKER_SUFFIX, suffix_len))) return false;
    if (!worker_id_ok(id)) return false;
    *ret_id = id;
    return true;
}

bool election_key_epoch(struct slice key, uint64_t *ret_epoch)
{
    struct slice prefix = slice_of(EPOCH_PREFIX, sizeof EPOCH_PREFIX - 1);
    if (!slice_starts_with(key, prefix)) return false;
    size_t digits = key.len - prefix.len;
    if (digits == 0 || digits > 16) return false; /* ELECTION_EPOCH_MAX has 16 */
    uint64_t n = 0;
    for (size_t i = prefix.len; i < key.len; i++) {
        char c = key.bytes[i];
        if (c < '0' || c > '9') return false;
        n = n * 10 + (uint64_t)(c - '0');
    }
    if (n == 0 || n > ELECTION_EPOCH_MAX) return false;
    *ret_epoch = n;
    return true;
}
