/* The last point of long windows, sent again every five minutes until the next row could be due:
 * an instant query looks back no further than that. Each repeat is a sample of its own time.
 *
 *   T the row's end:  T, T + 5 min, T + 10 min … T + window - 5 min
 *
 * So a log that is behind by a window repeats nothing. Repeats owe nothing to Kafka: what of them
 * is not taken is counted, and never dead-lettered or told as a gap. */
#pragma once

#include "sender.h"

struct repeats {
    struct table streams; /* struct repeat, owned */
    int64_t due_ms;       /* nothing before */
};

/* At max_bytes those that were not used longest are not repeated any more. */
void repeats_init(struct repeats *r, size_t max_bytes);
void repeats_fini(struct repeats *r);
/* Takes over the points of a stream's newest row (those before are replaced); scrape NULL: there is
 * nothing to repeat. of: what tells streams of a partition apart. */
void repeats_put(struct repeats *r, struct hash128 of, struct partition *p, struct scrape *scrape,
                 int64_t window_ms);
/* The partition is another's. */
void repeats_drop(struct repeats *r, const struct partition *p);
/* Hands what is due to the sender, as far as that has room. */
void repeats_turn(struct repeats *r, struct sender *s, struct moment now);
