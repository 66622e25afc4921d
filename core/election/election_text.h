/* election_text.h -- an election's events as log lines and topics that operators of the predecessor know.
 *
 * Pure. */
#ifndef CORE_ELECTION_ELECTION_TEXT_H
#define CORE_ELECTION_ELECTION_TEXT_H

#include "core/base/buf.h"
#include "core/election/election.h"

/* Appends "[coordinator:MODE] [NAMESPACE] TEXT", without a line feed: one line of the log. */
void election_event_line(struct buf *out, const char *mode, const char *namespace_name,
                         const struct election_event *ev);

/* Is the line for coordinator.diagnostics only? Those that come with every heartbeat. */
bool election_event_is_diagnostic(enum election_event_kind k);

/* What hooks know the event by ("leader:changed"). */
const char *election_event_topic(const struct election_event *ev);

#endif
