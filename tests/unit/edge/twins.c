#include "twins.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void die(const char *what)
{
    (void)fprintf(stderr, "twins: %s\n", what);
    exit(1);
}

void twins_open(struct twins *t, const char *policy, size_t cache_bytes)
{
    *t = (struct twins){.edges = {NULL, NULL}};
    (void)snprintf(t->policy_path, sizeof t->policy_path, "/tmp/edge-twins-XXXXXX");
    int fd = mkstemp(t->policy_path);
    if (fd < 0 || write(fd, policy, strlen(policy)) != (ssize_t)strlen(policy) || close(fd) != 0) {
        die("no policy file");
    }
    for (int i = 0; i < 2; i++) {
        const struct edge_options o = {
            .policy_path = t->policy_path, .cache_bytes = cache_bytes, .no_skeletons = i == 1};
        struct err e = ERR_INIT;
        if (!edge_new(&o, &t->edges[i], &e)) {
            die(e.text);
        }
    }
    (void)unlink(t->policy_path);
}

void twins_close(struct twins *t)
{
    edge_free(t->edges[0]);
    edge_free(t->edges[1]);
}

static const char *answers_differ(const struct edge_answer *x, const struct edge_answer *y)
{
    if (x->n_in != y->n_in || x->n_accepted != y->n_accepted || x->n_same != y->n_same ||
        x->n_scalars != y->n_scalars || memcmp(x->n_by_reason, y->n_by_reason, sizeof x->n_by_reason) != 0) {
        return "the counts";
    }
    if (strcmp(x->text, y->text) != 0) {
        return "the text";
    }
    if (x->n_batches != y->n_batches) {
        return "the number of batches";
    }
    for (uint32_t i = 0; i < x->n_batches; i++) {
        const struct edge_batch *a = &x->batches[i];
        const struct edge_batch *b = &y->batches[i];
        if (a->source != b->source || a->n_samples != b->n_samples || a->class != b->class ||
            !slice_eq(a->value, b->value)) {
            return "a batch";
        }
    }
    return x->n_in == x->n_accepted + x->n_same + x->n_rejected ? NULL : "the sums";
}

const char *twins_differ(struct twins *t, enum edge_format format, struct slice body, int64_t now_ms,
                         uint64_t *n_accepted)
{
    struct edge_answer answers[2];
    struct err why[2] = {ERR_INIT, ERR_INIT};
    bool ok[2];
    for (int i = 0; i < 2; i++) {
        ok[i] = edge_judge(t->edges[i], SLICE_LITERAL("t"), format, body, now_ms, &answers[i], &why[i]);
    }
    *n_accepted = ok[0] ? answers[0].n_accepted : 0;
    if (ok[0] != ok[1]) {
        return "whether it can be read";
    }
    if (ok[0]) {
        return answers_differ(&answers[0], &answers[1]);
    }
    if (why[0].kind != ERR_BAD_INPUT || why[0].text[0] == '\0') {
        return "an error of the wrong kind or without text";
    }
    bool same = why[0].kind == why[1].kind && why[0].code == why[1].code &&
                strcmp(why[0].text, why[1].text) == 0;
    return same ? NULL : "the error";
}
