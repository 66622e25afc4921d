#include "core/facts/site_id.h"

#include "core/base/base64.h"

enum sync_err site_id_parse(struct slice text, struct site_id *ret, struct err_ctx *ec)
{
    struct site_id s;
    size_t len;
    if (text.len != SITE_ID_TEXT || !base64_decode(BASE64_URL, text, s.bytes, sizeof s.bytes, &len) ||
        len != SITE_ID_BYTES)
        return err_set(ec, SYNC_EBADMSG, "a site id is %d characters of base64url", SITE_ID_TEXT);
    *ret = s;
    return SYNC_OK;
}

void site_id_format(const struct site_id *s, char ret[SITE_ID_TEXT + 1])
{
    size_t n = base64_encode(BASE64_URL, s->bytes, SITE_ID_BYTES, ret);
    ret[n] = '\0';
}
