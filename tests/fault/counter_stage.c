/* The smallest stateful stage: numbers the records of each partition.
 *
 *   topics ──► counter ──► output   "<n> <input>", n = 1, 2, 3 … without gap or repeat per partition
 *                     └──► state    "<n> <offset>"; read back by stage_restore
 *
 * So a reader of output sees at once whether anything was lost, doubled or restored too short. The commit's
 * metadata holds n as well; recover checks that the state and the metadata agree. */
#include "run/log.h"
#include "stage/kafka_client.h"
#include "stage/stage.h"
#include "stage/stage_config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define COUNTER_CONFIG(KEY)                                                                                            \
    STAGE_CONFIG(KEY)                                                                                                  \
    KEY("topics", LIST, "in", 0, 0, "input")                                                                           \
    KEY("output_topic", STRING, "out", 0, 0, "output")                                                                 \
    KEY("state_topic", STRING, "state", 0, 0, "state")                                                                 \
    KEY("blow_up_bytes", INT, "0", 0, 100000000, "a record that begins with ! gives this many bytes of output")        \
    KEY("step_ms", INT, "0", 0, 100000, "each record takes this long")

static const struct config_key keys[] = {COUNTER_CONFIG(CONFIG_ROW)};
static const char *const outputs[] = {"output_topic", "state_topic", NULL};

struct counter {
    const struct config *config;
};

struct count {
    int64_t n;
    int64_t n_restored;
};

static bool take_state(void *ctx, const struct record *r, struct err *e)
{
    struct count *count = ctx;
    char text[64];
    (void)snprintf(text, sizeof text, "%.*s", SLICE_ARG(r->value));
    int64_t n = strtoll(text, NULL, 10);
    if (n != count->n + 1) {
        return err_set(e, ERR_FATAL, "state has %" PRId64 " after %" PRId64, n, count->n);
    }
    count->n = n;
    count->n_restored++;
    return true;
}

static bool recover(void *ctx, struct stage *s, struct partition *p, int64_t committed, struct slice metadata,
                    struct err *e)
{
    struct counter *counter = ctx;
    struct count *count = calloc(1, sizeof *count);
    p->state = count;
    if (!stage_restore(s, config_str(counter->config, "state_topic"), p->number, 0, take_state, count, e)) {
        return false;
    }
    char text[64];
    (void)snprintf(text, sizeof text, "%.*s", SLICE_ARG(metadata));
    int64_t promised = committed < 0 ? 0 : strtoll(text, NULL, 10);
    log_line(LOG_INFO, "restored", LOG_FIELDS(LOG_INT("partition", p->number), LOG_INT("n", count->n),
                                              LOG_INT("committed", committed)));
    return count->n == promised ||
           err_set(e, ERR_FATAL, "partition %d: restored %" PRId64 ", the commit says %" PRId64, p->number, count->n,
                   promised);
}

static bool put(struct outbox *out, int output, int32_t partition, struct slice value, struct err *e)
{
    const struct outgoing r = {.output = output, .partition = partition, .value = value};
    return outbox_put(out, &r, e);
}

static bool step(void *ctx, struct stage *s, const struct record *in, int64_t now_ms, struct outbox *out, struct err *e)
{
    (void)s;
    struct counter *counter = ctx;
    struct count *count = in->partition->state;
    struct buf text;
    buf_init(&text, (size_t)200 << 20);
    buf_printf(&text, "%" PRId64 " ", count->n + 1);
    buf_put_slice(&text, in->value);
    int64_t blow_up = config_int(counter->config, "blow_up_bytes");
    if (blow_up > 0 && in->value.len > 0 && in->value.ptr[0] == '!') {
        /* Random-looking, so that compression does not make it fit after all. */
        uint64_t x = 88172645463325252U;
        for (int64_t i = 0; i < blow_up / 8; i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            buf_le64(&text, x);
        }
    }
    int64_t step_ms = config_int(counter->config, "step_ms");
    if (step_ms > 0) {
        (void)usleep((useconds_t)step_ms * 1000);
    }
    char state[64];
    (void)snprintf(state, sizeof state, "%" PRId64 " %" PRId64, count->n + 1, in->offset);
    bool ok = put(out, 0, in->partition->number, buf_slice(&text), e) &&
              put(out, 1, in->partition->number, slice_str(state), e) && outbox_age(out, now_ms, 1, e);
    count->n += ok ? 1 : 0;
    buf_fini(&text);
    return ok;
}

static bool give_up(void *ctx, struct stage *s, const struct record *in, const char *reason, struct outbox *out,
                    struct err *e)
{
    (void)ctx;
    (void)s;
    struct count *count = in->partition->state;
    char text[256];
    char state[64];
    (void)snprintf(text, sizeof text, "%" PRId64 " given up: %s", count->n + 1, reason);
    (void)snprintf(state, sizeof state, "%" PRId64 " %" PRId64, count->n + 1, in->offset);
    bool ok = put(out, 0, in->partition->number, slice_str(text), e) &&
              put(out, 1, in->partition->number, slice_str(state), e);
    count->n += ok ? 1 : 0;
    return ok;
}

static void checkpoint(void *ctx, struct partition *p, int64_t position, struct checkpoint *out)
{
    (void)ctx;
    (void)position;
    buf_printf(out->metadata, "%" PRId64, ((struct count *)p->state)->n);
}

static void drop(void *ctx, struct partition *p)
{
    (void)ctx;
    free(p->state);
    p->state = NULL;
}

int main(int argc, char **argv)
{
    const struct config_program program = {
        .name = "sluice-test-counter",
        .summary = "numbers records; for tests",
        .version = kafka_version_line(),
        .keys = keys,
        .n_keys = sizeof keys / sizeof keys[0],
    };
    const struct stage_spec spec = {
        .name = "test-counter",
        .kind = STAGE_TRANSFORM,
        .outputs = outputs,
        .n_copartitioned = 1,
        .recover = recover,
        .step = step,
        .give_up = give_up,
        .checkpoint = checkpoint,
        .drop = drop,
    };
    struct err e = ERR_INIT;
    struct config *config = NULL;
    enum config_mode mode = CONFIG_RUN;
    if (!config_load(&program, argc, argv, &config, &mode, &e)) {
        (void)fprintf(stderr, "sluice-test-counter: %s\n", e.text);
        return err_exit_code(&e);
    }
    struct counter counter = {config};
    struct metrics *metrics = metrics_new();
    log_open("test-counter", log_level_of(config_str(config, "log_level")));
    int code = mode == CONFIG_DONE ? 0 : stage_run(&spec, &counter, config, metrics);
    metrics_free(metrics);
    config_free(config);
    return code;
}
