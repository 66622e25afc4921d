#include "storage/sharedlog/log_meta.h"

#include "storage/sharedlog/log_names.h"

#include <inttypes.h>
#include <stdio.h>

enum { META_BYTES_MAX = 256, FORMAT = 1 };

static size_t put(const struct log_meta *m, char ret[META_BYTES_MAX])
{
    int n =
        snprintf(ret, META_BYTES_MAX, "sync-coordinator log\nformat %d\npartitions %" PRIu32 "\nidentity ",
                 FORMAT, m->partitions);
    for (size_t i = 0; i < LOG_IDENTITY_BYTES; i++)
        n += snprintf(ret + n, META_BYTES_MAX - (size_t)n, "%02x", m->identity[i]);
    n += snprintf(ret + n, META_BYTES_MAX - (size_t)n, "\n");
    return (size_t)n;
}

static enum sync_err get(struct slice text, struct log_meta *ret, struct err_ctx *ec)
{
    struct log_meta m = {0};
    char zero_ended[META_BYTES_MAX], again[META_BYTES_MAX];
    unsigned format = 0, bytes[LOG_IDENTITY_BYTES];
    int at = 0;
    if (text.len >= sizeof zero_ended) return err_set(ec, SYNC_EFORMAT, "damaged, %zu bytes", text.len);
    memcpy(zero_ended, text.bytes, text.len);
    zero_ended[text.len] = '\0';
    if (sscanf(zero_ended, "sync-coordinator log\nformat %9u\n", &format) != 1)
        return err_set(ec, SYNC_EFORMAT, "not the description of a shared log");
    if (format != FORMAT)
        return err_set(ec, SYNC_EFORMAT, "shared log of format %u, this build reads %d", format, FORMAT);
    if (sscanf(zero_ended, "sync-coordinator log\nformat %*u\npartitions %9" SCNu32 "\nidentity %n",
               &m.partitions, &at) != 1 ||
        m.partitions == 0 || m.partitions > LOG_PARTITIONS_MAX || at <= 0)
        return err_set(ec, SYNC_EFORMAT, "damaged: no number of partitions from 1 to %d", LOG_PARTITIONS_MAX);
    for (size_t i = 0; i < LOG_IDENTITY_BYTES; i++) {
        if (sscanf(zero_ended + at + 2 * i, "%2x", &bytes[i]) != 1)
            return err_set(ec, SYNC_EFORMAT, "damaged: no identity");
        m.identity[i] = (uint8_t)bytes[i];
    }
    size_t len = put(&m, again);
    if (!slice_eq(slice_of(again, len), text)) return err_set(ec, SYNC_EFORMAT, "damaged");
    *ret = m;
    return SYNC_OK;
}

enum sync_err log_meta_read(struct object_store *s, const struct object_call *call, struct log_meta *ret,
                            bool *ret_found, struct err_ctx *ec)
{
    struct buf text = buf_make(META_BYTES_MAX);
    enum sync_err rc = object_get_buf(s, call, slice_str(LOG_META_NAME), NULL, &text, NULL, ec);
    *ret_found = rc == SYNC_OK;
    if (rc == SYNC_OK) rc = get(buf_slice(&text), ret, ec);
    buf_deinit(&text);
    if (rc == SYNC_ENOTFOUND) return SYNC_OK;
    if (rc != SYNC_OK) err_wrap(ec, "%s", LOG_META_NAME);
    return rc;
}

enum sync_err log_meta_open(struct object_store *s, const struct object_call *call, uint32_t partitions,
                            const uint8_t identity[LOG_IDENTITY_BYTES], struct log_meta *ret,
                            struct err_ctx *ec)
{
    struct log_meta m = {.partitions = partitions == 0 ? 1 : partitions};
    enum object_outcome outcome = OBJECT_OK;
    char text[META_BYTES_MAX];
    bool found = false;
    memcpy(m.identity, identity, LOG_IDENTITY_BYTES);
    enum sync_err rc = log_meta_read(s, call, &m, &found, ec);
    if (rc == SYNC_OK && !found) {
        size_t len = put(&m, text);
        rc = object_put_if_absent(s, call, slice_str(LOG_META_NAME), slice_of(text, len), &outcome, NULL, ec);
        /* Whatever is there now is what counts, also after an answer that got lost. */
        if (rc == SYNC_OK && outcome != OBJECT_OK) rc = log_meta_read(s, call, &m, &found, ec);
        if (rc == SYNC_OK && outcome != OBJECT_OK && !found)
            rc = err_set(ec, SYNC_EBUSY, "%s: no answer to trust, try again", LOG_META_NAME);
    }
    if (rc != SYNC_OK) return rc;
    if (partitions != 0 && partitions != m.partitions)
        return err_set(ec, SYNC_ECONFIG,
                       "%s has a log of %" PRIu32 " partitions, object.partitions is %" PRIu32
                       ": the number is fixed when a bucket is first used",
                       object_store_name(s), m.partitions, partitions);
    *ret = m;
    return SYNC_OK;
}
