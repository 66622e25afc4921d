/* hook_face.h -- the structs of the public header, made of the server's own for the time of one call.
 *
 * Texts and values are borrowed, never copied. Threads: any; each call has its own. */
#ifndef HOOKS_HOOK_FACE_H
#define HOOKS_HOOK_FACE_H

#include "hooks/hook_local.h"

static inline struct sync_text face_text(struct slice s)
{
    return (struct sync_text){.bytes = s.bytes, .len = s.len};
}

struct sync_identity face_identity(const struct hook_identity *i, const char *hook);
struct sync_request face_request(const struct hook_input *in);
struct sync_operation face_operation(const struct hook_input *in);
struct sync_apply_result face_apply_result(const struct hook_input *in);
struct sync_coordinator_event face_event(const struct hook_input *in);
struct sync_change_sets face_sets(struct hook_turn *turn); /* the turn stays where it is meanwhile */

#endif
