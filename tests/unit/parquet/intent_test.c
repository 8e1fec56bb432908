/* The protocol in a world of its own, as intent_model.py of the design has it: processes that
 * crash, zombies whose requests land arbitrarily late, answers that are lost, offsets that are
 * sparse, layouts that change. No row may lie in two objects, and when a range is closed each of
 * its rows lies in one. Each rule left out must show. */
#include "ledger/intent.h"

#include "../runner.h"

#include <string.h>

enum {
    MAX_ROWS = 4000,
    MAX_OBJECTS = 8000,
    MAX_FLIGHT = 256,
    MAX_PROCESSES = 6,
    STEPS = 3000,
    CALM = 1500,
    RUNS = 60
};

enum broken {
    NOTHING,
    IGNORE_INTENT,
    FORGET_LAYOUT,
    PUT_BEFORE_INTENT,
    UNFENCED_COMMIT,
    REPEAT_COMMIT
};

struct commit {
    int64_t offset;
    bool has_intent;
    struct intent intent;
};

/* One of a process's requests, on its way. */
struct message {
    bool is_put;
    bool is_slow;
    int process;
    int generation;
    struct commit commit;
    int64_t first; /* the object: range, part of it, and the rows' range */
    int64_t last;
    int part;
    int width;
};

struct process {
    bool alive;
    bool owner;
    int generation;
    int number; /* of this incarnation: answers to another are not its own */
    int width;  /* the layout: how many rows' hours share an object */
    int due;
    struct intent_log log;
    struct intent intent;
    struct commit asked;
    bool waits;
    bool lost;
    int n_parts;
    int n_answered;
    bool answered[8];
};

struct world {
    enum broken broken;
    unsigned seed;
    int64_t end;
    int64_t offsets[MAX_ROWS];
    int n_rows;
    int n_placed[MAX_ROWS];
    struct commit committed;
    int generation;
    int width;
    struct {
        int64_t first;
        int part;
        int width;
    } objects[MAX_OBJECTS];
    int n_objects;
    struct message flight[MAX_FLIGHT];
    int n_flight;
    struct process processes[MAX_PROCESSES];
    int n_numbers;
    int n_ranges;
    const char *wrong;
};

static unsigned roll(struct world *w, unsigned n)
{
    w->seed = w->seed * 1664525U + 1013904223U;
    return (unsigned)(((uint64_t)w->seed * n) >> 32);
}

static int part_of(int row, int width)
{
    return (row / 7 % 6) / width;
}

static void send(struct world *w, const struct message *m)
{
    if (w->n_flight < MAX_FLIGHT) {
        w->flight[w->n_flight] = *m;
        w->flight[w->n_flight++].is_slow = roll(w, 8) == 0;
    }
}

static void ask(struct world *w, int p, int64_t offset, bool has_intent)
{
    struct process *me = &w->processes[p];
    me->asked = (struct commit){.offset = offset, .has_intent = has_intent, .intent = me->intent};
    me->waits = true;
    me->lost = false;
    const struct message m = {.process = p,
                              .generation = w->broken == UNFENCED_COMMIT ? -1 : me->generation,
                              .commit = me->asked};
    send(w, &m);
}

static void store_part(struct world *w, int p, int part)
{
    const struct process *me = &w->processes[p];
    const struct message m = {.is_put = true,
                              .process = p,
                              .first = me->intent.first,
                              .last = me->intent.last,
                              .part = part,
                              .width = me->intent.layout[0] - '0'};
    send(w, &m);
}

static void begin_store(struct world *w, int p)
{
    struct process *me = &w->processes[p];
    if (w->broken == FORGET_LAYOUT) {
        me->intent.layout[0] = (char)('0' + me->width);
    }
    me->n_parts = 6 / (me->intent.layout[0] - '0');
    me->n_answered = 0;
    memset(me->answered, 0, sizeof me->answered);
}

