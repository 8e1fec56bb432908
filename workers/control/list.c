#include "list.h"

#include "reading.h"
#include "policy/control_show.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { OUT_MAX_BYTES = 256 << 20 };

static int by_end(const void *a, const void *b)
{
    const struct control_rule *x = *(const struct control_rule *const *)a;
    const struct control_rule *y = *(const struct control_rule *const *)b;
    return x->expires_ms != y->expires_ms
               ? (x->expires_ms > y->expires_ms) - (x->expires_ms < y->expires_ms)
               : slice_cmp(x->id, y->id);
}

static bool put_json(struct buf *out, const struct control_rule *r, int64_t now_ms, bool first,
                     struct err *e)
{
    struct buf rule;
    buf_init(&rule, OUT_MAX_BYTES);
    bool ok = control_write(r, &rule, e);
    if (ok && rule.len > 0) {
        buf_printf(out, "%s\n  ", first ? "" : ",");
        buf_put(out, rule.ptr, rule.len - 1); /* without its } */
        buf_printf(out, ",\"live\":%s,\"left_ms\":%lld}", r->expires_ms > now_ms ? "true" : "false",
                   (long long)(r->expires_ms > now_ms ? r->expires_ms - now_ms : 0));
    }
    buf_fini(&rule);
    return ok;
}

static void put_line(struct buf *out, const struct control_rule *r, int64_t now_ms)
{
    buf_printf(out, "%-10.*s ", SLICE_ARG(r->id));
    if (r->expires_ms > now_ms) {
        buf_printf(out, "for ");
        show_duration(out, r->expires_ms - now_ms);
    } else {
        buf_printf(out, "over");
    }
    buf_printf(out, ", until ");
    show_time(out, r->expires_ms);
    buf_printf(out, "\n  ");
    control_show(out, r);
    buf_printf(out, "\n  ");
    show_text(out, r->who);
    buf_printf(out, " on ");
    show_time(out, r->created_ms);
    buf_printf(out, ": ");
    show_text(out, r->reason);
    buf_printf(out, "\n");
}

static bool put_all(struct buf *out, const struct reading *r, const struct tool *t, bool as_json,
                    struct err *e)
{
    const struct controls *c = &r->controls;
    uint32_t n = 0;
    if (c->n_rules > 0) {
        qsort(c->rules, c->n_rules, sizeof(struct control_rule *),
              by_end); /* c is only read from here on */
    }
    buf_printf(out, "%s", as_json ? "[" : "");
    for (uint32_t i = 0; i < c->n_rules; i++) {
        if (c->rules[i]->expires_ms <= t->now_ms && t->command->values[OPTION_ALL] == NULL) {
            continue;
        }
        if (as_json && !put_json(out, c->rules[i], t->now_ms, n == 0, e)) {
            return false;
        }
        if (!as_json) {
            put_line(out, c->rules[i], t->now_ms);
        }
        n++;
    }
    buf_printf(out, "%s", as_json ? "\n]\n" : n == 0 ? "no rule is in force\n" : "");
    return buf_ok(out) || err_set(e, ERR_FATAL, "out of memory");
}

static void warn_odd(const struct reading *r, const struct tool *t)
{
    struct buf line;
    buf_init(&line, 1 << 20);
    for (size_t i = 0; i < r->n_odd; i++) {
        buf_reset(&line);
        show_text(&line, slice_str(r->odd[i].id));
        buf_printf(&line, " is no rule: ");
        show_text(&line, slice_str(r->odd[i].cause));
        (void)fprintf(stderr, "sluice-control: %s: %s\n", config_str(t->config, "control_topic"),
                      buf_c_str(&line));
    }
    buf_fini(&line);
}

bool list_rules(const struct tool *t, struct err *e)
{
    struct reading *r = NULL;
    if (!reading_check(t, e) || !reading_new(t, &r, e)) {
        return false;
    }
    struct buf out;
    buf_init(&out, OUT_MAX_BYTES);
    bool ok = put_all(&out, r, t, t->command->values[OPTION_JSON] != NULL, e);
    if (ok) {
        (void)fwrite(out.ptr, 1, out.len, stdout);
        warn_odd(r, t);
    }
    buf_fini(&out);
    reading_free(r);
    return ok;
}
