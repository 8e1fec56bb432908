#include "publish.h"

#include "base/clock.h"
#include "batch/batch.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { SHED_WAIT_MS = 2000, AWAY_WAIT_MS = 2000 };

void publish_drop_body(struct request *r)
{
    load_remove(&r->service->load, r->tenant, r->n_body_bytes_loaded);
    r->n_body_bytes_loaded = 0;
    buf_fini(&r->body);
}

static void put(struct request *r, const struct publication *p)
{
    struct err e = ERR_INIT;
    load_add(&r->service->load, r->tenant, p->value.len);
    flight_expect(&r->flight, p->value.len);
    if (!publisher_put(r->service->publisher, p, &e)) {
        flight_land(&r->flight, &e);
    }
}

/* --- bodies that go on as they came --- */

static bool pass_look(struct request *r, const struct judged *judged)
{
    r->answer = (struct answer){.status = r->routed.route == ROUTE_OTLP ? 200 : 204,
                                .says_written = r->routed.format == EDGE_REMOTE_WRITE_2,
                                .n_scalars = judged->edge.n_scalars,
                                .n_histograms = judged->edge.n_histograms};
    return judged->unpacked.len > 0; /* an empty one is a message without points */
}

static void pass_put_one(struct request *r, int32_t partition, struct slice value)
{
    static const char *const types[] = {
        [EDGE_OTLP] = "application/x-protobuf",
        [EDGE_OTLP_JSON] = "application/x-protobuf",
        [EDGE_REMOTE_WRITE_1] = "application/x-protobuf;proto=prometheus.WriteRequest",
        [EDGE_REMOTE_WRITE_2] = "application/x-protobuf;proto=io.prometheus.write.v2.Request",
    };
    bool is_snappy = r->routed.route == ROUTE_REMOTE_WRITE;
    struct publication p = {
        .partition = partition,
        .n_headers = is_snappy ? 3 : 2,
        .headers = {{SLICE_LITERAL("sluice-tenant"), r->tenant->name},
                    {SLICE_LITERAL("content-type"), slice_str(types[r->routed.format])},
                    {SLICE_LITERAL("content-encoding"), SLICE_LITERAL("snappy")}},
        .value = value,
        .token = &r->flight,
    };
    put(r, &p);
}

/* Of OTLP each source's part goes to the source's partition. A remote write is one record, and so are
 * resources that do not say whose they are: those go to their client's partition, by its address. */
static void pass_put(struct request *r, const struct judged *judged)
{
    const struct edge_way way = {
        .other_source = source_id(r->tenant->name, slice_of(r->peer->address, sizeof r->peer->address)),
        .n_partitions = (int32_t)publisher_n_partitions(r->service->publisher),
    };
    struct edge_parts parts = {0};
    struct err e = ERR_INIT;
    if (r->routed.route == ROUTE_REMOTE_WRITE) {
        pass_put_one(r, batch_partition(way.other_source, way.n_partitions), buf_slice(&r->body));
    } else if (!judge_split(&r->service->judges[r->lane->number], r->tenant->name, judged->unpacked, &way, &parts, &e)) {
        flight_expect(&r->flight, 0);
        flight_land(&r->flight, &e);
    }
    for (uint32_t i = 0; i < parts.n; i++) {
        pass_put_one(r, parts.items[i].partition, parts.items[i].value);
    }
}

/* --- bodies that were judged --- */

/* Which batches are shed is decided once, before the first is put: the load grows by them. */
struct shedding {
    struct shed_orders rules;
    bool by_load[N_CLASSES];
    uint32_t n_kept; /* batches */
    uint64_t n_scalars; /* in them */
    uint64_t n_histograms;
};

