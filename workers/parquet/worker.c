#include "worker.h"

#include "aws/credentials.h"
#include "aws/region.h"
#include "base/clock.h"
#include "portion.h"
#include "run/log.h"
#include "run/signals.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    ARENA_MAX_BYTES = 256 << 20,
    MIN_REFRESH_MS = 30000,
    TRIES_A_CALL = 2,
    MAX_ANSWER_BYTES = 16 << 20
};

struct worker {
    struct portion_options portions_have;
    struct portion *portions;
    struct metrics *metrics;
    struct credentials *credentials;
    struct uploader *uploader;
    struct s3_options s3;
    struct arena arena; /* of one record */
    int wake_fd;
    char region[REGION_MAX_CHARS + 1];
    int64_t gauges_at_ms;
};

/* --- the stage's callbacks --- */

static bool worker_recover(void *ctx, struct stage *s, struct partition *p, int64_t committed,
                           struct slice metadata, struct err *e)
{
    struct worker *w = ctx;
    struct portion *portion = NULL;
    bool ok = portion_new(&w->portions_have, s, p, committed, metadata, &portion, e);
    if (portion != NULL) {
        p->state = portion;
        portion->next = w->portions;
        w->portions = portion;
    }
    return ok;
}

static void worker_drop(void *ctx, struct partition *p)
{
    struct worker *w = ctx;
    struct portion **at = &w->portions;
    while (*at != NULL && *at != p->state) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        struct portion *gone = *at;
        *at = gone->next;
        portion_free(gone);
    }
    p->state = NULL;
}

/* Our own stages wrote it, and amp refers such a batch to the DLQ: counted and passed over. */
static void reject(struct worker *w, const struct record *r, const struct err *why)
{
    struct slice values[2] = {SLICE_NONE, SLICE_LITERAL("unreadable")};
    cell_add(metrics_cell(w->metrics, M_RECORDS_REJECTED, values), 1);
    log_line(LOG_ERROR, "a record can't be read: it is in no object",
             LOG_FIELDS(LOG_STR("topic", (const char *)r->partition->topic.ptr),
                        LOG_INT("partition", r->partition->number), LOG_INT("offset", r->offset),
                        LOG_STR("error", why->text)));
}

static bool worker_step(void *ctx, struct stage *s, const struct record *in, int64_t now_ms,
                        struct outbox *out, struct err *e)
{
    struct worker *w = ctx;
    struct portion *p = in->partition->state;
    struct decoded d;
    struct record_rows rows = {NULL, NULL};
    (void)now_ms;
    (void)out;
    arena_reset(&w->arena);
    bool ok = in->value.ptr == NULL || decoded_rows(in->value, &w->arena, &d, &rows, e);
    ok = ok && portion_take(p, in, rows, e);
    if (!ok && e->kind == ERR_BAD_INPUT) {
        struct err why = *e;
        err_reset(e);
        ok = portion_take(p, in, (struct record_rows){NULL, NULL}, e);
        if (ok) {
            reject(w, in, &why);
        }
    }
    return ok && portion_turn(p, s, signals_stop_requested(), e);
}

static void wait_for_news(const struct worker *w, int wake_fd, int timeout_ms)
{
    struct pollfd fds[2] = {{.fd = wake_fd, .events = POLLIN},
                            {.fd = w->wake_fd, .events = POLLIN}};
    uint64_t drained;
    (void)poll(fds, 2, timeout_ms);
    (void)!read(w->wake_fd, &drained, sizeof drained);
}

static void set_gauge(struct worker *w, enum metric_id id, const char *label, double value)
{
    struct slice labels = slice_str(label == NULL ? "" : label);
    cell_set(metrics_cell(w->metrics, id, label == NULL ? NULL : &labels), value);
}

static void update_gauges(struct worker *w)
{
    double n_stopped[N_STOP_REASONS] = {0};
    double n_s3 = 0;
    double n_denied = 0;
    double n_scratch = 0;
    double n_rows = 0;
    double n_bytes = 0;
    int64_t now_ms = clock_mono_ms();
    int64_t oldest_ms = now_ms;
    for (const struct portion *p = w->portions; p != NULL; p = p->next) {
        struct upload_status u;
        portion_status(p, &u);
        n_stopped[p->stopped]++;
        n_scratch += u.is_failing && u.is_scratch;
        n_denied += u.is_failing && !u.is_scratch && u.is_denied;
        n_s3 += u.is_failing && !u.is_scratch && !u.is_denied;
        n_rows += (double)p->log.n_rows;
        n_bytes += p->range == NULL ? 0 : (double)range_held_bytes(p->range);
        oldest_ms =
            p->opened_mono_ms > 0 && p->opened_mono_ms < oldest_ms ? p->opened_mono_ms : oldest_ms;
    }
    for (int i = 1; i < N_STOP_REASONS; i++) {
        set_gauge(w, M_PARTITIONS_STOPPED, stop_reason_names[i], n_stopped[i]);
    }
    set_gauge(w, M_S3_FAILING, "s3", n_s3);
    set_gauge(w, M_S3_FAILING, "denied", n_denied);
    set_gauge(w, M_S3_FAILING, "scratch", n_scratch);
    set_gauge(w, M_RANGE_ROWS, NULL, n_rows);
    set_gauge(w, M_RANGE_BYTES, NULL, n_bytes);
    set_gauge(w, M_RANGE_OLDEST, NULL, (double)(now_ms - oldest_ms) / 1000.0);
}

