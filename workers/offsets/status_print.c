#include "status_print.h"

#include "diagnosis.h"
#include "run/show.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { OUT_MAX_BYTES = 64 << 20, TOPIC_WIDTH = 30 };

/* --- JSON --- */

static json_t *or_null(int64_t n)
{
    return n < 0 ? json_null() : json_integer(n);
}

static json_t *progress_json(const struct progress *p)
{
    json_t *out = json_pack(
        "{s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s?, s:s, s:b, s:s}", "topic", p->topic,
        "partition", (int)p->partition, "committed", or_null(p->committed), "position",
        or_null(p->position), "log_start", or_null(p->low), "last_stable", or_null(p->stable),
        "end", or_null(p->high), "lag_records", or_null(p->high < 0 ? -1 : p->lag_records), "lag_ms",
        or_null(p->high < 0 ? -1 : p->lag_ms), "member", p->client, "state", trouble_names[p->trouble], "stuck",
        trouble_is_stuck(p->trouble) ? 1 : 0, "why", p->why);
    if (p->stable >= 0 && p->stable < p->high) {
        (void)json_object_set_new(out, "open_transaction",
                                  json_pack("{s:I, s:o}", "from_offset", (json_int_t)p->stable,
                                            "since_ms",
                                            or_null(p->open_since_ms > 0 ? p->open_since_ms : -1)));
    }
    if (p->intent_last >= 0) {
        (void)json_object_set_new(out, "open_intent",
                                  json_pack("{s:I, s:I}", "first", (json_int_t)p->committed, "last",
                                            (json_int_t)p->intent_last));
    }
    return out;
}

json_t *status_json(const struct status *s)
{
    json_t *groups = json_array();
    bool any = false;
    size_t at = 0;
    for (size_t i = 0; i < s->groups.n; i++) {
        const struct group *g = &s->groups.items[i];
        json_t *partitions = json_array();
        for (; at < s->n && s->partitions[at].group == g; at++) {
            any |= trouble_is_stuck(s->partitions[at].trouble);
            (void)json_array_append_new(partitions, progress_json(&s->partitions[at]));
        }
        (void)json_array_append_new(
            groups, json_pack("{s:s, s:s, s:I, s:o}", "group", g->name, "state",
                              rd_kafka_consumer_group_state_name(g->state), "members",
                              (json_int_t)g->n_members, "partitions", partitions));
    }
    return json_pack("{s:b, s:o}", "stuck", any ? 1 : 0, "groups", groups);
}

/* --- a table --- */

struct table_out {
    struct buf buf;
    bool colours;
};

static const char *colour_of(enum trouble t)
{
    return trouble_is_stuck(t) ? "\033[31m" : t != TROUBLE_NONE ? "\033[33m" : "\033[32m";
}

static void put_state(struct table_out *out, enum trouble t)
{
    buf_printf(&out->buf, "%s%s%s", out->colours ? colour_of(t) : "",
               trouble_is_stuck(t) ? "STUCK " : "", trouble_names[t]);
    buf_printf(&out->buf, "%s", out->colours ? "\033[0m" : "");
}

static void put_age(struct table_out *out, int64_t ms)
{
    char text[32];
    struct buf b;
    buf_init(&b, sizeof text);
    if (ms < 0) {
        buf_printf(&b, "?");
    } else {
        show_duration(&b, ms);
    }
    buf_printf(&out->buf, " %9.*s  ", SLICE_ARG(buf_slice(&b)));
    buf_fini(&b);
}

static void put_name(struct table_out *out, const char *text)
{
    size_t before = out->buf.len;
    show_text(&out->buf, slice_str(text));
    for (size_t n = out->buf.len - before; n < TOPIC_WIDTH; n++) {
        buf_u8(&out->buf, ' ');
    }
}

static void put_partition(struct table_out *out, const struct progress *p)
{
    char name[300];
    (void)snprintf(name, sizeof name, "    %.250s[%d]", p->topic, p->partition);
    put_name(out, name);
    buf_printf(&out->buf, " %12" PRId64 " %12" PRId64 " %12" PRId64 " %10" PRId64, p->committed,
               p->position, p->high, p->lag_records);
    put_age(out, p->lag_ms);
    put_state(out, p->trouble);
    if (p->why[0] != '\0') {
        buf_printf(&out->buf, ": ");
        show_text(&out->buf, slice_str(p->why));
    }
    buf_printf(&out->buf, "\n");
}

/* One topic of a group in one line; the worst of its partitions. */
static const struct progress *put_topic(struct table_out *out, const struct progress *first,
                                        const struct progress *end)
{
    const struct progress *p = first;
    int64_t lag_records = 0;
    int64_t lag_ms = 0;
    int n_stuck = 0;
    int n = 0;
    enum trouble worst = TROUBLE_NONE;
    for (; p < end && p->group == first->group && strcmp(p->topic, first->topic) == 0; p++, n++) {
        lag_records += p->lag_records;
        lag_ms = p->lag_ms > lag_ms ? p->lag_ms : lag_ms;
        worst = p->trouble > worst ? p->trouble : worst;
        n_stuck += trouble_is_stuck(p->trouble);
    }
    char name[300];
    (void)snprintf(name, sizeof name, "  %.250s", first->topic);
    put_name(out, name);
    buf_printf(&out->buf, " %12s %12s %12s %10" PRId64, "", "", "", lag_records);
    put_age(out, lag_ms);
    if (n_stuck > 0) {
        buf_printf(&out->buf, "%d of %d ", n_stuck, n);
    } else {
        buf_printf(&out->buf, "%d ", n);
    }
    put_state(out, worst);
    buf_printf(&out->buf, "\n");
    return p;
}

static void put_group(struct table_out *out, const struct group *g)
{
    show_text(&out->buf, slice_str(g->name));
    buf_printf(&out->buf, "  %s, %zu member%s\n", rd_kafka_consumer_group_state_name(g->state),
               g->n_members, g->n_members == 1 ? "" : "s");
}

bool status_print(const struct status *s, bool all, bool colours, struct err *e)
{
    struct table_out out = {.colours = colours};
    const struct progress *end = s->partitions + s->n;
    const struct progress *p = s->partitions;
    buf_init(&out.buf, OUT_MAX_BYTES);
    put_name(&out, "GROUP, TOPIC");
    buf_printf(&out.buf, " %12s %12s %12s %10s %9s   STATE\n", "COMMITTED", "POSITION", "END",
               "LAG", "BEHIND");
    for (size_t i = 0; i < s->groups.n; i++) {
        const struct group *g = &s->groups.items[i];
        put_group(&out, g);
        while (p != NULL && p < end && p->group == g) {
            const struct progress *next = put_topic(&out, p, end);
            for (; p < next; p++) {
                if (all || p->trouble != TROUBLE_NONE) {
                    put_partition(&out, p);
                }
            }
        }
    }
    if (s->groups.n == 0) {
        buf_printf(&out.buf, "no group: do the workers run, and is group_prefix theirs?\n");
    }
    bool ok = buf_ok(&out.buf) && fwrite(out.buf.ptr, 1, out.buf.len, stdout) == out.buf.len;
    buf_fini(&out.buf);
    return ok || err_set(e, ERR_FATAL, "the table could not be written");
}
