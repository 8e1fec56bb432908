#include "explain.h"

#include <stdlib.h>

#include "edge/pass.h"
#include "wire/inflate.h"
#include "wire/otlp_json.h"
#include "wire/tenant_avro.h"

enum {
    WALK_BYTES = 32 << 20,
    JUDGE_BYTES = 16 << 20,
    MESSAGE_BYTES = 64 << 20,
    CACHE_BYTES = 256 << 20,
    KEPT_BYTES = 256 << 20,
    TEXT_BYTES = 1 << 20
};

struct explain {
    struct policy *policy;
    struct tenants tenants;
    struct series_cache series;
    struct plan_cache plans;
    struct groups groups;
    struct rejects rejects;
    struct arena walk_arena;
    struct arena judge_arena;
    struct arena kept;   /* what is told */
    struct buf text;     /* one piece of it */
    struct buf unpacked; /* remote write; OTLP from JSON */
    const struct tenant *tenant;
    struct explained *first;
    struct explained **last;
    struct explanation *out;
    bool no_memory;
};

bool explain_new(struct policy *p, struct explain **out, struct err *e)
{
    struct explain *x = calloc(1, sizeof *x);
    if (x == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    x->policy = p;
    x->last = &x->first;
    series_cache_init(&x->series, CACHE_BYTES);
    plan_cache_init(&x->plans, CACHE_BYTES);
    groups_init(&x->groups, MESSAGE_BYTES);
    rejects_init(&x->rejects, MESSAGE_BYTES, 1);
    arena_init(&x->walk_arena, WALK_BYTES);
    arena_init(&x->judge_arena, JUDGE_BYTES);
    arena_init(&x->kept, KEPT_BYTES);
    buf_init(&x->text, TEXT_BYTES);
    buf_init(&x->unpacked, remote_write_default_caps.max_message_bytes);
    if (!tenants_init(&x->tenants, p, e)) {
        explain_free(x);
        return false;
    }
    *out = x;
    return true;
}

void explain_free(struct explain *x)
{
    if (x == NULL) {
        return;
    }
    series_cache_fini(&x->series);
    plan_cache_fini(&x->plans);
    groups_fini(&x->groups);
    rejects_fini(&x->rejects);
    arena_fini(&x->walk_arena);
    arena_fini(&x->judge_arena);
    arena_fini(&x->kept);
    buf_fini(&x->text);
    buf_fini(&x->unpacked);
    tenants_fini(&x->tenants);
    free(x);
}

/* --- each series --- */

static struct slice keep(struct explain *x, struct slice s)
{
    struct slice copy = arena_copy(&x->kept, s);
    x->no_memory |= copy.ptr == NULL;
    return copy;
}

static struct slice keep_text(struct explain *x)
{
    x->no_memory |= !buf_ok(&x->text);
    struct slice s = keep(x, buf_slice(&x->text));
    buf_reset(&x->text);
    return s;
}

static struct slice printable(struct explain *x, struct slice name)
{
    struct slice s = printable_name(&x->kept, name);
    x->no_memory |= s.ptr == NULL;
    return s;
}

static struct slice stored_of(struct explain *x, const struct series *s)
{
    buf_put_slice(&x->text, s->metric);
    buf_u8(&x->text, '{');
    for (uint32_t i = 0; i < s->n_labels; i++) {
        buf_printf(&x->text, "%s%.*s=\"", i == 0 ? "" : ",", SLICE_ARG(s->labels[i].name));
        for (size_t k = 0; k < s->labels[i].value.len; k++) {
            uint8_t c = s->labels[i].value.ptr[k];
            if (c == '"' || c == '\\') {
                buf_u8(&x->text, '\\');
            }
            buf_u8(&x->text, c < ' ' || c == 0x7f ? '?' : c);
        }
        buf_u8(&x->text, '"');
    }
    buf_u8(&x->text, '}');
    return keep_text(x);
}

static struct slice what_of(struct explain *x, const struct verdict *v)
{
    if (v->detail != NULL) {
        buf_printf(&x->text, "%s. ", v->detail);
    }
    buf_printf(&x->text, "%s", reason_info(v->reason)->help);
    return keep_text(x);
}

static struct slice rule_of(struct explain *x, const struct verdict *v)
{
    rule_place_print(x->tenant->rules, x->tenant->name, &v->rule, &x->text);
    return keep_text(x);
}

static const struct refused_label *more_of(struct explain *x, const struct verdict *v)
{
    struct refused_label *more = ARENA_ARRAY(&x->kept, struct refused_label, v->n_more);
    x->no_memory |= more == NULL;
    for (uint32_t i = 0; more != NULL && i < v->n_more; i++) {
        more[i] = (struct refused_label){.label = printable(x, v->more[i].label),
                                         .reason = v->more[i].reason};
    }
    return more;
}

static void describe(struct explain *x, const struct raw_series *raw, const struct verdict *v,
                     struct explained *out)
{
    bool ok = v->reason == REASON_NONE;
    out->reason = v->reason;
    out->sent = printable(x, raw->metric);
    out->rule = rule_of(x, v);
    out->kind = slice_str(series_kind_name(ok ? v->series.kind : raw->kind));
    out->unit = printable(x, ok ? v->series.unit : raw->unit);
    if (!ok) {
        out->label = printable(x, v->label);
        out->more = more_of(x, v);
        out->n_more = out->more == NULL ? 0 : v->n_more;
        out->what = what_of(x, v);
        return;
    }
    const struct metric_match listed =
        dictionary_find(x->tenant->rules, v->series.metric, raw->kind_is_guess);
    out->stored = stored_of(x, &v->series);
    out->source = printable(x, v->source_name);
    out->class = slice_str(batch_class_name(v->class));
    out->is_stripped = v->stripped != 0;
    out->help = listed.entry == NULL ? SLICE_NONE : listed.entry->help;
}

static void on_series(void *ctx, const struct raw_series *raw, const struct verdict *v)
{
    struct explain *x = ctx;
    struct explained *item = arena_calloc(&x->kept, 1, sizeof *item);
    if (item == NULL) {
        x->no_memory = true;
        return;
    }
    describe(x, raw, v, item);
    *x->last = item;
    x->last = &item->next;
    *(v->reason == REASON_NONE ? &x->out->n_accepted : &x->out->n_refused) += 1;
}

/* --- the message --- */

static bool is_json(struct slice message)
{
    size_t i = 0;
    while (i < message.len && strchr(" \t\r\n", message.ptr[i]) != NULL) {
        i++;
    }
    return i < message.len && message.ptr[i] == '{';
}

/* A snappy block of a remote write message; it is then in `unpacked`. */
static bool unpack(struct explain *x, struct slice message, struct err *e)
{
    buf_reset(&x->unpacked);
    return inflate_bytes(INFLATE_SNAPPY, message, remote_write_default_caps.max_message_bytes,
                         &x->unpacked, e);
}

static bool is_remote_write(struct explain *x, struct slice message)
{
    struct err e = ERR_INIT;
    return unpack(x, message, &e) && x->unpacked.len > 0 &&
           memchr("\x0a\x1a\x22\x2a", x->unpacked.ptr[0], 4) != NULL;
}

static enum explain_format format_of(struct explain *x, struct slice message)
{
    return tenant_avro_is(message)       ? EXPLAIN_AVRO
           : is_json(message)            ? EXPLAIN_OTLP_JSON
           : is_remote_write(x, message) ? EXPLAIN_REMOTE_WRITE
                                         : EXPLAIN_OTLP;
}

static bool remote_write_read(struct explain *x, struct pass *p, struct slice message,
                              struct err *e)
{
    if (!unpack(x, message, e)) {
        return false;
    }
    /* 2.0 begins with its symbols (4) or series (5), which 1.0 does not have. */
    bool is_2 = x->unpacked.len > 0 && (x->unpacked.ptr[0] == 0x22 || x->unpacked.ptr[0] == 0x2a);
    x->out->format = is_2 ? "remote write 2.0" : "remote write 1.0";
    return remote_write_points(p, is_2 ? REMOTE_WRITE_2 : REMOTE_WRITE_1, buf_slice(&x->unpacked),
                               e);
}

static bool json_read(struct explain *x, struct pass *p, struct slice message, struct err *e)
{
    buf_reset(&x->unpacked);
    return otlp_json_read(message, &otlp_json_default_caps, &x->unpacked, e) &&
           otlp_points(p, buf_slice(&x->unpacked), e);
}

static bool points_read(struct explain *x, struct pass *p, enum explain_format format,
                        struct slice message, struct err *e)
{
    switch (format) {
    case EXPLAIN_AVRO:
        x->out->format = "avro";
        return tenant_points(p, message, e);
    case EXPLAIN_OTLP_JSON:
        x->out->format = "otlp-json";
        return json_read(x, p, message, e);
    case EXPLAIN_REMOTE_WRITE:
        return remote_write_read(x, p, message, e);
    default:
        x->out->format = "otlp";
        return otlp_points(p, message, e);
    }
}

static bool batch_drop(void *ctx, const struct batch *b, uint32_t n_samples, struct slice encoded,
                       struct err *e)
{
    (void)ctx;
    (void)b;
    (void)n_samples;
    (void)encoded;
    (void)e;
    return true;
}

static bool message_judge(struct explain *x, struct pass *p, enum explain_format format,
                          struct slice message, struct err *e)
{
    struct batch_target target = {
        .put = batch_drop, .max_series = x->tenant->rules->max_series, .rejects = &x->rejects};
    return points_read(x, p, format, message, e) &&
           groups_emit(&x->groups, &x->plans, &x->series, &target, e);
}

bool explain_message(struct explain *x, struct slice tenant, enum explain_format format,
                     struct slice message, int64_t now_ms, struct explanation *out, struct err *e)
{
    const struct pass_watch watch = {.ctx = x, .series = on_series};
    struct err why = ERR_INIT;
    *out = (struct explanation){.tenant = tenant, .policy_version = x->policy->version};
    x->out = out;
    x->tenant = tenants_find(&x->tenants, tenant);
    if (x->tenant == NULL) {
        return err_set(e, ERR_CONFIG, "the policy does not know the tenant %.*s",
                       SLICE_ARG(tenant));
    }
    struct pass p = {.tenant = x->tenant,
                     .min_ms = now_ms - x->tenant->rules->max_age_ms,
                     .max_ms = now_ms + x->tenant->rules->max_future_ms,
                     .watch = &watch,
                     .series = &x->series,
                     .groups = &x->groups,
                     .rejects = &x->rejects,
                     .walk_arena = &x->walk_arena,
                     .judge_arena = &x->judge_arena};
    groups_reset(&x->groups); /* its first message is not its 0th */
    if (!message_judge(x, &p, format == EXPLAIN_AUTO ? format_of(x, message) : format, message,
                       &why)) {
        if (why.kind != ERR_BAD_INPUT) {
            *e = why;
            return false;
        }
        out->record_reason = why.code == REASON_TOO_LARGE ? REASON_TOO_LARGE : REASON_MALFORMED;
        out->record_text = keep(x, slice_str(why.text));
    }
    out->first = x->first;
    out->rejects = x->rejects.first;
    out->n_samples = p.n_in;
    out->n_samples_refused = x->rejects.n_samples;
    return !x->no_memory || err_set(e, ERR_FATAL, "out of memory");
}
