#include "cat.h"

#include "record_json.h"
#include "scan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TOPIC = 249 };

/* What the word names. */
struct place {
    char topic[MAX_TOPIC + 1];
    int32_t partition;
    int64_t offset; /* -1 = all */
};

struct printing {
    struct record_printer printer;
    long long n_left; /* < 0: no limit */
    int64_t n_printed;
};

static bool number_read(const char *text, size_t len, int64_t max, int64_t *out)
{
    char *end = NULL;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    *out = n;
    return errno == 0 && len > 0 && end == text + len && n >= 0 && n <= max;
}

static bool place_read(const char *word, struct place *out, struct err *e)
{
    size_t topic_len = strcspn(word, "/");
    const char *partition = word + topic_len + (word[topic_len] == '/');
    size_t partition_len = strcspn(partition, "/");
    const char *offset = partition + partition_len + (partition[partition_len] == '/');
    int64_t number = SCAN_ALL;
    *out = (struct place){.partition = SCAN_ALL, .offset = -1};
    bool ok = topic_len > 0 && topic_len <= MAX_TOPIC;
    ok = ok && (word[topic_len] == '\0' || number_read(partition, partition_len, INT32_MAX, &number));
    ok = ok && (partition[partition_len] == '\0' || number_read(offset, strlen(offset), INT64_MAX - 1, &out->offset));
    if (!ok) {
        return err_set(e, ERR_CONFIG, "\"%.80s\" is not TOPIC[/PARTITION[/OFFSET]]", word);
    }
    memcpy(out->topic, word, topic_len);
    out->partition = (int32_t)number;
    return true;
}

static bool print_one(void *ctx, const rd_kafka_message_t *m, bool *enough, struct err *e)
{
    struct printing *p = ctx;
    json_t *line;
    if (!record_json(&p->printer, m, &line, e)) {
        return false;
    }
    if (line == NULL) {
        return true;
    }
    bool ok = json_dumpf(line, stdout, JSON_COMPACT | JSON_ENSURE_ASCII) == 0 && putchar('\n') != EOF;
    json_decref(line);
    p->n_printed++;
    p->n_left -= p->n_left > 0;
    *enough = p->n_left == 0;
    return ok || err_set(e, ERR_FATAL, "stdout: %s", strerror(errno));
}

/* What is not to be seen now is told, so that nobody takes it for absent. */
static void hidden_tell(const struct scan *s)
{
    for (uint32_t i = 0; i < s->n_stretches; i++) {
        const struct scan_stretch *p = &s->stretches[i];
        if (p->hidden >= 0) {
            (void)fprintf(stderr,
                          "sluice-offsets: %s[%d]: what lies from offset %" PRId64 " on (the log ends at %" PRId64
                          ") is behind an open transaction and not shown\n",
                          s->topic, p->partition, p->end, p->hidden);
        }
    }
}

/* Where one offset is asked for. */
static bool offset_is_there(const struct scan *s, const struct place *p, struct err *e)
{
    const struct scan_stretch *at = &s->stretches[0];
    if (p->offset < at->low) {
        return err_set(e, ERR_BAD_INPUT, "%s[%d]: offset %" PRId64 " is past retention: the log begins at %" PRId64,
                       p->topic, p->partition, p->offset, at->low);
    }
    if (p->offset >= at->end && p->offset < at->hidden) {
        return err_set(e, ERR_BAD_INPUT,
                       "%s[%d]: offset %" PRId64 " is behind an open transaction (from %" PRId64
                       " on): it shows when that has ended",
                       p->topic, p->partition, p->offset, at->end);
    }
    return p->offset < at->end ||
           err_set(e, ERR_BAD_INPUT, "%s[%d]: there is no offset %" PRId64 " yet: the log ends at %" PRId64,
                   p->topic, p->partition, p->offset, at->end);
}

static bool print_all(const struct tool *t, struct scan *s, const struct place *place, long long limit, struct err *e)
{
    struct printing p = {.n_left = limit};
    const char *const *values = t->command->values;
    bool ok = record_printer_init(&p.printer, values[OPTION_TENANT], values[OPTION_METRIC], e) &&
              scan_run(s, print_one, &p, e);
    bool is_filtered = values[OPTION_TENANT] != NULL || values[OPTION_METRIC] != NULL;
    if (ok && place->offset >= 0 && p.n_printed == 0 && !is_filtered) {
        ok = err_set(e, ERR_BAD_INPUT,
                     "%s[%d]: offset %" PRId64 " holds no committed record: it is a transaction's marker, or was "
                     "aborted or compacted away",
                     place->topic, place->partition, place->offset);
    }
    record_printer_fini(&p.printer);
    return ok;
}

bool cat(const struct tool *t, struct err *e)
{
    struct place place;
    struct scan s;
    rd_kafka_t *rk = NULL;
    struct scan_request r = {0};
    long long limit;
    const char *const *values = t->command->values;
    if (!place_read(t->command->words[0], &place, e) ||
        !command_number(t->command, OPTION_LIMIT, 1, -1, &limit, e) ||
        !moment_read("--from", values[OPTION_FROM], &r.from, e) || !moment_read("--to", values[OPTION_TO], &r.to, e)) {
        return false;
    }
    if (place.offset >= 0 && (values[OPTION_FROM] != NULL || values[OPTION_TO] != NULL)) {
        return err_set(e, ERR_CONFIG, "TOPIC/PARTITION/OFFSET is one record: --from and --to don't go with it");
    }
    if (place.offset >= 0) {
        r.from = (struct moment){MOMENT_OFFSET, place.offset};
        r.to = (struct moment){MOMENT_OFFSET, place.offset + 1};
    }
    r.topic = place.topic;
    r.partition = place.partition;
    if (!tool_connect(t, KAFKA_READER, &rk, e)) {
        return false;
    }
    bool ok = scan_open(t, rk, &r, &s, e);
    if (ok) {
        ok = (place.offset < 0 || offset_is_there(&s, &place, e)) && print_all(t, &s, &place, limit, e);
        if (place.offset < 0) {
            hidden_tell(&s);
        }
        scan_close(&s);
    }
    tool_disconnect(rk);
    return ok;
}
