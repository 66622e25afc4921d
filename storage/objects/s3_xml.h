/* s3_xml.h -- fields out of S3's XML answers, read with expat.
 *
 * The reader calls back at the end of every element, innermost first, with the path from the root
 * ("ListBucketResult/Contents/Key") and, of elements without elements inside, the text. A document type
 * definition, and with it every entity of one's own, is refused; depth and text lengths have ceilings. */
#ifndef STORAGE_OBJECTS_S3_XML_H
#define STORAGE_OBJECTS_S3_XML_H

#include "core/base/err.h"
#include "core/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum { S3_XML_DEPTH_MAX = 8, S3_XML_PATH_MAX = 256, S3_XML_TEXT_MAX = 8192 };

/* Anything but SYNC_OK ends the reading, which returns it. */
struct s3_xml_fields {
    enum sync_err (*end)(void *arg, const char *path, struct slice text, struct err_ctx *ec);
    void *arg;
};

/* Errors: SYNC_EIO for what is not well-formed or passes a ceiling, SYNC_ENOMEM, and what `end` returns. */
enum sync_err s3_xml_read(struct slice document, const struct s3_xml_fields *fields, struct err_ctx *ec);

/* The number in text; false unless it is nothing but digits and fits. */
bool s3_xml_u64(struct slice text, uint64_t *ret);

/* Milliseconds since 1970 of "2009-10-12T17:50:30.000Z"; 0 when it is not that. */
uint64_t s3_xml_time_ms(struct slice text);

#endif
