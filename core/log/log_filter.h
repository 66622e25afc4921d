/* log_filter.h -- which namespaces a text like "sync-coordinator:*,-sync-coordinator:ws" chooses.
 *
 * The rules are those of the `debug` package, which users of DEBUG= know: patterns stand between commas or
 * blanks, `*` stands for any characters (none included), a leading `-` excludes, and an exclusion wins over
 * every inclusion, wherever it stands. Case matters. Pure. */
#ifndef CORE_LOG_LOG_FILTER_H
#define CORE_LOG_LOG_FILTER_H

#include "core/base/slice.h"

bool log_filter_match(struct slice patterns, struct slice name);

#endif
