#include "storage/snapshots/snapshot_proof.h"

#include "storage/snapshots/snapshot_list.h"

const char *snapshot_state_text(enum snapshot_state s)
{
    switch (s) {
    case SNAPSHOT_GOOD: return "it is there";
    case SNAPSHOT_REPLACED: return "a newer one is there";
    case SNAPSHOT_MISSING: return "it is not there";
    case SNAPSHOT_RESIZED: return "it has another size";
    case SNAPSHOT_DAMAGED: return "it was set aside as damaged";
    }
    return "";
}

static enum sync_err look(struct object_store *s, const struct object_call *call, struct snapshot_place at,
                          const struct snapshot_id *id, uint64_t bytes, enum snapshot_state *ret,
                          struct err_ctx *ec)
{
    struct snapshot_key key;
    struct object_info info;
    snapshot_key_of(at, id, &key);
    enum sync_err rc = object_head(s, call, snapshot_key_slice(&key), &info, ec);
    *ret = rc == SYNC_ENOTFOUND ? SNAPSHOT_MISSING : SNAPSHOT_RESIZED;
    if (rc == SYNC_ENOTFOUND) return SYNC_OK;
    if (rc != SYNC_OK || (bytes != 0 && info.bytes != bytes)) return rc;
    snapshot_damaged_key(at, id, &key);
    rc = object_head(s, call, snapshot_key_slice(&key), &info, ec);
    *ret = rc == SYNC_ENOTFOUND ? SNAPSHOT_GOOD : SNAPSHOT_DAMAGED;
    return rc == SYNC_ENOTFOUND ? SYNC_OK : rc;
}

enum sync_err snapshot_prove(struct object_store *s, const struct object_call *call, struct snapshot_place at,
                             const struct snapshot_id *id, uint64_t bytes, enum snapshot_state *ret,
                             struct err_ctx *ec)
{
    struct snapshot_list l;
    enum snapshot_state state;
    enum sync_err rc = look(s, call, at, id, bytes, &state, ec);
    if (rc == SYNC_OK && state != SNAPSHOT_GOOD) {
        rc = snapshot_list(s, call, at, &l, ec);
        if (rc != SYNC_OK) return rc;
        for (size_t i = 0; i < l.count && state != SNAPSHOT_REPLACED; i++)
            if (!l.entries[i].damaged && snapshot_id_cmp(&l.entries[i].id, id) > 0) state = SNAPSHOT_REPLACED;
        if (l.count == 0 && at.path.len > 0)
            rc = look(s, call, snapshot_place_of(at.database), id, bytes, &state, ec);
        snapshot_list_deinit(&l);
    }
    if (rc == SYNC_OK) *ret = state;
    return rc;
}
