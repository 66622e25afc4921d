/* fault_proxy.h -- a proxy between an S3 client and its server that does to requests what networks and
 * services do.
 *
 * Rules say what happens to which requests; the first that matches and is not used up applies, and a request
 * without a rule passes. A rule is one line:
 *
 *   METHOD TEXT ACTION [times=N] [after=N]
 *
 * METHOD is "*" or as in the request; TEXT is "*" or a part of the request line's address. It applies to N
 * requests (default: all), after having let pass as many as `after` says (default: 0). Actions:
 *
 *   answer STATUS [CODE] [retry-after=S] [content-range=A-B/N]
 *                        is answered here, with an error document for a body if CODE is given
 *   delay MS             waits, then passes
 *   hold                 waits until it is released, then passes, whether the client is still there or not
 *   hold-answer          passes; the answer waits until it is released
 *   drop                 is read and then its connection closed: it never reaches the server
 *   cut-request BYTES    the head and so many bytes of the body pass, then both connections are closed
 *   cut-answer BYTES     passes; of the answer come the head and so many bytes of the body
 *   stall-answer BYTES   the same, but the connection stays open and silent until it is released
 *   lose-answer          passes and is carried out; no answer comes, the connection is closed
 *   stale                gets the answer that the same request got last time (the last few are kept)
 *
 * A thread of its own for each connection; all functions may be called from any thread. */
#ifndef TESTS_OBJECTS_FAULT_PROXY_H
#define TESTS_OBJECTS_FAULT_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FAULT_RULES_MAX = 1024, FAULT_HEAD_MAX = 32 * 1024 };

struct fault_proxy;

/* Listens on 127.0.0.1:listen_port (0: any free one) for 127.0.0.1:upstream_port. NULL when it cannot. */
struct fault_proxy *fault_proxy_start(uint16_t listen_port, uint16_t upstream_port);
void fault_proxy_stop(struct fault_proxy *p); /* closes every connection, frees */
uint16_t fault_proxy_port(const struct fault_proxy *p);

/* The rule's number, or -1 when the line is no rule or there are too many. */
int fault_proxy_rule(struct fault_proxy *p, const char *line);
void fault_proxy_clear(struct fault_proxy *p); /* no rule applies any more; what is held stays held */

/* Lets go of everything that is held now. */
void fault_proxy_release(struct fault_proxy *p);

/* Waits until the rule has applied to so many requests, or the server has answered so many of them. False
 * when that has not come about after wait_ms. */
bool fault_proxy_wait_hits(struct fault_proxy *p, int rule, uint32_t hits, uint32_t wait_ms);
bool fault_proxy_wait_answered(struct fault_proxy *p, int rule, uint32_t answered, uint32_t wait_ms);
uint32_t fault_proxy_hits(struct fault_proxy *p, int rule);

/* How many requests came, and connections. */
uint32_t fault_proxy_requests(struct fault_proxy *p);
uint32_t fault_proxy_connections(struct fault_proxy *p);
uint32_t fault_proxy_connections_at_once(struct fault_proxy *p); /* the most so far */

/* The head of the last request, zero terminated, cut to size. */
void fault_proxy_last_head(struct fault_proxy *p, char *ret, size_t size);

#endif