static void shed_look(struct request *r, const struct edge_answer *edge, struct shedding *s)
{
    directory_sheds(r->service->directory, r->tenant, &s->rules);
    for (int i = 0; i < N_CLASSES; i++) {
        s->by_load[i] = load_sheds(&r->service->load, (enum batch_class)i);
    }
    for (uint32_t i = 0; i < edge->n_batches; i++) {
        const struct edge_batch *b = &edge->batches[i];
        if (s->rules.sheds[b->class]) {
            r->outcome.n_shed_by_rule[b->class] += b->n_samples;
        } else if (s->by_load[b->class]) {
            r->outcome.n_shed[b->class] += b->n_samples;
        } else {
            r->outcome.n_out += b->n_samples;
            s->n_scalars += b->n_samples - b->n_histograms;
            s->n_histograms += b->n_histograms;
            s->n_kept++;
        }
    }
}

static uint64_t sum_of(const uint64_t n_by_class[N_CLASSES])
{
    uint64_t n = 0;
    for (int i = 0; i < N_CLASSES; i++) {
        n += n_by_class[i];
    }
    return n;
}

static void count_judged(struct request *r, const struct edge_answer *edge)
{
    struct directory *d = r->service->directory;
    r->outcome.n_in = edge->n_in;
    for (int i = 0; i < N_REASONS; i++) {
        r->outcome.n_by_reason[i] = edge->n_by_reason[i];
    }
    r->outcome.n_by_reason[REASON_DUPLICATE_SAME] += edge->n_same;
    for (uint32_t i = 0; i < edge->n_kills; i++) {
        directory_count_kill(d, r->tenant, edge->kills[i].rule_id, edge->kills[i].n_samples);
    }
    directory_charge(d, r->tenant, QUOTA_SAMPLES, edge->n_in);
}

