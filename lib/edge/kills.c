#include "edge/kills.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MASKED_RULES = 64, FIRST_MARKS = 1024, TEXT_BYTES = 240 };

/* Bit i: the tenant's i-th rule matches the series. */
struct kill_mark {
    uint64_t mask;
    bool is_known;
};

void kills_init(struct kills *k)
{
    *k = (struct kills){.controls = NULL};
}

void kills_fini(struct kills *k)
{
    free(k->marks);
    k->marks = NULL;
}

void kills_forget(struct kills *k)
{
    if (k->n_marks > 0) {
        memset(k->marks, 0, k->n_marks * sizeof *k->marks);
    }
}

/* One message's work. */
struct killing {
    struct kills *kills;
    struct pass *pass;
    struct plan_cache *plans;
    const struct control_rule *first; /* the tenant's rules */
    int64_t now_ms;
};

/* NULL = no memory. */
static struct kill_mark *mark_of(struct kills *k, const struct entry *entry)
{
    if (entry->index >= k->n_marks) {
        uint32_t n = k->n_marks == 0 ? FIRST_MARKS : k->n_marks;
        while (n <= entry->index) {
            n *= 2;
        }
        struct kill_mark *marks = reallocarray(k->marks, n, sizeof *marks);
        if (marks == NULL) {
            return NULL;
        }
        memset(marks + k->n_marks, 0, (n - k->n_marks) * sizeof *marks);
        k->marks = marks;
        k->n_marks = n;
    }
    return &k->marks[entry->index];
}

static bool entry_unfold(const struct killing *w, const struct entry *entry, struct series *out,
                         struct err *e)
{
    struct arena *a = w->pass->judge_arena;
    arena_reset(a);
    struct label *labels = ARENA_ARRAY(a, struct label, entry->known->n_labels);
    if (labels == NULL) {
        return pass_no_room(e);
    }
    series_cache_unfold(w->pass->series, entry->known, labels, out);
    return true;
}

static bool mark_make(const struct killing *w, const struct entry *entry, struct kill_mark *mark,
                      struct err *e)
{
    struct series s;
    if (!entry_unfold(w, entry, &s, e)) {
        return false;
    }
    *mark = (struct kill_mark){.is_known = true};
    unsigned i = 0;
    for (const struct control_rule *r = w->first; r != NULL && i < MASKED_RULES; r = r->next) {
        mark->mask |= (uint64_t)control_kill_matches(r, w->pass->tenant->name, &s) << i++;
    }
    return true;
}

/* The rules beyond those that a mark has a bit for are asked each time. */
static bool matches_unmarked(const struct killing *w, const struct control_rule *r,
                             const struct entry *entry, bool *matches, struct err *e)
{
    struct series s;
    if (!entry_unfold(w, entry, &s, e)) {
        return false;
    }
    *matches = control_kill_matches(r, w->pass->tenant->name, &s);
    return true;
}

/* *out: the rule that drops the series in a batch of this source and time, or NULL. */
static bool killer_of(const struct killing *w, const struct entry *entry, int64_t base_ms,
                      const struct control_rule **out, uint32_t *index, struct err *e)
{
    struct kill_mark *mark = mark_of(w->kills, entry);
    if (mark == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    if (!mark->is_known && !mark_make(w, entry, mark, e)) {
        return false;
    }
    *out = NULL;
    uint32_t i = 0;
    for (const struct control_rule *r = w->first; r != NULL; r = r->next, i++) {
        bool matches = i < MASKED_RULES && (mark->mask >> i & 1) != 0;
        if (i >= MASKED_RULES && !matches_unmarked(w, r, entry, &matches, e)) {
            return false;
        }
        if (matches && r->expires_ms > w->now_ms &&
            !control_sample_passes(r, entry->stream->source, base_ms)) {
            *out = r;
            *index = i;
            return true;
        }
    }
    return true;
}

static bool reject(const struct killing *w, const struct entry *entry, int64_t time_ms,
                   const struct control_rule *r, struct err *e)
{
    struct tm end;
    time_t seconds = (time_t)(r->expires_ms / 1000);
    char until[32] = "";
    char text[TEXT_BYTES];
    if (gmtime_r(&seconds, &end) != NULL) {
        (void)strftime(until, sizeof until, " until %Y-%m-%dT%H:%M:%SZ", &end);
    }
    (void)snprintf(text, sizeof text, "the operators' kill switch %.*s is in force%s", SLICE_ARG(r->id),
                   until);
    const struct rejected_point p = {.reason = REASON_KILLED,
                                     .metric = entry->known->metric,
                                     .id = &entry->known->id,
                                     .time_ms = time_ms,
                                     .detail = text};
    return reject_add(w->pass->rejects, &p, e);
}

/* Of a batch with several times limit takes that of its first series. */
static bool base_of(const struct killing *w, const struct group *g, int64_t *base_ms,
                    bool *is_one_batch, struct err *e)
{
    const struct plan *plan;
    *base_ms = g->times_ms[0];
    *is_one_batch = true;
    if (g->time_diff == 0) {
        return true;
    }
    if (!plan_for(w->plans, w->pass->series, g->entries, g->n, &plan, e)) {
        return false;
    }
    *is_one_batch = plan->is_clean;
    if (plan->is_clean) {
        *base_ms = g->times_ms[plan->order[0]];
    }
    return true;
}

static bool group_apply(const struct killing *w, struct group *g, struct err *e)
{
    int64_t base_ms;
    bool is_one_batch;
    uint32_t n = g->n;
    if (!base_of(w, g, &base_ms, &is_one_batch, e)) {
        return false;
    }
    g->n = 0;
    g->time_diff = 0;
    g->start_diff = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct entry *entry = g->entries[i];
        const struct control_rule *r = NULL;
        uint32_t index = 0;
        int64_t time_ms = g->times_ms[i];
        if (!killer_of(w, entry, is_one_batch ? base_ms : time_ms, &r, &index, e)) {
            return false;
        }
        if (r == NULL) {
            group_add(g, entry, time_ms, g->starts_ms[i], g->values[i]);
            continue;
        }
        w->kills->counts[index] = (struct kill_count){r, w->kills->counts[index].n_samples + 1};
        if (!reject(w, entry, time_ms, r, e)) {
            return false;
        }
    }
    return true;
}

static bool groups_apply(const struct killing *w, struct err *e)
{
    struct groups *groups = w->pass->groups;
    struct group **at = &groups->first;
    while (*at != NULL) {
        if (!group_apply(w, *at, e)) {
            return false;
        }
        if ((*at)->n == 0) {
            *at = (*at)->next;
        } else {
            at = &(*at)->next;
        }
    }
    groups->last = at;
    return true;
}

bool kills_apply(struct kills *k, struct pass *p, struct plan_cache *plans, int64_t now_ms,
                 struct err *e)
{
    struct killing w = {.kills = k, .pass = p, .plans = plans, .now_ms = now_ms};
    uint32_t n = 0;
    k->n_counts = 0;
    if (k->controls == NULL || k->controls->n_rules == 0) {
        return true;
    }
    if (k->version != k->controls->version) {
        kills_forget(k);
        k->version = k->controls->version;
    }
    w.first = controls_kills(k->controls, p->tenant->name);
    for (const struct control_rule *r = w.first; r != NULL; r = r->next) {
        n++;
    }
    if (n == 0) {
        return true;
    }
    k->counts = ARENA_ARRAY(&p->groups->arena, struct kill_count, n);
    if (k->counts == NULL) {
        return pass_no_room(e);
    }
    k->n_counts = n;
    return groups_apply(&w, e);
}
