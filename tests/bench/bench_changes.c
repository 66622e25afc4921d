#include "bench_changes.h"

#include "bench_util.h"

#include <stdlib.h>
#include <sys/random.h>

#define TRANSACTION_MARK "\"transactionId\":\""
#define HLC_MARK         "\"hlc\":\""

void author_init(struct author *a)
{
    *a = (struct author){.wall_ms = wall_ms()};
    if (getrandom(a->site.bytes, SITE_ID_BYTES, 0) != SITE_ID_BYTES) die("no random bytes");
}

static void put_cell(struct author *a, struct buf *out, uint32_t op_seq, const struct hlc *hlc)
{
    static const char *const columns[CELLS_PER_TRANSACTION] = {"title", "notes", "done", "position", "color"};
    char text[HLC_TEXT];
    hlc_format(hlc, text);
    buf_printf(out, "%s{\"type\":\"column\",\"schema\":\"main\",\"table\":\"items\",\"pk\":[%llu],",
               op_seq == 0 ? "" : ",", (unsigned long long)a->row);
    buf_printf(out, "\"column\":\"%s\",\"value\":", columns[op_seq]);
    switch (op_seq) {
    case 0: buf_printf(out, "\"item number %llu\"", (unsigned long long)a->row); break;
    case 1: BUF_PUT_LIT(out, "\"to be done before the end of the week\""); break;
    case 2: BUF_PUT_LIT(out, "false"); break;
    case 3: buf_put_u64(out, a->row % 1000); break;
    default: BUF_PUT_LIT(out, "null"); break;
    }
    buf_printf(out, ",\"hlc\":\"%.*s\"}", HLC_TEXT, text);
}

void author_put_transaction(struct author *a, struct buf *out)
{
    struct hlc hlc = {.wall_ms = a->wall_ms, .counter = a->counter, .site = a->site};
    char site[SITE_ID_TEXT + 1], id[TRANSACTION_ID_MAX + 1], text[HLC_TEXT];
    site_id_format(&a->site, site);
    (void)hlc_format_transaction(&hlc, id);
    hlc.op_seq = CELLS_PER_TRANSACTION - 1;
    hlc_format(&hlc, text);
    buf_printf(out, "{\"siteId\":\"%s\"," TRANSACTION_MARK "%s\"," HLC_MARK "%.*s\",\"changes\":[", site, id,
               HLC_TEXT, text);
    for (uint32_t i = 0; i < CELLS_PER_TRANSACTION; i++) {
        hlc.op_seq = i;
        put_cell(a, out, i, &hlc);
    }
    BUF_PUT_LIT(out, "],\"schemaMigrations\":[]}");
    a->row++;
    if (a->counter == UINT16_MAX) a->wall_ms++;
    a->counter++;
}

void messages_make(struct messages *m, struct author *a, size_t count, size_t transactions_each)
{
    *m = (struct messages){.text = buf_make(SIZE_MAX / 4), .transactions_each = transactions_each};
    m->ends = must(malloc(count * sizeof *m->ends));
    for (; m->count < count; m->count++) {
        BUF_PUT_LIT(&m->text, "{\"type\":\"apply_changes\",\"requestId\":\"r\",\"changes\":[");
        for (size_t i = 0; i < transactions_each; i++) {
            if (i > 0) buf_put_char(&m->text, ',');
            author_put_transaction(a, &m->text);
        }
        BUF_PUT_LIT(&m->text, "]}");
        m->ends[m->count] = m->text.len;
    }
    if (m->text.failed != SYNC_OK) die("out of memory for the messages");
}

struct slice messages_at(const struct messages *m, size_t i)
{
    size_t begin = i == 0 ? 0 : m->ends[i - 1];
    return slice_of(m->text.bytes + begin, m->ends[i] - begin);
}

void messages_deinit(struct messages *m)
{
    buf_deinit(&m->text);
    free(m->ends);
    *m = (struct messages){0};
}

size_t count_transactions(struct slice text)
{
    size_t count = 0;
    const char *at = text.bytes, *end = text.bytes + text.len;
    while ((at = memmem(at, (size_t)(end - at), TRANSACTION_MARK, sizeof TRANSACTION_MARK - 1)) != NULL) {
        at += sizeof TRANSACTION_MARK - 1;
        count++;
    }
    return count;
}

bool last_hlc(struct slice text, char ret[HLC_TEXT + 1])
{
    enum { MARK = sizeof HLC_MARK - 1 };
    for (size_t at = text.len; at >= MARK + HLC_TEXT; at--) {
        const char *mark = text.bytes + at - MARK - HLC_TEXT;
        if (memcmp(mark, HLC_MARK, MARK) != 0) continue;
        memcpy(ret, mark + MARK, HLC_TEXT);
        ret[HLC_TEXT] = '\0';
        return true;
    }
    return false;
}
