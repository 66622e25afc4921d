#include "server/settings.h"

#include <stdlib.h>

static struct session_config session_config_of(const struct config *config)
{
    uint32_t batch_size = config->sync.batch_size, nudge_facts = config->sync.nudge_facts;
    return (struct session_config){
        /* A client with smaller messages fills them earlier. */
        .nudge_facts = batch_size < nudge_facts ? batch_size : nudge_facts,
        .page_proof_timeout_ms = config->sync.page_proof_timeout_ms,
        .catch_up_timeout_ms = config->sync.catch_up_timeout_ms,
        .renudge_interval_ms = config->sync.renudge_interval_ms,
        .handshake_timeout_ms = config->limits.handshake_timeout_ms,
        .requests_max = config->limits.requests_in_flight,
    };
}

static enum sync_err make(struct settings *s, const struct config *config, struct err_ctx *ec)
{
    atomic_init(&s->refs, 1);
    s->config = config;
    s->session = session_config_of(config);
    s->auth = auth_new(&config->auth);
    if (s->auth == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for the tokens");
    return tls_identity_load(&config->tls, &s->tls, ec);
}

static enum sync_err no_memory(struct err_ctx *ec)
{
    return err_set(ec, SYNC_ENOMEM, "no memory for the settings");
}

enum sync_err settings_first(const struct config *config, struct settings **ret, struct err_ctx *ec)
{
    struct settings *s = calloc(1, sizeof *s);
    if (s == NULL) return no_memory(ec);
    enum sync_err rc = make(s, config, ec);
    if (rc != SYNC_OK)
        settings_unref(s);
    else
        *ret = s;
    return rc;
}

enum sync_err settings_next(struct loaded_config *loaded, struct settings **ret, struct err_ctx *ec)
{
    struct settings *s = calloc(1, sizeof *s);
    if (s == NULL) return no_memory(ec);
    s->loaded = *loaded;
    enum sync_err rc = make(s, &s->loaded.config, ec);
    if (rc != SYNC_OK) {
        s->loaded = (struct loaded_config){0}; /* stays the caller's */
        settings_unref(s);
        return rc;
    }
    *loaded = (struct loaded_config){0};
    *ret = s;
    return SYNC_OK;
}

struct settings *settings_ref(struct settings *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void settings_unref(struct settings *s)
{
    if (s == NULL || atomic_fetch_sub(&s->refs, 1) != 1) return;
    auth_free(s->auth);
    tls_identity_free(s->tls);
    config_unload(&s->loaded);
    free(s);
}