static void act(struct world *w, int p, enum intent_action action)
{
    struct process *me = &w->processes[p];
    switch (action) {
    case INTENT_PLEDGE:
        me->intent =
            (struct intent){.first = me->log.first, .last = me->log.last, .n_rows = me->log.n_rows};
        me->intent.layout[0] = (char)('0' + me->width);
        ask(w, p, me->log.first, true);
        for (int i = 0; w->broken == PUT_BEFORE_INTENT && i < 6 / me->width; i++) {
            store_part(w, p, i);
        }
        break;
    case INTENT_SKIP:
    case INTENT_CLOSE:
        ask(w, p, me->log.last + 1, false);
        break;
    case INTENT_STORE:
        begin_store(w, p);
        break;
    case INTENT_HALT:
        w->wrong = "an intent counts other rows than the log has";
        break;
    case INTENT_NOTHING:
        break;
    }
}

static void take_over(struct world *w, bool lingers)
{
    int free_place = -1;
    for (int i = 0; i < MAX_PROCESSES; i++) {
        if (w->processes[i].owner) {
            w->processes[i].owner = false;
            w->processes[i].alive = lingers && w->processes[i].alive;
        }
        free_place = w->processes[i].alive ? free_place : i;
    }
    if (free_place < 0) {
        free_place = 0;
    }
    w->generation++;
    struct process *me = &w->processes[free_place];
    *me = (struct process){.alive = true,
                           .owner = true,
                           .generation = w->generation,
                           .number = ++w->n_numbers,
                           .width = w->width,
                           .due = 2 + (int)roll(w, 40),
                           .intent = w->committed.intent};
    bool has_intent = w->committed.has_intent && w->broken != IGNORE_INTENT;
    intent_begin(&me->log, w->committed.offset, has_intent ? &w->committed.intent : NULL);
}

/* Takes in up to ten rows, as a consumer's poll would; the end of the log passes on. */
static void take_rows(struct world *w, struct process *me)
{
    int n = 0;
    for (int i = 0; i < w->n_rows && n < 10; i++) {
        if (w->offsets[i] < me->log.position) {
            continue;
        }
        if (!intent_takes(&me->log, w->offsets[i])) {
            intent_passed(&me->log,
                          w->offsets[i]); /* the record waits; below it there is nothing more */
            return;
        }
        intent_took(&me->log, w->offsets[i], 1);
        n++;
    }
    if (n < 10) {
        intent_passed(&me->log, w->end);
    }
}

static void step(struct world *w, int p)
{
    struct process *me = &w->processes[p];
    if (me->waits && me->lost && w->broken == REPEAT_COMMIT) {
        ask(w, p, me->asked.offset, me->asked.has_intent);
    } else if (me->waits && me->lost) {
        me->alive = false; /* its outcome is unknown: only what is committed tells */
        me->owner = false;
    } else if (!me->waits && me->log.phase == INTENT_WRITE) {
        int part = (int)roll(w, (unsigned)me->n_parts);
        if (!me->answered[part]) {
            store_part(w, p, part);
        }
        if (me->n_answered == me->n_parts) {
            act(w, p, intent_stored(&me->log));
        }
    } else if (!me->waits) {
        take_rows(w, me);
        act(w, p,
            intent_next(&me->log, me->log.n_rows >= (uint64_t)me->due || roll(w, 20) == 0,
                        roll(w, 5) == 0));
    }
}

static void land_commit(struct world *w, const struct message *m)
{
    struct process *me = &w->processes[m->process];
    bool refused = m->generation >= 0 && m->generation != w->generation;
    if (!refused) {
        int64_t before = w->committed.offset;
        w->committed = m->commit;
        for (int i = 0; !m->commit.has_intent && i < w->n_rows; i++) {
            if (w->offsets[i] >= before && w->offsets[i] < m->commit.offset &&
                w->n_placed[i] == 0) {
                w->wrong = "a range was closed, but rows of it are in no object";
            }
        }
        w->n_ranges += !m->commit.has_intent;
    }
    bool is_its_own =
        me->alive && me->waits && memcmp(&me->asked, &m->commit, sizeof me->asked) == 0;
    if (is_its_own && (refused || roll(w, 10) == 0)) {
        me->lost = true;
    } else if (is_its_own && !me->lost) {
        me->waits = false;
        act(w, m->process, intent_committed(&me->log));
    }
}

