/* snapshot_line.h -- the lines of a stored snapshot: a head, one line for each fact, a foot.
 *
 *     {"format":"sync-coordinator snapshot","version":1,"database":"app","serverSiteId":"...","stamp":"...",
 *      "pruned":"...","asks":false,"madeAt":1735689600000,"run":"0123456789abcdef"}
 *     {"stamp":"...","createdAt":1735689600000,"fact":{"type":"delete",...}}
 *     {"end":true,"cells":1,"deletes":1,"migrations":0,"sha256":"..."}
 *
 * Facts are current ones in the order of their stamps, in the protocol's spelling with their priors;
 * createdAt is there with deletes; run, which start of a server took it, with those of a server that writes
 * the shared log. Stamps are 28 hexadecimal digits (snapshot_name.h). The hash is that of
 * all bytes before the foot's line. So a snapshot is a database's arrival log from its beginning, with what
 * its record says.
 *
 * Line breaks between a value's tokens become blanks; otherwise every value is as it came.
 *
 * Pure. */
#ifndef STORAGE_SNAPSHOTS_SNAPSHOT_LINE_H
#define STORAGE_SNAPSHOTS_SNAPSHOT_LINE_H

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/json/json.h"
#include "storage/records/moved.h"
#include "storage/sharedlog/log_object.h"

#include <stdbool.h>
#include <stdint.h>

enum { SNAPSHOT_VERSION = 1, SNAPSHOT_SHA256_TEXT = 64 };

struct snapshot_head {
    struct slice database;
    struct site_id server_site;
    struct stamp stamp, pruned;
    bool asks; /* view.h */
    uint64_t made_ms;
    bool has_run;
    uint8_t run[LOG_RUN_BYTES];
};

struct snapshot_foot {
    uint64_t cells, deletes, migrations;
    char sha256[SNAPSHOT_SHA256_TEXT + 1]; /* lower case */
};

void snapshot_foot_count(struct snapshot_foot *f, enum fact_type type);

/* Each appends one line, with its end. */
void snapshot_put_head(struct buf *out, const struct snapshot_head *h);
void snapshot_put_fact(struct buf *out, const struct moved_entry *e);
void snapshot_put_foot(struct buf *out, const struct snapshot_foot *f);

enum snapshot_line_type { SNAPSHOT_LINE_HEAD, SNAPSHOT_LINE_FACT, SNAPSHOT_LINE_FOOT };

struct snapshot_line {
    enum snapshot_line_type type;
    bool of_later_build; /* also set with SYNC_EFORMAT: it is not damaged, but nothing this build can read */
    struct snapshot_head head;
    struct moved_entry entry; /* with its key */
    struct snapshot_foot foot;
};

/* Takes a line apart, without its end; JSON_PADDING readable bytes are behind it. The result borrows from the
 * line and the arena. Errors: SYNC_EFORMAT (also for a version of later builds), SYNC_ENOMEM, SYNC_ELIMIT. */
enum sync_err snapshot_get_line(struct json_reader *reader, struct arena *arena, struct slice line,
                                struct snapshot_line *ret, struct err_ctx *ec);

#endif
