#include "server/net/tls.h"

#include "server/net/loop.h"
#include "server/settings.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

struct tls_identity {
    X509 *cert;
    STACK_OF(X509) * chain; /* above cert */
    EVP_PKEY *key;
};

/* What OpenSSL says about its last failure. */
static const char *reason(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *text = code == 0 ? NULL : ERR_reason_error_string(code);
    return text == NULL ? "no reason given" : text;
}

/* A key that asks for a password would make OpenSSL ask whoever started the server. */
static int no_password(char *buf, int size, int writing, void *arg)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

static enum sync_err open_file(const char *option, const char *path, FILE **ret, struct err_ctx *ec)
{
    *ret = fopen(path, "re");
    if (*ret != NULL) return SYNC_OK;
    return err_set(ec, SYNC_ECONFIG, "%s: %s: %s", option, path, strerror(errno));
}

static enum sync_err read_cert(struct tls_identity *t, const char *path, struct err_ctx *ec)
{
    FILE *file;
    enum sync_err rc = open_file("tls.cert", path, &file, ec);
    if (rc != SYNC_OK) return rc;
    ERR_clear_error();
    t->cert = PEM_read_X509_AUX(file, NULL, no_password, NULL);
    if (t->cert == NULL)
        rc = err_set(ec, SYNC_ECONFIG, "tls.cert: %s holds no certificate in PEM form (%s)", path, reason());
    while (rc == SYNC_OK) {
        X509 *above = PEM_read_X509(file, NULL, no_password, NULL);
        if (above == NULL && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
            break; /* the end */
        if (above == NULL) {
            rc = err_set(ec, SYNC_ECONFIG, "tls.cert: a further certificate in %s is broken (%s)", path,
                         reason());
        } else if (sk_X509_push(t->chain, above) == 0) {
            X509_free(above);
            rc = err_set(ec, SYNC_ENOMEM, "no memory for the certificates");
        }
    }
    ERR_clear_error();
    (void)fclose(file);
    return rc;
}

static enum sync_err read_key(struct tls_identity *t, const char *path, struct err_ctx *ec)
{
    FILE *file;
    enum sync_err rc = open_file("tls.key", path, &file, ec);
    if (rc != SYNC_OK) return rc;
    ERR_clear_error();
    t->key = PEM_read_PrivateKey(file, NULL, no_password, NULL);
    if (t->key == NULL)
        rc = err_set(ec, SYNC_ECONFIG, "tls.key: %s holds no private key in PEM form without a password (%s)",
                     path, reason());
    ERR_clear_error();
    (void)fclose(file);
    return rc;
}

enum sync_err tls_identity_load(const struct config_tls *config, struct tls_identity **ret,
                                struct err_ctx *ec)
{
    *ret = NULL;
    if (config->cert[0] == '\0') return SYNC_OK;
    struct tls_identity *t = calloc(1, sizeof *t);
    if (t == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for the certificates");
    t->chain = sk_X509_new_null();
    enum sync_err rc =
        t->chain == NULL ? err_set(ec, SYNC_ENOMEM, "no memory for the certificates") : SYNC_OK;
    if (rc == SYNC_OK) rc = read_cert(t, config->cert, ec);
    if (rc == SYNC_OK) rc = read_key(t, config->key, ec);
    if (rc == SYNC_OK && X509_check_private_key(t->cert, t->key) != 1) {
        rc = err_set(ec, SYNC_ECONFIG, "tls.key: the key in %s does not belong to the certificate in %s (%s)",
                     config->key, config->cert, reason());
        ERR_clear_error();
    }
    if (rc == SYNC_OK)
        *ret = t;
    else
        tls_identity_free(t);
    return rc;
}

void tls_identity_free(struct tls_identity *t)
{
    if (t == NULL) return;
    X509_free(t->cert);
    sk_X509_pop_free(t->chain, X509_free);
    EVP_PKEY_free(t->key);
    free(t);
}

/* OpenSSL asks at each handshake; 1: go on. */
static int choose_identity(SSL *ssl, void *arg)
{
    const struct loop *l = arg;
    const struct tls_identity *t = l->settings->tls;
    return SSL_use_cert_and_key(ssl, t->cert, t->key, t->chain, 1);
}

bool tls_set_up_context(void *ssl_ctx, struct loop *l)
{
    SSL_CTX *ctx = ssl_ctx;
    SSL_CTX_set_cert_cb(ctx, choose_identity, l);
    /* Clients resume by tickets, which cost the server nothing; a cache of sessions would. A client may not
     * have everything reckoned anew on one connection either. */
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
    return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1;
}

void *tls_idle_context_new(void)
{
    return SSL_CTX_new(TLS_client_method());
}

void tls_idle_context_free(void *ssl_ctx)
{
    SSL_CTX_free(ssl_ctx);
}
