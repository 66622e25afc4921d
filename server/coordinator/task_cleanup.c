/* task_cleanup.c -- the leader decides when the object store is cleaned up; each instance removes what it
 * knows its own databases need no more, and the leader what is nobody's (server/objects/cleanup.h). */
#include "server/coordinator/tasks.h"
#include "server/coordinator/worker_rounds.h"
#include "server/server.h"

static uint64_t interval_ms(struct server *s)
{
    return s->config->object.cleanup_interval_ms;
}

static enum sync_err clean_own(struct server *s, const atomic_bool *stop, char text[TASK_TEXT_MAX],
                               struct err_ctx *ec)
{
    return cleanup_own(s, stop, text, TASK_TEXT_MAX, ec);
}

static enum sync_err clean_common(struct server *s, const atomic_bool *stop, char text[TASK_TEXT_MAX],
                                  struct err_ctx *ec)
{
    return cleanup_common(s, stop, text, TASK_TEXT_MAX, ec);
}

enum sync_err task_cleanup_new(const struct cluster *c, struct task *ret, struct err_ctx *ec)
{
    static const struct worker_rounds rounds = {
        .name = "clean-up", .interval_ms = interval_ms, .work = clean_own, .lead = clean_common};
    return worker_rounds_new(&rounds, c, ret, ec);
}
