#include "disturbed.h"

#include "game.h"

enum { COMMITS_IN_1000 = 50, CRASHES_IN_1000 = 15, RESETS_IN_1000 = 100, MAX_RECORDS_BACK = 200 };

struct committed {
    size_t n_rows;
    struct place needs;
};

static bool happens(uint64_t *seed, uint64_t in_1000)
{
    return game_draw(seed) % 1000 < in_1000;
}

/* Of what has left since the last commit, a transaction may hold only the first rows. */
static void commit(const struct rerun *r, int64_t position, uint64_t *seed, struct committed *c)
{
    size_t n = r->n_out;
    if (happens(seed, 500)) {
        n = c->n_rows + game_draw(seed) % (n - c->n_rows + 1);
    }
    c->n_rows = rerun_whole(r, n);
    c->needs = rerun_needs(r, position, c->n_rows);
}

/* The place that a reset of the group to an earlier record finds by scanning. */
static struct place place_of(const struct rerun *r, size_t index)
{
    struct place p = {r->in[index].offset, NEVER};
    for (size_t i = 0; i < index; i++) {
        p.log_before_ms = r->in[i].log_ms > p.log_before_ms ? r->in[i].log_ms : p.log_before_ms;
    }
    return p;
}

/* Returns where to read on. */
static size_t crash(struct rerun *r, uint64_t *seed, struct committed *c)
{
    rerun_end(r);
    rerun_cut(r, c->n_rows);
    size_t at = rerun_index(r, c->needs.offset);
    if (at > 0 && happens(seed, RESETS_IN_1000)) {
        size_t back = 1 + game_draw(seed) % MAX_RECORDS_BACK;
        at = at > back ? at - back : 0;
        c->needs = place_of(r, at);
    }
    rerun_recover(r, c->needs.log_before_ms);
    return at;
}

int rerun_disturbed(struct rerun *r, uint64_t seed)
{
    struct committed c = {0, {0, NEVER}};
    int n_crashes = 0;
    rerun_begin(r);
    for (size_t i = 0; i < r->n_in;) {
        rerun_take(r, i);
        int64_t position = r->in[i].offset + 1;
        i++;
        if (seed != 0 && happens(&seed, COMMITS_IN_1000)) {
            commit(r, position, &seed, &c);
        }
        if (seed != 0 && happens(&seed, CRASHES_IN_1000)) {
            i = crash(r, &seed, &c);
            n_crashes++;
        }
    }
    return n_crashes;
}