static void land_put(struct world *w, const struct message *m)
{
    struct process *me = &w->processes[m->process];
    bool existed = false;
    for (int i = 0; i < w->n_objects; i++) {
        existed = existed || (w->objects[i].first == m->first && w->objects[i].part == m->part &&
                              w->objects[i].width == m->width);
    }
    if (!existed && w->n_objects < MAX_OBJECTS) {
        w->objects[w->n_objects].first = m->first;
        w->objects[w->n_objects].width = m->width;
        w->objects[w->n_objects++].part = m->part;
        for (int i = 0; i < w->n_rows; i++) {
            if (w->offsets[i] < m->first || w->offsets[i] > m->last ||
                part_of(i, m->width) != m->part) {
                continue;
            }
            if (w->n_placed[i]++ > 0) {
                w->wrong = "a row lies in two objects";
            }
        }
    }
    if (me->alive && me->log.phase == INTENT_WRITE && me->intent.first == m->first &&
        roll(w, 10) != 0 && !me->answered[m->part]) {
        me->answered[m->part] = true;
        me->n_answered++;
    }
}

static void deliver(struct world *w, bool calm)
{
    int at = (int)roll(w, (unsigned)w->n_flight);
    struct message m = w->flight[at];
    if (m.is_slow && !calm && roll(w, 50) != 0) {
        if (!m.is_put && roll(w, 8) == 0) {
            struct process *me = &w->processes[m.process];
            me->lost =
                me->lost || (me->waits && memcmp(&me->asked, &m.commit, sizeof me->asked) == 0);
        }
        return;
    }
    w->flight[at] = w->flight[--w->n_flight];
    if (m.is_put) {
        land_put(w, &m);
    } else {
        land_commit(w, &m);
    }
}

static void produce(struct world *w)
{
    for (unsigned n = roll(w, 4) + 1; n > 0 && w->n_rows < MAX_ROWS; n--) {
        w->end += roll(w, 3) == 0 ? roll(w, 5) : 0; /* markers, aborted records */
        w->offsets[w->n_rows++] = w->end++;
    }
}

static void turn(struct world *w, bool calm)
{
    bool owned = false;
    if (!calm && roll(w, 4) == 0) {
        produce(w);
    }
    for (int i = 0; i < MAX_PROCESSES; i++) {
        owned = owned || (w->processes[i].alive && w->processes[i].owner);
    }
    if (!owned || (!calm && roll(w, 60) == 0)) {
        take_over(w, roll(w, 2) == 0);
    }
    for (int i = 0; i < MAX_PROCESSES; i++) {
        if (w->processes[i].alive && roll(w, 2) == 0) {
            step(w, i);
        }
        w->processes[i].alive =
            w->processes[i].alive && (w->processes[i].owner || roll(w, 80) != 0);
    }
    for (int i = 0; i < 3 && w->n_flight > 0; i++) {
        deliver(w, calm);
    }
    if (!calm && roll(w, 40) == 0) {
        w->width = (int[]){1, 2, 3}[roll(w, 3)];
    }
}

/* NULL: all is well. */
static const char *run(unsigned seed, enum broken broken, int *n_ranges)
{
    static struct world world;
    struct world *w = &world;
    memset(w, 0, sizeof *w);
    w->broken = broken;
    w->seed = seed * 2654435761U + 1;
    w->width = 1;
    for (int i = 0; i < STEPS && w->wrong == NULL; i++) {
        turn(w, false);
    }
    for (int i = 0; i < CALM && w->wrong == NULL; i++) {
        turn(w, true);
    }
    *n_ranges += w->n_ranges;
    bool all = w->n_rows > 0 && w->committed.offset > w->offsets[w->n_rows - 1];
    return w->wrong != NULL || all ? w->wrong : "in the end not all is committed";
}

