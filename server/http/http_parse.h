/* http_parse.h -- what the texts of a request's head mean: its path, where its body ends, what it holds, what
 * the query asks for.
 *
 * Texts end with a zero byte and are of any content and length. Pure: nothing of libwebsockets, which only
 * cuts the head into these texts. */
#ifndef SERVER_HTTP_HTTP_PARSE_H
#define SERVER_HTTP_HTTP_PARSE_H

#include "server/http/http_request.h"

/* Sets the endpoint and the database, of a request whose method is set already. */
void http_parse_path(const char *base_path, struct slice path, struct http_request *r);

/* Sets is_http_1_0, keep_alive. */
void http_parse_connection(const char *version, const char *connection, struct http_request *r);

/* Sets what says where the body ends, of a request whose is_http_1_0 is set; NULL: there is no such
 * header. */
void http_parse_framing(const char *length, const char *coding, struct http_request *r);

/* Sets is_json, encoding; NULL likewise. */
void http_parse_body_type(const char *type, const char *encoding, struct http_request *r);

/* Takes "Bearer " away, where it is there. Returns the length of what is left; no zero byte follows it. */
size_t http_parse_token(char *text, size_t len);

/* The value in a query's "name=value"; NULL: it is of another name. */
const char *http_parse_parameter(const char *part, const char *name);

/* Both alphabets of base64. Changes the text. Errors: SYNC_EBADMSG. */
enum sync_err http_parse_since(char *text, struct hlc *ret, struct err_ctx *ec);

/* Seconds, fractions too. Errors: SYNC_EBADMSG. */
enum sync_err http_parse_wait(const char *text, uint64_t *ret_ms, struct err_ctx *ec);

#endif
