#include "repeats.h"

#include <stdlib.h>

enum { STEP_MS = 300000 };

struct repeat {
    struct partition *partition;
    struct scrape *scrape; /* owned, as it was at the window's end; NULL: nothing more to come */
    int64_t next_ms;
    int64_t until_ms; /* when the next row could be due */
};

static void repeat_free(void *value)
{
    struct repeat *x = value;
    scrape_free(x->scrape);
    free(x);
}

void repeats_init(struct repeats *r, size_t max_bytes)
{
    *r = (struct repeats){.due_ms = INT64_MAX};
    table_init(&r->streams, max_bytes, repeat_free);
}

void repeats_fini(struct repeats *r)
{
    table_fini(&r->streams);
}

static struct hash128 key_of(struct hash128 of, const struct partition *p)
{
    return (struct hash128){of.lo, of.hi ^ (uint64_t)(uintptr_t)p};
}

void repeats_put(struct repeats *r, struct hash128 of, struct partition *p, struct scrape *scrape,
                 int64_t window_ms)
{
    struct hash128 key = key_of(of, p);
    if (scrape == NULL) {
        (void)table_remove(&r->streams, key);
        return;
    }
    struct repeat *x = malloc(sizeof *x);
    if (x == NULL || !table_put(&r->streams, key, x, sizeof *x + scrape->n_bytes)) {
        free(x); /* then this one is not repeated */
        scrape_free(scrape);
        return;
    }
    *x = (struct repeat){.partition = p,
                         .scrape = scrape,
                         .next_ms = scrape->base_ms + STEP_MS,
                         .until_ms = scrape->base_ms + window_ms};
    r->due_ms = x->next_ms < r->due_ms ? x->next_ms : r->due_ms;
}

void repeats_drop(struct repeats *r, const struct partition *p)
{
    size_t at = 0;
    struct repeat *x;
    while ((x = table_next(&r->streams, &at)) != NULL) {
        if (x->partition == p) {
            scrape_free(x->scrape);
            x->scrape = NULL;
        }
    }
}

/* All that is due of one; false: the sender has no room for the next. */
static bool repeat_send(struct repeat *x, struct sender *s, struct moment now)
{
    while (x->next_ms < x->until_ms && x->next_ms <= now.wall_ms && now.wall_ms < x->until_ms) {
        struct scrape *again = sender_has_room(s) ? scrape_again(x->scrape, x->next_ms) : NULL;
        if (again == NULL) {
            return false;
        }
        again->partition = x->partition;
        again->offset = NO_OFFSET;
        again->redelivered = true; /* by whoever had the partition before, perhaps */
        again->received_ms = now.wall_ms;
        sender_take(s, again, now);
        x->next_ms += STEP_MS;
    }
    if (x->next_ms >= x->until_ms || now.wall_ms >= x->until_ms) {
        scrape_free(x->scrape);
        x->scrape = NULL;
    }
    return true;
}

void repeats_turn(struct repeats *r, struct sender *s, struct moment now)
{
    size_t at = 0;
    struct repeat *x;
    if (now.wall_ms < r->due_ms) {
        return;
    }
    r->due_ms = INT64_MAX;
    while ((x = table_next(&r->streams, &at)) != NULL) {
        if (x->scrape != NULL && !repeat_send(x, s, now)) {
            r->due_ms = now.wall_ms; /* goes on when there is room */
            return;
        }
        if (x->scrape != NULL && x->next_ms < r->due_ms) {
            r->due_ms = x->next_ms;
        }
    }
}