START_TEST(no_row_is_lost_or_double)
{
    int n_ranges = 0;
    for (unsigned seed = 0; seed < RUNS; seed++) {
        const char *wrong = run(seed, NOTHING, &n_ranges);
        ck_assert_msg(wrong == NULL, "seed %u: %s", seed, wrong);
    }
    ck_assert_int_gt(n_ranges, RUNS * 20);
}
END_TEST

static const struct {
    const char *name;
    enum broken broken;
} rules[] = {
    {"a new owner ignores the open intent", IGNORE_INTENT},
    {"an intent is repeated in the new owner's layout", FORGET_LAYOUT},
    {"objects are sent before the intent is answered", PUT_BEFORE_INTENT},
    {"a commit does not carry the assignment's generation", UNFENCED_COMMIT},
    {"a commit whose answer is lost is sent again", REPEAT_COMMIT},
};

START_TEST(each_rule_left_out_shows)
{
    int n_ranges = 0;
    bool shown = false;
    for (unsigned seed = 0; seed < 400 && !shown; seed++) {
        shown = run(seed, rules[_i].broken, &n_ranges) != NULL;
    }
    ck_assert_msg(shown, "%s, and nothing shows", rules[_i].name);
}
END_TEST

/* Rule 5, step by step: the log has fewer rows than the intent says. */
START_TEST(rows_that_are_gone_halt_a_redo)
{
    const struct intent open = {.first = 5, .last = 9, .n_rows = 30};
    struct intent_log l;
    intent_begin(&l, 5, &open);
    intent_took(&l, 5, 10);
    intent_took(&l, 9, 19);
    ck_assert_int_eq(intent_next(&l, true, true), INTENT_HALT);
    ck_assert_int_eq(intent_next(&l, true, true), INTENT_NOTHING);
    ck_assert(!intent_takes(&l, 10));

    intent_begin(&l, 5, &open);
    intent_took(&l, 5, 11);
    ck_assert_int_eq(intent_next(&l, true, true), INTENT_NOTHING);
    ck_assert(!intent_takes(&l, 10));
    intent_took(&l, 8, 19);
    ck_assert_int_eq(intent_next(&l, true, true), INTENT_NOTHING); /* 9 may still come */
    intent_passed(&l, 10);
    ck_assert_int_eq(intent_next(&l, true, true), INTENT_STORE);
    ck_assert_int_eq(intent_stored(&l), INTENT_CLOSE);
    ck_assert_int_eq(intent_committed(&l), INTENT_NOTHING);
    ck_assert_int_eq(l.first, 10);
    ck_assert(intent_takes(&l, 10));
}
END_TEST

/* However far away `last` is: no more is gathered than the intent says. */
START_TEST(more_rows_than_the_intent_says_halt_at_once)
{
    struct intent intent = {.first = 10, .last = INT64_MAX - 1, .n_rows = 2};
    struct intent_log l;
    intent_begin(&l, 10, &intent);
    intent_took(&l, 10, 2);
    ck_assert_int_eq(intent_next(&l, true, true), INTENT_NOTHING);
    intent_took(&l, 11, 1);
    ck_assert_int_eq(intent_next(&l, true, true), INTENT_HALT);
    ck_assert(!intent_takes(&l, 12));
}
END_TEST

