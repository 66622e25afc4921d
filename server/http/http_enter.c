/* An exchange waits until its database is on this machine (store/presence.h), but not for long: an HTTP
 * client has a time limit of its own, and is told to come again. The restore goes on meanwhile. */
#include "server/http/http_internal.h"

#include <stdlib.h>

enum { ENTER_WAIT_MS = 5000 };

struct enter_wait {
    struct presence_wait wait; /* first */
    uint64_t asker;
    size_t database_len;
    char database[DATABASE_ID_MAX];
};

static void go_on(struct http *h)
{
    h->inside = true;
    h->entered(h);
}

static void refuse(struct http *h, const char *text)
{
    http_fail_later(h, "RESTORING", text);
}

void http_wait_is_over(struct http *h)
{
    h->waiting = false;
    h->deadline_ms = UINT64_MAX;
    refuse(h, "the database is being brought to this machine, try again");
}

static void done(struct job *j)
{
    struct enter_wait *w = (struct enter_wait *)j;
    struct http *h = id_table_get(&j->home->exchanges, w->asker);
    if (h == NULL || !h->waiting) {
        if (j->rc == SYNC_OK)
            presence_leave(&j->home->server->presence, slice_of(w->database, w->database_len));
    } else {
        h->waiting = false;
        h->deadline_ms = UINT64_MAX;
        if (j->rc == SYNC_OK)
            go_on(h);
        else
            refuse(h, j->ec.text);
    }
    free(w);
}

void http_enter(struct http *h, void (*next)(struct http *h))
{
    struct presence *p = &h->loop->server->presence;
    struct slice database = slice_of(h->request.database, h->request.database_len);
    h->entered = next;
    if (!p->enabled) {
        next(h);
        return;
    }
    struct enter_wait *w = calloc(1, sizeof *w);
    if (w == NULL) {
        refuse(h, "out of memory");
        return;
    }
    w->wait.job.home = h->loop;
    w->wait.job.done = done;
    w->asker = h->id;
    w->database_len = database.len;
    memcpy(w->database, database.bytes, database.len);
    if (presence_enter(p, database, &w->wait)) {
        free(w);
        go_on(h);
        return;
    }
    h->state = HTTP_WORKING;
    h->waiting = true;
    h->deadline_ms = loop_now_ms(h->loop) + ENTER_WAIT_MS;
    loop_wake_at(h->loop, h->deadline_ms);
}
