/* Any bytes as a record of the election, or as a key; the first byte says as which. What is accepted is
 * written back so that it reads the same. */
#include "core/election/election_keys.h"
#include "core/election/election_record.h"
#include "core/json/json.h"

#include "tests/fuzz/fuzz_text.h"

#include <assert.h>
#include <stdlib.h>

/* Reads what was written once more; the padding behind it is the buffer's own. */
static struct slice padded(struct buf *out)
{
    size_t len = out->len;
    for (int i = 0; i < JSON_PADDING; i++) buf_put_char(out, '\0');
    assert(out->failed == SYNC_OK);
    return slice_of(out->bytes, len);
}

static void as_state(struct json_reader *r, struct slice text)
{
    struct election_state s, again;
    struct err_ctx ec;
    struct buf out = buf_make(ELECTION_RECORD_BYTES_MAX);
    if (election_state_parse(r, text, &s, &ec) == SYNC_OK) {
        election_state_put(&out, "default", &s);
        assert(election_state_parse(r, padded(&out), &again, &ec) == SYNC_OK);
        assert(again.epoch == s.epoch && again.hold == s.hold && again.lease_ms == s.lease_ms);
        assert(again.renew_ms == s.renew_ms && again.workers == s.workers);
        assert(election_token_eq(again.token, s.token) && strcmp(again.leader_id, s.leader_id) == 0);
    }
    buf_deinit(&out);
}

static void as_epoch(struct json_reader *r, struct slice text)
{
    struct election_epoch e, again;
    struct err_ctx ec;
    struct buf out = buf_make(ELECTION_RECORD_BYTES_MAX);
    if (election_epoch_parse(r, text, &e, &ec) == SYNC_OK) {
        election_epoch_put(&out, &e);
        assert(election_epoch_parse(r, padded(&out), &again, &ec) == SYNC_OK);
        assert(again.epoch == e.epoch && election_token_eq(again.token, e.token));
        assert(again.lease_ms == e.lease_ms && strcmp(again.worker_id, e.worker_id) == 0);
    }
    buf_deinit(&out);
}

static void as_worker(struct json_reader *r, struct slice text)
{
    struct election_worker_record w, again;
    struct err_ctx ec;
    struct buf out = buf_make(ELECTION_RECORD_BYTES_MAX);
    if (election_worker_record_parse(r, text, &w, &ec) == SYNC_OK) {
        election_worker_record_put(&out, &w);
        assert(election_worker_record_parse(r, padded(&out), &again, &ec) == SYNC_OK);
        assert(election_token_eq(again.token, w.token) && strcmp(again.worker_id, w.worker_id) == 0);
        assert(strcmp(again.host, w.host) == 0 && strcmp(again.url, w.url) == 0);
    }
    buf_deinit(&out);
}

static void as_key(struct slice key)
{
    struct slice id;
    uint64_t epoch, again;
    if (election_key_worker(key, &id)) {
        assert(worker_id_ok(id) && id.bytes > key.bytes && id.bytes + id.len < key.bytes + key.len);
    }
    if (election_key_epoch(key, &epoch)) {
        struct election_key written = election_epoch_key(epoch);
        assert(election_key_epoch(slice_str(written.text), &again) && again == epoch);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    struct json_reader *r = json_reader_new(JSON_DEPTH_DEFAULT);
    char *bytes = fuzz_text(data + 1, size - 1);
    struct slice text = slice_of(bytes, size - 1);
    assert(r != NULL);
    switch (data[0] % 4) {
    case 0: as_state(r, text); break;
    case 1: as_epoch(r, text); break;
    case 2: as_worker(r, text); break;
    default: as_key(text); break;
    }
    free(bytes);
    json_reader_free(r);
    return 0;
}
