/* Any bytes as the configuration file, and as the file of tokens that it may name: a refusal says why, and
 * what is accepted prints within its bound and differs in nothing from itself. */
#include "core/config/config.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum sync_err read_file(void *arg, const char *path, struct buf *ret, struct err_ctx *ec)
{
    (void)path;
    buf_put_slice(ret, *(const struct slice *)arg);
    return buf_check(ret, ec);
}

static enum sync_err load(struct slice *text, struct loaded_config *ret, struct err_ctx *ec)
{
    static const char *const argv[] = {"sync-coordinator", "--config", "c.json"}, *const environment[] = {
                                                                                      NULL};
    const struct config_input in = {
        .argc = 3, .argv = argv, .environment = environment, .read_file = read_file, .read_arg = text};
    return config_load(&in, ret, ec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data, size);
    struct loaded_config a, b;
    struct err_ctx ec = {""};
    if (load(&text, &a, &ec) != SYNC_OK) {
        assert(ec.text[0] != '\0');
        return 0;
    }
    struct buf out = buf_make(CONFIG_TEXT_BYTES_MAX);
    config_write(&a, &out);
    assert(buf_check(&out, &ec) == SYNC_OK);
    if (load(&text, &b, &ec) != SYNC_OK) abort();
    buf_clear(&out);
    config_reloaded(&a.config, &b.config, &out);
    assert(buf_check(&out, &ec) == SYNC_OK && out.len == 0);
    buf_deinit(&out);
    config_unload(&a);
    config_unload(&b);
    return 0;
}