static bool worker_drive(void *ctx, struct stage *s, int wake_fd, int timeout_ms, struct err *e)
{
    struct worker *w = ctx;
    wait_for_news(w, wake_fd, timeout_ms);
    for (struct portion *p = w->portions; p != NULL; p = p->next) {
        if (!portion_turn(p, s, signals_stop_requested(), e)) {
            return err_wrap(e, "%.*s[%d]", SLICE_ARG(p->partition->topic), p->partition->number);
        }
    }
    if (clock_mono_ms() - w->gauges_at_ms >= 200) {
        w->gauges_at_ms = clock_mono_ms();
        update_gauges(w);
    }
    return true;
}

static bool worker_committed(void *ctx, struct stage *s, struct partition *p, struct err *e)
{
    (void)ctx;
    return p->state == NULL || portion_committed(p->state, s, e);
}

static bool worker_is_idle(void *ctx)
{
    struct worker *w = ctx;
    for (const struct portion *p = w->portions; p != NULL; p = p->next) {
        if (portion_is_busy(p)) {
            return false;
        }
    }
    return true;
}

const struct stage_spec parquet_spec = {
    .name = "parquet",
    .kind = STAGE_SINK,
    .recover = worker_recover,
    .step = worker_step,
    .drop = worker_drop,
    .drive = worker_drive,
    .is_idle = worker_is_idle,
    .committed = worker_committed,
};

/* --- configuration --- */

/* Object metadata are headers. */
static bool is_visible_ascii(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < ' ' || text.ptr[i] > '~') {
            return false;
        }
    }
    return true;
}

static bool layout_of(const struct config *c, struct layout *out, char text[INTENT_MAX_LAYOUT + 1],
                      struct err *e)
{
    const char *const *labels;
    size_t n_labels = config_list(c, "label_columns", &labels);
    struct buf b;
    if (!layout_init(out, config_str(c, "prefix"), (int)config_int(c, "hours"),
                     config_bool(c, "tenant_level"), labels, n_labels, e)) {
        return false;
    }
    buf_init(&b, INTENT_MAX_LAYOUT);
    layout_text(out, &b);
    bool ok = buf_ok(&b) ||
              err_set(e, ERR_CONFIG,
                      "prefix and label_columns: longer than fits into an object's metadata");
    ok = ok && (is_visible_ascii(buf_slice(&b)) ||
                err_set(e, ERR_CONFIG,
                        "prefix and label_columns: only ASCII fits into an object's metadata"));
    if (ok) {
        memcpy(text, b.ptr, b.len);
        text[b.len] = '\0';
    }
    buf_fini(&b);
    return ok;
}

static bool check_keys(const struct config *c, struct err *e)
{
    const char *const *keys;
    size_t n = config_list(c, "kms_keys", &keys);
    for (size_t i = 0; i < n; i++) {
        if (keys[i][0] == '=' || strchr(keys[i], '=') == NULL) {
            return err_set(e, ERR_CONFIG, "kms_keys: \"%.60s\" is not tenant=key", keys[i]);
        }
    }
    return n == 0 || config_bool(c, "tenant_level") ||
           err_set(e, ERR_CONFIG, "kms_keys needs tenant_level, since an object has one key");
}

bool worker_check(const struct config *c, struct err *e)
{
    struct layout layout;
    char text[INTENT_MAX_LAYOUT + 1];
    char region[REGION_MAX_CHARS + 1];
    const char *start = config_str(c, "start");
    if (start[0] != '\0' && strcmp(start, "earliest") != 0) {
        return err_set(e, ERR_CONFIG, "start is \"earliest\" or empty");
    }
    if (config_int(c, "min_backoff_ms") > config_int(c, "max_backoff_ms")) {
        return err_set(e, ERR_CONFIG, "min_backoff_ms must not be above max_backoff_ms");
    }
    return layout_of(c, &layout, text, e) && check_keys(c, e) && credentials_choose_region(config_str(c, "aws.region"), "aws.region", region, sizeof region, e);
}