/* One clause more. */
static void say(struct answer *a, enum reason reason, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void say(struct answer *a, enum reason reason, const char *fmt, ...)
{
    size_t used = strlen(a->text);
    va_list args;
    a->reason = a->reason == REASON_NONE ? reason : a->reason;
    used += used == 0 ? 0 : (size_t)snprintf(a->text + used, sizeof a->text - used, "; ");
    va_start(args, fmt);
    if (used < sizeof a->text) {
        (void)vsnprintf(a->text + used, sizeof a->text - used, fmt, args);
    }
    va_end(args);
}

/* What is answered when the records that are kept have been acknowledged.
 *
 * Remote write has no way to say that a part was shed but a status, and resends all at 429; OTLP
 * says it in a 200, unless all of it was. What is refused beside it is refused again when it comes
 * again. What the operators shed is as good as refused: it would be shed again for as long as the
 * rule lives, and at 429 hold up what is more important behind it. */
static void judged_answer(struct request *r, const struct edge_answer *edge, const struct shedding *s)
{
    struct answer *a = &r->answer;
    bool is_otlp = r->routed.route == ROUTE_OTLP;
    uint64_t shed = sum_of(r->outcome.n_shed);
    uint64_t shed_by_rule = sum_of(r->outcome.n_shed_by_rule);
    uint64_t refused = edge->n_rejected + shed_by_rule;
    bool all_shed = shed > 0 && s->n_kept == 0 && refused == 0;
    *a = (struct answer){.status = is_otlp ? 200 : 204, .reason = edge->first_reason};
    a->says_written = r->routed.format == EDGE_REMOTE_WRITE_2;
    a->n_scalars = s->n_scalars;
    a->n_histograms = s->n_histograms;
    a->n_rejected = refused + shed;
    (void)snprintf(a->text, sizeof a->text, "%s", edge->text);
    if (refused > 0 && !is_otlp) {
        a->status = 400;
    }
    if (shed_by_rule > 0) {
        say(a, REASON_SHED, "%" PRIu64 " samples of less important classes are shed for a while by the operators' rule %s",
            shed_by_rule, shed_orders_rule(&s->rules, r->outcome.n_shed_by_rule));
    }
    if (shed > 0) {
        say(a, REASON_OVERLOADED, "%" PRIu64 " samples of less important classes were shed, since the gateway is overloaded",
            shed);
    }
    if (all_shed || (shed > 0 && !is_otlp)) {
        a->status = 429;
        a->reason = REASON_OVERLOADED;
        a->n_rejected = 0;
        a->retry_after_s = directory_retry_after(r->service->directory, SHED_WAIT_MS);
    }
}

static void judged_put(struct request *r, const struct edge_answer *edge, const struct shedding *s)
{
    int32_t n_partitions = (int32_t)publisher_n_partitions(r->service->publisher);
    for (uint32_t i = 0; i < edge->n_batches; i++) {
        const struct edge_batch *b = &edge->batches[i];
        const struct publication p = {
            .partition = batch_partition(b->source, n_partitions),
            .n_headers = 1,
            .headers = {{SLICE_LITERAL("sluice-tenant"), r->tenant->name}},
            .value = b->value,
            .token = &r->flight,
        };
        if (!s->rules.sheds[b->class] && !s->by_load[b->class]) {
            put(r, &p);
        }
    }
}

/* --- both --- */

static bool is_wanted(struct request *r, const struct judged *judged, struct shedding *s)
{
    if (!r->service->passes) {
        count_judged(r, &judged->edge);
        shed_look(r, &judged->edge, s);
        judged_answer(r, &judged->edge, s);
        return s->n_kept > 0;
    }
    bool ok = pass_look(r, judged);
    if (ok && load_sheds(&r->service->load, CLASS_STANDARD)) {
        answer_refuse(&r->answer, 429, REASON_OVERLOADED, "the gateway is overloaded, and sheds what is not critical");
        r->answer.retry_after_s = directory_retry_after(r->service->directory, SHED_WAIT_MS);
        ok = false;
    }
    return ok;
}

bool publish_request(struct request *r)
{
    struct service *s = r->service;
    struct judge *judge = &s->judges[r->lane->number];
    struct judged judged;
    struct shedding shedding = {0};
    struct slice body = buf_slice(&r->body);
    if (!judge_body(judge, r->tenant->name, &r->routed, body, clock_now_ms(), &judged, &r->answer)) {
        directory_charge(s->directory, r->tenant, QUOTA_BYTES, body.len);
        return true;
    }
    r->outcome.n_unpacked_bytes = judged.unpacked.len;
    directory_charge(s->directory, r->tenant, QUOTA_BYTES, judged.unpacked.len);
    bool flies = is_wanted(r, &judged, &shedding);
    if (flies) {
        r->state = REQUEST_FLIES;
        flights_begin(&s->flights, &r->flight, r->connection, clock_mono_ms() + s->ack_timeout_ms);
        if (s->passes) {
            pass_put(r, &judged);
        } else {
            judged_put(r, &judged.edge, &shedding);
        }
    }
    judge_let_go(judge);
    publish_drop_body(r);
    if (flies && s->fault_ack_early) {
        flight_wake(&r->flight);
    }
    if (flies) {
        flight_land(&r->flight, NULL);
    }
    return !flies;
}

/* None of its samples is known to be stored. */
static void unpublish(struct request *r)
{
    r->outcome.n_by_reason[REASON_UNAVAILABLE] += r->outcome.n_out;
    r->outcome.n_out = 0;
}

void publish_outcome(struct request *r)
{
    const struct flight *f = &r->flight;
    if (!f->timed_out && f->failed.kind == ERR_NONE) {
        return;
    }
    if (!f->timed_out && f->failed.kind == ERR_BAD_INPUT) {
        answer_refuse(&r->answer, 413, REASON_TOO_LARGE, "the brokers don't take it: %.200s; send it in parts",
                      f->failed.text);
    } else {
        answer_refuse(&r->answer, 503, REASON_UNAVAILABLE,
                      "the brokers did not acknowledge it%s%.200s; it may be stored or not: send it again",
                      f->timed_out ? " in time" : ": ", f->timed_out ? "" : f->failed.text);
        r->answer.retry_after_s = directory_retry_after(r->service->directory, AWAY_WAIT_MS);
    }
    unpublish(r);
}
