/* A scrape as OTLP protobuf (MetricsData, opentelemetry-proto v1). Counters differ from scrape to
 * scrape in fields of fixed width alone: they are encoded once, for all servers, and their holes
 * patched in place; histograms are written anew behind them, the head before them:
 *
 *   | room, head | sums: one Metric after the other ... | exponential histograms ... |
 *   a sum's point: 11 start[8] 19 time[8] (31 as_int | 21 as_double)[8] 3a server's labels,
 *                  3a dimension (3a player_id) */
#pragma once

#include "base/buf.h"
#include "model.h"

struct message_template;

struct message {
    const struct model *model;               /* borrowed */
    struct message_template *templates[2];   /* without and with forbidden labels */
    struct buf scratch;                      /* one metric's points */
    struct buf head;
};

bool message_init(struct message *w, const struct model *m, struct err *e) MUST_CHECK;
void message_fini(struct message *w);

/* The scrape's bytes, valid until the next call; ptr NULL when memory ran out. */
struct slice message_encode(struct message *w, uint32_t server, int64_t step);
