/* config_file.h -- the texts of the two files: the configuration in JSON, and the tokens, one a line.
 * Pure. */
#ifndef CORE_CONFIG_CONFIG_FILE_H
#define CORE_CONFIG_CONFIG_FILE_H

#include "core/config/config.h"

/* Applies a configuration file's text to c->config and marks in `given` (by the order of the table) what it
 * holds. Needs room for JSON_PADDING bytes in `text`, which keeps its content.
 * Errors: SYNC_ECONFIG, with path, line, key and value in the text; SYNC_ENOMEM. */
enum sync_err config_file_apply(struct loaded_config *c, const char *path, struct buf *text,
                                bool given[CONFIG_OPTIONS_MAX], struct err_ctx *ec);

/* A JSON string's text with its escapes resolved, also zero terminated, in the arena. bytes is NULL when
 * memory is short. */
struct slice config_text_resolve(struct arena *a, struct slice inside);

/* Appends the tokens of a token file to c->config.auth.tokens. Errors: SYNC_ENOMEM. */
enum sync_err config_tokens_append(struct loaded_config *c, struct slice text, struct err_ctx *ec);

#endif