/* --- life --- */

static bool scratch_is_writable(const char *path, struct err *e)
{
    return access(path, W_OK | X_OK) == 0 ||
           err_set_code(e, ERR_CONFIG, errno, "scratch_dir %.150s: %s", path, strerror(errno));
}

static bool open_uploader(struct worker *w, const struct config *c, struct err *e)
{
    const struct credentials_options credentials = {.user_agent = "sluice/" SLUICE_VERSION,
                                                    .min_refresh_ms = MIN_REFRESH_MS};
    struct uploader_options o = {
        .n_threads = (int)config_int(c, "uploads"),
        .scratch_dir = config_str(c, "scratch_dir"),
        .multipart_bytes = (size_t)config_int(c, "multipart_bytes"),
        .part_bytes = (size_t)config_int(c, "part_bytes"),
        .min_backoff_ms = config_int(c, "min_backoff_ms"),
        .max_backoff_ms = config_int(c, "max_backoff_ms"),
        .kms_key = config_str(c, "kms_key"),
        .tagging = config_str(c, "tags"),
        .wake_fd = w->wake_fd,
    };
    o.n_kms_keys = config_list(c, "kms_keys", &o.kms_keys);
    if (!credentials_choose_region(config_str(c, "aws.region"), "aws.region", w->region, sizeof w->region, e) || !credentials_open(&credentials, &w->credentials, e)) {
        return false;
    }
    o.s3 = (struct s3_options){
        .bucket = config_str(c, "bucket"),
        .region = w->region,
        .endpoint = config_str(c, "endpoint"),
        .path_style = config_bool(c, "path_style"),
        .fips = config_bool(c, "fips"),
        .dual_stack = config_bool(c, "dual_stack"),
        .ca_file = config_str(c, "ca_file"),
        .user_agent = "sluice/" SLUICE_VERSION,
        .timeout_ms = config_int(c, "request_timeout_ms"),
        .max_attempts = TRIES_A_CALL,
        .min_backoff_ms = o.min_backoff_ms,
        .max_backoff_ms = o.max_backoff_ms,
        .max_connections = 8,
        .max_answer_bytes = MAX_ANSWER_BYTES,
        .credentials = w->credentials,
    };
    w->s3 = o.s3;
    return uploader_open(&o, &w->uploader, e);
}

static void set_portion_options(struct worker *w, const struct config *c)
{
    struct portion_options *o = &w->portions_have;
    o->uploader = w->uploader;
    o->metrics = w->metrics;
    o->scratch_dir = config_str(c, "scratch_dir");
    o->starts_at_earliest = strcmp(config_str(c, "start"), "earliest") == 0;
    o->portable = config_bool(c, "portable");
    o->max_bytes = (size_t)config_int(c, "file_max_bytes");
    o->max_rows = (uint64_t)config_int(c, "file_max_rows");
    o->raw_max_age_ms = config_int(c, "raw_max_age_ms");
    o->rollup_max_age_ms = config_int(c, "rollup_max_age_ms");
    o->range_memory_bytes = (size_t)config_int(c, "range_memory_mb") << 20;
    o->writer_memory_bytes = (size_t)config_int(c, "writer_memory_mb") << 20;
#if SLUICE_FAULTS
    o->fault_put_before_intent = config_bool(c, "fault.put_before_intent");
#endif
}

bool worker_new(const struct config *c, struct metrics *m, struct worker **out, struct err *e)
{
    struct worker *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    w->metrics = m;
    w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    arena_init(&w->arena, ARENA_MAX_BYTES);
    bool ok = (w->wake_fd >= 0 || err_set(e, ERR_FATAL, "eventfd: %s", strerror(errno))) &&
              scratch_is_writable(config_str(c, "scratch_dir"), e) &&
              layout_of(c, &w->portions_have.layout, w->portions_have.layout_text, e) &&
              open_uploader(w, c, e);
    if (!ok) {
        worker_free(w);
        return false;
    }
    set_portion_options(w, c);
    *out = w;
    return true;
}

const struct portion_options *worker_portions(const struct worker *w)
{
    return &w->portions_have;
}

bool worker_s3(const struct worker *w, struct s3 **out, struct err *e)
{
    return s3_open(&w->s3, out, e);
}

void worker_free(struct worker *w)
{
    if (w == NULL || !uploader_close(w->uploader)) {
        return; /* a thread still uses what is here; the process ends */
    }
    credentials_close(w->credentials);
    arena_fini(&w->arena);
    if (w->wake_fd >= 0) {
        (void)close(w->wake_fd);
    }
    free(w);
}
