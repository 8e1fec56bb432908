/* The step of amp: a record of a series topic or of rollups in, scrapes for the sender out.
 * Heartbeats are done at once; what can't be read goes to the DLQ by reference; delta-temporality
 * series are counted and left to the other sinks (of rollups their totals go).
 *
 *   record ──► batch ────────────────┬──► shape's wire form (cached) ──► scrape ──► sender
 *   record ──► row ──► batch (rows.h)┘ */
#pragma once

#include "repeats.h"
#include "rows.h"
#include "sender.h"

/* Whose samples go to this destination; the others' records are passed over. */
struct amp_route {
    const char *const *only; /* these tenants; n_only 0 = all */
    size_t n_only;
    const char *const *others; /* but for these */
    size_t n_others;
};

bool amp_route_has(const struct amp_route *r, struct slice tenant);

struct amp_options {
    struct sender_options sender;
    const char *tenant_label; /* "" = none; lives as long as amp */
    size_t max_shapes_bytes;
    int64_t metadata_interval_ms; /* 0 = none is sent */
    size_t max_metadata_bytes;
    struct amp_route route; /* lives as long as amp */
    const char *metric; /* a glob: of series of other names nothing is sent; "" = all; lives as long */
    bool templates;         /* compressed once (template.h) */
    struct rows_options rows;
    const char *repeat_topic; /* its rows are sent again (repeats.h); "" = none; lives as long */
    size_t max_repeats_bytes;
};

struct amp;

/* What amp does to a record that it can't read. */
typedef bool (*amp_reject_fn)(void *ctx, const struct record *r, const char *text, struct err *e);

bool amp_new(const struct amp_options *o, const struct sender_hooks *hooks, amp_reject_fn reject,
             struct metrics *m, struct amp **out, struct err *e) MUST_CHECK;
void amp_free(struct amp *a);
struct sender *amp_sender(struct amp *a);
/* redelivered: it may have been sent before this assignment. */
bool amp_take(struct amp *a, const struct record *r, bool redelivered, struct moment now,
              struct err *e) MUST_CHECK;
/* What would be sent of a record, without sending it: in order of time, NULL where there is nothing; the
 * caller's (scrape_free), with partition and offset. ERR_BAD_INPUT: it can't be read. */
bool amp_look(struct amp *a, const struct record *r, struct scrape **first, struct scrape **behind,
              struct err *e) MUST_CHECK;
/* A record that was delivered before the assignment, for what is still to be repeated of it. */
bool amp_restore(struct amp *a, const struct record *r, struct partition *p,
                 struct err *e) MUST_CHECK;
/* The partition goes. */
void amp_drop(struct amp *a, const struct partition *p);
/* What time has made due: before sender_turn. */
void amp_turn(struct amp *a, struct moment now);
