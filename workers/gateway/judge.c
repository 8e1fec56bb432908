#include "judge.h"

#include "wire/otlp_json.h"
#include "wire/protobuf.h"
#include "wire/remote_write.h"

enum { RATIO_FROM_BYTES = 1 << 20, KEPT_BYTES = 4 << 20, SCRATCH_BYTES = 32 << 20 };

bool judge_init(struct judge *j, const struct judge_options *o, struct err *e)
{
    *j = (struct judge){.o = *o};
    controls_init(&j->controls, &j->draw);
    buf_init(&j->unpacked, o->max_unpacked_bytes + 1); /* one more, so that too much shows */
    buf_init(&j->converted, otlp_json_default_caps.max_message_bytes);
    arena_init(&j->scratch, SCRATCH_BYTES);
    if (pthread_mutex_init(&j->lock, NULL) != 0) {
        return err_set(e, ERR_FATAL, "judge: no mutex");
    }
    const struct edge_options options = {.policy_path = o->policy_path, .cache_bytes = o->cache_bytes};
    if (!edge_new(&options, &j->edge, e)) {
        return false;
    }
    edge_set_controls(j->edge, &j->controls);
    return true;
}

void judge_fini(struct judge *j)
{
    if (j->edge != NULL) {
        edge_free(j->edge);
    }
    controls_fini(&j->controls);
    buf_fini(&j->unpacked);
    buf_fini(&j->converted);
    arena_fini(&j->scratch);
    (void)pthread_mutex_destroy(&j->lock);
}

/* What the body may become: the ceiling, or less if it is small for what it would be. */
static size_t most_unpacked(const struct judge *j, size_t n_packed)
{
    size_t most = n_packed > j->o.max_unpacked_bytes / (size_t)j->o.max_ratio ? j->o.max_unpacked_bytes
                                                                             : n_packed * (size_t)j->o.max_ratio;
    most = most < RATIO_FROM_BYTES ? RATIO_FROM_BYTES : most;
    return most < j->o.max_unpacked_bytes ? most : j->o.max_unpacked_bytes;
}

static bool unpack(struct judge *j, const struct routed *routed, struct slice body, struct slice *out,
                   struct answer *refusal)
{
    struct err e = ERR_INIT;
    size_t most = most_unpacked(j, body.len);
    buf_reset(&j->unpacked);
    *out = body;
    if (body.len > j->o.max_unpacked_bytes) {
        answer_refuse(refusal, 413, REASON_TOO_LARGE, "the body has more than %zu bytes; send it in parts",
                      j->o.max_unpacked_bytes);
        return false;
    }
    if (!routed->is_packed || body.len == 0) {
        return true;
    }
    if (inflate_bytes(routed->packing, body, most, &j->unpacked, &e)) {
        *out = buf_slice(&j->unpacked);
        return true;
    }
    if (e.kind != ERR_BAD_INPUT) {
        answer_refuse(refusal, 503, REASON_OVERLOADED, "%s", e.text);
    } else if (e.code == INFLATE_TOO_LARGE) {
        answer_refuse(refusal, 413, REASON_TOO_LARGE, "%s%s; send it in parts", e.text,
                      most < j->o.max_unpacked_bytes ? ", which is more than its packed size may become" : "");
    } else {
        answer_refuse(refusal, 400, REASON_MALFORMED, "%s", e.text);
    }
    return false;
}

static void refuse_by(const struct err *e, struct answer *refusal)
{
    enum reason reason = e->kind == ERR_BAD_INPUT ? (enum reason)e->code : REASON_NONE;
    unsigned status = e->kind != ERR_BAD_INPUT            ? 500
                      : reason == REASON_UNKNOWN_TENANT   ? 403
                      : reason == REASON_TOO_LARGE        ? 413
                      : reason == REASON_UNSUPPORTED_TYPE ? 415
                                                          : 400;
    answer_refuse(refusal, status, reason, "%s", e->text);
}

