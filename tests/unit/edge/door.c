#include "door.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void door_policy(struct door *d, const char *json)
{
    FILE *f = fopen(d->policy_path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(json, 1, strlen(json), f), strlen(json));
    ck_assert_int_eq(fclose(f), 0);
}

void door_open(struct door *d, const char *policy, size_t cache_bytes)
{
    struct err e = ERR_INIT;
    *d = (struct door){.edge = NULL};
    (void)snprintf(d->policy_path, sizeof d->policy_path, "/tmp/edge-test-XXXXXX");
    int fd = mkstemp(d->policy_path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(close(fd), 0);
    door_policy(d, policy == NULL ? "{\"tenants\": {\"t\": {}}}" : policy);
    const struct edge_options o = {.policy_path = d->policy_path,
                                   .cache_bytes = cache_bytes == 0 ? (size_t)64 << 20 : cache_bytes};
    ck_assert_msg(edge_new(&o, &d->edge, &e), "%s", e.text);
}

void door_close(struct door *d)
{
    edge_free(d->edge);
    (void)unlink(d->policy_path);
}

static void check_accounts(const struct edge_answer *a)
{
    uint64_t n_rejected = 0;
    uint64_t n_in_batches = 0;
    for (int i = 0; i < N_REASONS; i++) {
        n_rejected += a->n_by_reason[i];
    }
    for (uint32_t i = 0; i < a->n_batches; i++) {
        n_in_batches += a->batches[i].n_samples;
    }
    ck_assert_uint_eq(a->n_in, a->n_accepted + a->n_same + a->n_rejected);
    ck_assert_uint_eq(a->n_rejected, n_rejected);
    ck_assert_uint_eq(a->n_accepted, n_in_batches);
    ck_assert_uint_eq(a->n_accepted, a->n_scalars + a->n_histograms);
    ck_assert_int_eq(a->first_reason == REASON_NONE, a->n_rejected == 0);
    ck_assert_int_eq(a->text[0] == '\0', a->n_rejected == 0);
}

bool door_judge(struct door *d, enum edge_format format, struct slice body)
{
    d->why = (struct err)ERR_INIT;
    if (!edge_judge(d->edge, SLICE_LITERAL("t"), format, body, NOW_MS, &d->answer, &d->why)) {
        ck_assert_int_eq(d->why.kind, ERR_BAD_INPUT);
        ck_assert(d->why.text[0] != '\0');
        return false;
    }
    check_accounts(&d->answer);
    return true;
}

void door_judge_points(struct door *d, const char *attributes, const struct message_point *points,
                       size_t n)
{
    struct buf b;
    buf_init(&b, 1 << 26);
    message_resource(&b, attributes, points, n);
    ck_assert_msg(door_judge(d, EDGE_OTLP, buf_slice(&b)), "%s", d->why.text);
    buf_fini(&b);
}

const char *door_text(struct door *d)
{
    struct rig r;
    rig_open(&r, &(struct rig_options){.topic = "metrics.ingest"});
    r.headers[r.n_headers++] = (struct record_header){slice_str("sluice-tenant"), slice_str("t")};
    for (uint32_t i = 0; i < d->answer.n_batches; i++) {
        rig_send(&r, d->answer.batches[i].value);
    }
    const char *text = rig_text(&r, true);
    rig_close(&r);
    return text;
}