START_TEST(records_without_rows_need_no_intent)
{
    struct intent_log l;
    intent_begin(&l, 5, NULL);
    intent_took(&l, 7, 0);
    ck_assert_int_eq(intent_next(&l, true, false), INTENT_NOTHING);
    ck_assert_int_eq(intent_next(&l, true, true), INTENT_SKIP);
    ck_assert_int_eq(l.last, 7);
    ck_assert_int_eq(intent_committed(&l), INTENT_NOTHING);
    ck_assert_int_eq(l.first, 8);

    intent_took(&l, 8, 3);
    intent_took(&l, 12, 0);
    ck_assert_int_eq(intent_next(&l, true, true), INTENT_PLEDGE);
    ck_assert_int_eq(l.last, 8); /* the range ends with its last row */
    ck_assert_int_eq(intent_committed(&l), INTENT_STORE);
    ck_assert_int_eq(intent_stored(&l), INTENT_CLOSE);
    ck_assert_int_eq(intent_committed(&l), INTENT_NOTHING);
    ck_assert_int_eq(l.first, 9);
    ck_assert_int_eq(intent_next(&l, false, true), INTENT_SKIP);
    ck_assert_int_eq(l.last, 12);
}
END_TEST

static const struct {
    const char *text;
    const char *error; /* NULL = good */
} texts[] = {
    {"{\"first\":5,\"last\":90,\"layout\":{\"hours\":1,\"prefix\":\"a\"},\"rows\":400,\"topic_id\":"
     "\"x_-9\"}",
     NULL},
    {"{\"first\":5,\"last\":5,\"layout\":{},\"rows\":1,\"topic_id\":\"\"}", NULL},
    {"", "no JSON"},
    {"{\"first\":5", "no JSON"},
    {"{\"first\":-1,\"last\":5,\"layout\":{},\"rows\":1,\"topic_id\":\"x\"}", "\"first\""},
    {"{\"first\":5.5,\"last\":5,\"layout\":{},\"rows\":1,\"topic_id\":\"x\"}", "\"first\""},
    {"{\"first\":5,\"last\":4,\"layout\":{},\"rows\":1,\"topic_id\":\"x\"}", "before"},
    {"{\"first\":5,\"last\":5,\"layout\":{},\"rows\":0,\"topic_id\":\"x\"}", "no rows"},
    {"{\"first\":5,\"last\":5,\"layout\":[],\"rows\":1,\"topic_id\":\"x\"}", "\"layout\""},
    {"{\"first\":5,\"last\":5,\"layout\":{},\"rows\":1,\"topic_id\":"
     "\"01234567890123456789012345678901\"}",
     "\"topic_id\""},
    {"{\"first\":5,\"last\":5,\"layout\":{},\"rows\":1}", "\"topic_id\""},
    {"{\"first\":5,\"last\":5,\"layout\":{},\"rows\":1,\"topic_id\":\"a/b\"}", "\"topic_id\""},
    {"[]", "\"first\""},
};

START_TEST(intents_as_text)
{
    struct err e = ERR_INIT;
    struct intent i;
    struct buf again;
    bool ok = intent_parse(slice_str(texts[_i].text), &i, &e);
    ck_assert_msg(ok == (texts[_i].error == NULL), "%s: %s", texts[_i].text, e.text);
    if (!ok) {
        ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
        ck_assert_msg(strstr(e.text, texts[_i].error) != NULL, "%s: %s", texts[_i].text, e.text);
        return;
    }
    buf_init(&again, INTENT_MAX_TEXT);
    intent_print(&i, &again);
    ck_assert(slice_eq_str(buf_slice(&again), texts[_i].text));
    buf_fini(&again);
    for (size_t n = 0; n < strlen(texts[_i].text); n++) { /* no prefix of it is one */
        err_reset(&e);
        ck_assert(!intent_parse(slice_of(texts[_i].text, n), &i, &e));
        ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("intent");
    TCase *tests = tcase_create("intent");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, no_row_is_lost_or_double);
    tcase_add_loop_test(tests, each_rule_left_out_shows, 0, (int)(sizeof rules / sizeof rules[0]));
    tcase_add_test(tests, rows_that_are_gone_halt_a_redo);
    tcase_add_test(tests, more_rows_than_the_intent_says_halt_at_once);
    tcase_add_test(tests, records_without_rows_need_no_intent);
    tcase_add_loop_test(tests, intents_as_text, 0, (int)(sizeof texts / sizeof texts[0]));
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
