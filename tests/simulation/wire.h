/* wire.h -- the client's side of the protocol's texts: what a simulated client writes and reads.
 *
 * Messages are the real JSON, made and read by the codec that the server uses. */
#ifndef TESTS_SIMULATION_WIRE_H
#define TESTS_SIMULATION_WIRE_H

#include "core/base/buf.h"
#include "core/json/json.h"
#include "model.h"

enum { WIRE_FACTS_MAX = 1024, WIRE_ID_MAX = 64 };

enum wire_type {
    WIRE_OTHER,
    WIRE_HANDSHAKE_ACK,
    WIRE_CHANGES,
    WIRE_PUSH_CHANGES,
    WIRE_APPLY_RESULT,
    WIRE_SNAPSHOT_CHUNK,
    WIRE_SNAPSHOT_COMPLETE,
    WIRE_ERROR,
};

enum wire_chunk { CHUNK_OTHER, CHUNK_HEADER, CHUNK_CELLS, CHUNK_TABLE_END, CHUNK_TOMBSTONES, CHUNK_FOOTER };

struct wire_message {
    enum wire_type type;
    uint64_t request_id; /* of an apply_result; 0: none */
    size_t set_count;    /* of changes */
    struct hlc highest;  /* of their sets: what the client takes as its watermark */
    enum wire_chunk chunk;
    struct hlc hlc; /* of a header */
    char id[WIRE_ID_MAX], table[WIRE_ID_MAX];
    size_t fact_count;
    struct sim_fact facts[WIRE_FACTS_MAX];
};

/* The type alone, from the text's first member. */
enum wire_type wire_type_of(struct slice text);

/* Ends the program for what a stock client would not understand: the server wrote it. */
void wire_read(struct json_reader *r, struct slice text, struct wire_message *ret);

/* Appends ChangeSets, one per transaction; facts in HLC order. */
void wire_put_sets(struct buf *out, const struct sim_fact *facts, size_t count);

#endif
