#include "matcher.h"

#include "base/buf.h"

enum { SHARD_DIGITS = 6, MAX_NAME_BYTES = 512, N_SERVER_LABELS = 6 };

static struct hash128 name_key(struct slice metric, struct slice value)
{
    uint8_t text[MAX_NAME_BYTES];
    if (metric.len + 1 + value.len > sizeof text) {
        return (struct hash128){0, 0};
    }
    memcpy(text, metric.ptr, metric.len);
    text[metric.len] = 0;
    if (value.len > 0) {
        memcpy(text + metric.len + 1, value.ptr, value.len);
    }
    return hash128(slice_of(text, metric.len + 1 + value.len));
}

bool matcher_init(struct matcher *t, const struct model *m, struct err *e)
{
    t->model = m;
    t->n_ignored = 0;
    table_init(&t->by_name, 0, NULL);
    for (uint32_t i = 0; i < m->p.n_series; i++) {
        const struct model_series *s = &m->series[i];
        struct hash128 key = name_key(slice_str(s->metric->prometheus), slice_str(s->dimension_value));
        if (!table_put(&t->by_name, key, (void *)(uintptr_t)(i + 1), 0)) {
            matcher_fini(t);
            return err_set(e, ERR_FATAL, "out of memory");
        }
    }
    return true;
}

void matcher_fini(struct matcher *t)
{
    table_fini(&t->by_name);
}

static bool label_get(const struct label *labels, uint32_t n_labels, const char *name,
                      struct slice *value)
{
    for (uint32_t i = 0; i < n_labels; i++) {
        if (slice_eq_str(labels[i].name, name)) {
            *value = labels[i].value;
            return true;
        }
    }
    return false;
}

static bool shard_read(struct slice shard, uint32_t *number)
{
    if (shard.len != SHARD_DIGITS + 1 || shard.ptr[0] != 's') {
        return false;
    }
    *number = 0;
    for (size_t i = 1; i < shard.len; i++) {
        if (shard.ptr[i] < '0' || shard.ptr[i] > '9') {
            return false;
        }
        *number = *number * 10 + (uint32_t)(shard.ptr[i] - '0');
    }
    return true;
}

static bool is_ignored(const struct matcher *t, struct slice name)
{
    for (uint32_t i = 0; i < t->n_ignored; i++) {
        if (slice_eq_str(name, t->ignored[i])) {
            return true;
        }
    }
    return slice_eq_str(name, "__name__");
}

/* Each label is one that the series must have, and none of them is missing. */
static bool labels_equal(const struct matcher *t, const struct model_server *server,
                         const struct model_series *series, const struct label *labels,
                         uint32_t n_labels)
{
    const struct {
        const char *name;
        const char *value;
    } expected[N_SERVER_LABELS + 1] = {
        {"az", server->az},
        {"build_id", server->build_id},
        {"cluster", server->cluster},
        {"instance_type", server->instance_type},
        {"region", server->region},
        {"shard_id", server->shard_id},
        {series->metric->dimension, series->dimension_value},
    };
    uint32_t n_found = 0;
    for (uint32_t i = 0; i < n_labels; i++) {
        if (is_ignored(t, labels[i].name)) {
            continue;
        }
        uint32_t k = 0;
        while (k <= N_SERVER_LABELS && !slice_eq_str(labels[i].name, expected[k].name)) {
            k++;
        }
        if (k > N_SERVER_LABELS || !slice_eq_str(labels[i].value, expected[k].value)) {
            return false;
        }
        n_found++;
    }
    return n_found == N_SERVER_LABELS + 1;
}

enum match matcher_find(struct matcher *t, struct slice metric, const struct label *labels,
                        uint32_t n_labels, uint32_t *server, uint32_t *series)
{
    const struct model_params *p = &t->model->p;
    struct slice shard;
    uint32_t number;
    if (!label_get(labels, n_labels, "shard_id", &shard) || !shard_read(shard, &number) ||
        number < p->first_server || number - p->first_server >= p->n_servers) {
        return MATCH_OTHER;
    }
    *server = number - p->first_server;
    struct slice value = SLICE_NONE;
    if (!label_get(labels, n_labels, "queue", &value)) {
        (void)label_get(labels, n_labels, "asn_bucket", &value);
    }
    uintptr_t found = (uintptr_t)table_find(&t->by_name, name_key(metric, value));
    if (found == 0) {
        return MATCH_UNEXPECTED;
    }
    *series = (uint32_t)(found - 1);
    struct model_server names;
    model_server(t->model, *server, &names);
    return labels_equal(t, &names, &t->model->series[*series], labels, n_labels) ? MATCH_OURS
                                                                                 : MATCH_UNEXPECTED;
}
