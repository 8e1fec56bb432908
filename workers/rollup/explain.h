/* sluice-rollup --explain TOPIC/PARTITION/OFFSET: how a row came about. The input that it was made
 * of is read again and goes through the very code of the worker, which tells what became of each
 * sample; the row that comes out must be the very bytes.
 *
 *   the row ──► the source's rows before it ──► state ─┐
 *           ──► a place in the input before it ────────┴──► replay ──► story ──► text or JSON */
#pragma once

#include "rollup.h"

struct explain_source {
    const char *name; /* the configuration's program, for messages */
    const struct config *config;
    /* The worker's options for rows of an hour, or of less. */
    struct rollup_options (*options)(const struct config *config, bool is_hourly);
};

/* Takes --explain, --json and --metric out of the arguments; false: nothing is to be explained. */
struct explain_request {
    const char *row;    /* TOPIC/PARTITION/OFFSET */
    const char *metric; /* a pattern; NULL = all */
    bool as_json;
};
bool explain_is_asked(int *argc, char **argv, struct explain_request *out);

/* Prints; returns the exit code: 0, 1 (it can't be told, or comes out otherwise), 2 usage. */
int explain_main(const struct explain_source *s, const struct explain_request *r);
