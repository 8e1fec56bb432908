/* Any bytes as a control record: taken or refused with a reason. What is taken can be written, and
 * read again as the same rule; it is found by the look-ups, and leaves by a tombstone and by its
 * time. */
#include <stdio.h>
#include <stdlib.h>

#include "policy/controls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct slice id = {(const uint8_t *)"k-1", 3}; /* as all seeds have it */

static void fail(const char *what, const char *detail)
{
    fprintf(stderr, "%s: %s\n", what, detail);
    abort();
}

static void check_rewrite(const struct control_rule *r)
{
    struct err e = ERR_INIT;
    struct control_rule *again = NULL;
    uint32_t n_unknown;
    struct buf first;
    struct buf second;
    buf_init(&first, 1 << 16);
    buf_init(&second, 1 << 16);
    if (!control_write(r, &first, &e)) {
        fail("cannot be written", e.text);
    }
    /* Unescaped and without unknown fields, it is seldom longer than it was. */
    if (first.len <= CONTROL_MAX_BYTES) {
        if (!control_parse(id, buf_slice(&first), &again, &n_unknown, &e) || again == NULL ||
            n_unknown != 0) {
            fail("written, then refused", e.text);
        }
        if (!control_write(again, &second, &e) ||
            !slice_eq(buf_slice(&first), buf_slice(&second))) {
            fail("reads as another rule", e.text);
        }
        control_free(again);
    }
    buf_fini(&first);
    buf_fini(&second);
}

static void check_look_ups(struct controls *c, const struct control_rule *r)
{
    const struct label labels[] = {{SLICE_LITERAL("queue"), SLICE_LITERAL("ranked")}};
    const struct series s = {.metric = SLICE_LITERAL("debug_x"), .labels = labels, .n_labels = 1};
    bool found = false;
    switch (r->kind) {
    case CONTROL_KILL:
        found = controls_kills(c, r->tenant) == r;
        if (control_kill_is_total(r) && !control_kill_matches(r, r->tenant, &s)) {
            fail("matches all", "but not this");
        }
        break;
    case CONTROL_LIMIT:
        found = controls_limit(c, r->tenant, r->budget, r->metric) == r;
        break;
    case CONTROL_PAUSE:
        found = controls_pause_of(c, r->group, r->topic.len > 0 ? r->topic : SLICE_LITERAL("any"),
                                  r->n_partitions > 0 ? r->partitions[r->n_partitions - 1] : 7) == r;
        break;
    default:
        found = controls_shed(c, CLASS_VERBOSE, r->tenant) == r &&
                controls_shed(c, CLASS_CRITICAL, r->tenant) == NULL;
    }
    if (!found) {
        fail("not found", control_kind_name(r->kind));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t draw = 0;
    struct controls c;
    struct err e = ERR_INIT;
    controls_init(&c, &draw);
    const struct slice value = {size == 0 ? (const uint8_t *)"" : data, size};
    if (!controls_take(&c, id, value, 0, &e)) {
        if (e.kind != ERR_BAD_INPUT || e.text[0] == '\0' || c.n_rules != 0) {
            fail("refused without a reason", e.text);
        }
    } else if (c.n_rules == 1) {
        check_rewrite(c.rules[0]);
        check_look_ups(&c, c.rules[0]);
        uint64_t version = c.version;
        int64_t expires_ms = c.rules[0]->expires_ms;
        if (controls_expire(&c, expires_ms - 1) || !controls_expire(&c, expires_ms) ||
            c.version == version) {
            fail("does not end", "at its time");
        }
        if (!controls_take(&c, id, value, 0, &e) || c.n_rules != 1 ||
            !controls_take(&c, id, SLICE_NONE, 0, &e) || c.n_rules != 0 || c.by_tenant.n != 0) {
            fail("not revoked", e.text);
        }
    }
    controls_fini(&c);
    return 0;
}
