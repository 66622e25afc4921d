/* dir_list.h -- one page of an object directory's keys, in key order.
 *
 * Reads the directories that can hold wanted keys, each as often as the page fills up, and keeps no more
 * names at a time than the page has room for; nothing is remembered between pages. So a page costs one look
 * at every name of a directory, and a page's memory. */
#ifndef STORAGE_OBJECTS_DIR_LIST_H
#define STORAGE_OBJECTS_DIR_LIST_H

#include "storage/objects/object_impl.h"

/* `top` is the directory, relative to root_fd, that the keys' paths begin in. */
enum sync_err dir_list_page(int root_fd, const char *top, const struct object_ctx *ctx,
                            const struct object_query *query, struct object_page *ret, struct err_ctx *ec);

#endif
