#include "core/protocol/message.h"

#include "core/json/json_text.h"
#include "core/protocol/change_set.h"

void message_put_handshake_ack(struct buf *out, struct slice database, const struct site_id *server_site,
                               const char *connection_id)
{
    BUF_PUT_LIT(out, "{\"type\":\"handshake_ack\",\"databaseId\":");
    json_put_text(out, database);
    BUF_PUT_LIT(out, ",\"serverSiteId\":");
    json_put_site(out, server_site);
    BUF_PUT_LIT(out, ",\"connectionId\":");
    json_put_text(out, slice_str(connection_id));
    BUF_PUT_LIT(out, ",\"protocolVersion\":");
    buf_put_u64(out, PROTOCOL_VERSION);
    buf_put_char(out, '}');
}

void message_put_request_changes(struct buf *out, const struct site_id *site, const struct hlc *since)
{
    BUF_PUT_LIT(out, "{\"type\":\"request_changes\",\"siteId\":");
    json_put_site(out, site);
    if (since != NULL) {
        BUF_PUT_LIT(out, ",\"sinceHLC\":");
        json_put_hlc(out, since);
    }
    buf_put_char(out, '}');
}

void merge_result_put(struct buf *out, const struct merge_result *result, struct slice rejected)
{
    BUF_PUT_LIT(out, "\"applied\":");
    buf_put_u64(out, result->applied);
    BUF_PUT_LIT(out, ",\"skipped\":");
    buf_put_u64(out, result->skipped);
    BUF_PUT_LIT(out, ",\"conflicts\":");
    buf_put_u64(out, result->conflicts);
    BUF_PUT_LIT(out, ",\"transactions\":");
    buf_put_u64(out, result->transactions);
    if (rejected.len == 0) return;
    BUF_PUT_LIT(out, ",\"rejected\":");
    buf_put_slice(out, rejected);
}

void message_put_apply_result(struct buf *out, struct slice request_id, const struct merge_result *result,
                              struct slice rejected)
{
    BUF_PUT_LIT(out, "{\"type\":\"apply_result\",");
    if (request_id.len > 0) {
        BUF_PUT_LIT(out, "\"requestId\":");
        json_put_raw(out, request_id);
        buf_put_char(out, ',');
    }
    merge_result_put(out, result, rejected);
    buf_put_char(out, '}');
}

void message_put_error(struct buf *out, const char *code, const char *text, bool fatal)
{
    BUF_PUT_LIT(out, "{\"type\":\"error\",\"code\":");
    json_put_text(out, slice_str(code));
    BUF_PUT_LIT(out, ",\"message\":");
    json_put_text(out, slice_str(text));
    BUF_PUT_LIT(out, ",\"fatal\":");
    buf_put_str(out, fatal ? "true" : "false");
    buf_put_char(out, '}');
}

void message_put_pong(struct buf *out)
{
    BUF_PUT_LIT(out, "{\"type\":\"pong\"}");
}

void message_put_snapshot_complete(struct buf *out)
{
    BUF_PUT_LIT(out, "{\"type\":\"snapshot_complete\"}");
}
