/* Any bytes as a log file of LevelDB's, and as one record of it. Records follow one another and stay within
 * the file; what is found behind any place is a record there; a batch or an edit cut short is none. */
#include "storage/leveldb/log_format.h"

#include "tests/fuzz/fuzz_text.h"

#include <assert.h>

static bool accept_any(struct slice record, void *arg)
{
    (void)record;
    (void)arg;
    return true;
}

static void check_file(struct slice file, struct buf *record)
{
    size_t at = 0, end = 0, found, again;
    while (log_record_at(file, at, record, &end)) {
        assert(end > at && end <= file.len);
        assert(record->len < end - at);
        at = end;
    }
    if (log_ends_at(file, at)) assert(!log_find_record(file, at, accept_any, NULL, record, &found));
    if (!log_find_record(file, at, accept_any, NULL, record, &found)) return;
    assert(found > at && found < file.len);
    bool whole = log_record_at(file, found, record, &end);
    assert(whole && end <= file.len);
    whole = log_find_record(file, found, accept_any, NULL, record, &again);
    assert(whole && again == found);
}

static void check_record(struct slice record)
{
    struct log_batch b;
    struct log_edit e = {0};
    if (log_batch_read(record, &b)) {
        assert(b.count > 0 && record.len >= 12 + 2 * (size_t)b.count);
        bool shorter = log_batch_read(slice_of(record.bytes, record.len - 1), &b);
        assert(!shorter);
    }
    (void)log_edit_read(record, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct buf record = buf_make(1 << 24);
    check_file(slice_of(text, size), &record);
    check_record(slice_of(text, size));
    buf_deinit(&record);
    free(text);
    return 0;
}
