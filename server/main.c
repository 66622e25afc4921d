/* main.c -- the program: configuration in, server up, signals, server down. */
#include "core/config/config.h"
#include "server/base/system.h"
#include "server/base/version.h"
#include "server/commands/command.h"
#include "server/config_source.h"
#include "server/net/tls.h"
#include "server/reload.h"
#include "server/server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* One write() a line, so that lines of several threads do not mix. */
static void write_line(void *arg, const char *line, size_t len)
{
    (void)arg;
    while (len > 0) {
        ssize_t n = write(STDERR_FILENO, line, len);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return; /* nobody reads the log: the server goes on without */
        line += n;
        len -= (size_t)n;
    }
}

static uint64_t wall_ms(void *arg)
{
    (void)arg;
    return system_wall_ms();
}

static int print(void (*put)(const struct loaded_config *c, struct buf *ret), const struct loaded_config *c)
{
    struct buf text = buf_make(CONFIG_TEXT_BYTES_MAX);
    struct err_ctx ec;
    put(c, &text);
    enum sync_err rc = buf_check(&text, &ec);
    if (rc == SYNC_OK) (void)fwrite(text.bytes, 1, text.len, stdout);
    buf_deinit(&text);
    return rc == SYNC_OK && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void put_help(const struct loaded_config *c, struct buf *ret)
{
    (void)c;
    config_write_help(ret);
    BUF_PUT_LIT(ret, "\nCommands:\n");
    for (const struct command *k = commands; k->name != NULL; k++)
        buf_printf(ret, "  %-12s %s\n", k->name, k->help);
}

/* Until SIGTERM or SIGINT; SIGHUP reloads. They are blocked in every thread from before the first one
 * starts. */
static void serve(struct server *s, const struct config_input *in, const sigset_t *signals)
{
    int signal;
    for (;;) {
        if (sigwait(signals, &signal) != 0) continue;
        if (signal != SIGHUP) return;
        server_reload(s, in);
    }
}

static int run(const struct loaded_config *loaded, const struct config_input *in)
{
    struct log_output output;
    struct server server;
    struct err_ctx ec;
    sigset_t signals;
    log_output_init(&output, (struct log_sink){.write = write_line, .now_ms = wall_ms});
    log_configure(&output, loaded->config.logging.level, loaded->config.logging.format,
                  slice_str(loaded->config.logging.namespaces));
    struct logger logger = logger_of(&output);
    for (size_t i = 0; i < loaded->warnings.count; i++)
        log_warn(&logger, LOG_CONFIG, "config.warning", LOG_SLICE("text", loaded->warnings.items[i]));

    (void)signal(SIGPIPE, SIG_IGN); /* a peer that is gone shows as an error of the write */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (server_start(&server, &loaded->config, logger, &ec) != SYNC_OK) {
        log_error(&logger, LOG_SERVER, "server.start_failed", LOG_FAILURE(&ec));
        return EXIT_FAILURE;
    }
    serve(&server, in, &signals);
    log_info(&logger, LOG_SERVER, "server.stopping");
    if (!server_stop(&server)) _exit(EXIT_SUCCESS); /* all is on disk, but a hook still uses what is ours */
    return EXIT_SUCCESS;
}

/* What a start would read besides the configuration. */
static int check_files(const struct loaded_config *loaded)
{
    struct tls_identity *tls = NULL;
    struct err_ctx ec;
    enum sync_err rc = tls_identity_load(&loaded->config.tls, &tls, &ec);
    if (rc == SYNC_OK) {
        tls_identity_free(tls);
        rc = hook_gate_check(&loaded->config, &ec);
    }
    if (rc == SYNC_OK) return EXIT_SUCCESS;
    (void)fprintf(stderr, "sync-coordinator: %s\n", ec.text);
    return EXIT_FAILURE;
}

static int carry_out(const struct loaded_config *loaded, const struct config_input *in)
{
    switch (loaded->command) {
    case CONFIG_RUN: return run(loaded, in);
    case CONFIG_CHECK: return check_files(loaded);
    case CONFIG_PRINT: return print(config_write, loaded);
    case CONFIG_HELP: return print(put_help, loaded);
    case CONFIG_VERSION: return puts(SYNC_VERSION) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
    }
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct loaded_config loaded;
    struct err_ctx ec;
    int code;
    if (command_run(argc, argv, &code)) return code;
    const struct config_input in = config_source(argc, argv);
    if (config_load(&in, &loaded, &ec) != SYNC_OK) {
        (void)fprintf(stderr, "sync-coordinator: %s\n", ec.text);
        return EXIT_FAILURE;
    }
    code = carry_out(&loaded, &in);
    config_unload(&loaded);
    return code;
}