static bool refuse_unread(const struct err *e, struct answer *refusal)
{
    bool is_too_large = e->kind == ERR_BAD_INPUT && e->code == PB_TOO_LARGE;
    answer_refuse(refusal, is_too_large ? 413 : e->kind == ERR_BAD_INPUT ? 400 : 500,
                  is_too_large ? REASON_TOO_LARGE : REASON_MALFORMED, "%s", e->text);
    return false;
}

/* Who reads the ingest topic does not take JSON. */
static bool convert(struct judge *j, struct slice *body, struct answer *refusal)
{
    struct err e = ERR_INIT;
    buf_reset(&j->converted);
    if (otlp_json_read(*body, &otlp_json_default_caps, &j->converted, &e)) {
        *body = buf_slice(&j->converted);
        return true;
    }
    return refuse_unread(&e, refusal);
}

static bool count_series(void *ctx, const struct remote_write_series *s, struct err *e)
{
    (void)ctx;
    (void)s;
    (void)e;
    return true;
}

static bool count_point(void *ctx, const struct remote_write_series *s, const struct remote_write_point *p, struct err *e)
{
    struct edge_answer *counts = ctx;
    (void)s;
    (void)e;
    counts->n_scalars += p->histogram.ptr == NULL;
    counts->n_histograms += p->histogram.ptr != NULL;
    return true;
}

/* Who sends remote write 2.0 takes an answer that does not say how much was written for one that
 * has written nothing. */
static bool count(struct judge *j, struct slice message, struct edge_answer *counts, struct answer *refusal)
{
    struct err e = ERR_INIT;
    const struct remote_write_sink sink = {.ctx = counts, .series = count_series, .point = count_point};
    bool ok = remote_write_walk(REMOTE_WRITE_2, message, &remote_write_default_caps, &j->scratch, &sink, &e);
    arena_reset(&j->scratch);
    return ok || refuse_unread(&e, refusal);
}

bool judge_body(struct judge *j, struct slice tenant, const struct routed *routed, struct slice body,
                int64_t now_ms, struct judged *out, struct answer *refusal)
{
    struct err e = ERR_INIT;
    *out = (struct judged){0};
    (void)pthread_mutex_lock(&j->lock);
    bool ok = unpack(j, routed, body, &out->unpacked, refusal);
    if (ok && j->o.passes && routed->format == EDGE_OTLP_JSON) {
        ok = convert(j, &out->unpacked, refusal);
    }
    if (ok && j->o.passes && routed->format == EDGE_REMOTE_WRITE_2) {
        ok = count(j, out->unpacked, &out->edge, refusal);
    }
    if (ok && !j->o.passes &&
        !edge_judge(j->edge, tenant, routed->format, out->unpacked, now_ms, &out->edge, &e)) {
        refuse_by(&e, refusal);
        ok = false;
    }
    if (!ok) {
        judge_let_go(j);
    }
    return ok;
}

bool judge_split(struct judge *j, struct slice tenant, struct slice otlp, const struct edge_way *way,
                 struct edge_parts *out, struct err *e)
{
    return edge_split(j->edge, tenant, otlp, way, out, e);
}

void judge_let_go(struct judge *j)
{
    if (j->unpacked.cap > KEPT_BYTES) {
        buf_fini(&j->unpacked); /* what one large body took is not kept for the small ones */
    }
    (void)pthread_mutex_unlock(&j->lock);
}

enum policy_change judge_reload(struct judge *j, struct err *e)
{
    (void)pthread_mutex_lock(&j->lock);
    enum policy_change change = edge_reload(j->edge, e);
    (void)pthread_mutex_unlock(&j->lock);
    return change;
}

bool judge_control(struct judge *j, struct slice id, struct slice value, int64_t now_ms, struct err *e)
{
    (void)pthread_mutex_lock(&j->lock);
    bool ok = controls_take(&j->controls, id, value, now_ms, e);
    (void)pthread_mutex_unlock(&j->lock);
    return ok;
}

void judge_expire(struct judge *j, int64_t now_ms)
{
    (void)pthread_mutex_lock(&j->lock);
    (void)controls_expire(&j->controls, now_ms);
    (void)pthread_mutex_unlock(&j->lock);
}
