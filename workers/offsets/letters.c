#include "letters.h"

#include <string.h>

struct sieve {
    struct record_printer printer;
    const char *reason;
    const char *stage;
    long long n_left; /* < 0: no limit */
    letter_fn each;
    void *ctx;
};

static bool has_text(const json_t *value, const char *field, const char *wanted)
{
    const char *text = json_string_value(json_object_get(value, field));
    return wanted == NULL || (text != NULL && strcmp(text, wanted) == 0);
}

static bool take(void *ctx, const rd_kafka_message_t *m, bool *enough, struct err *e)
{
    struct sieve *s = ctx;
    json_t *letter;
    if (!record_json(&s->printer, m, &letter, e)) {
        return false;
    }
    const json_t *value = json_object_get(letter, "value");
    bool fits = letter != NULL && has_text(letter, "kind", "dead_letter") && has_text(value, "reason", s->reason) &&
                has_text(value, "stage", s->stage);
    bool ok = !fits || s->each(s->ctx, letter, enough, e);
    json_decref(letter);
    s->n_left -= fits && s->n_left > 0;
    *enough |= s->n_left == 0;
    return ok;
}

bool letters_read(const struct tool *t, letter_fn each, void *ctx, struct err *e)
{
    const char *const *values = t->command->values;
    struct scan_request r = {.topic = config_str(t->config, "dlq_topic"), .partition = SCAN_ALL};
    struct sieve s = {.reason = values[OPTION_REASON], .stage = values[OPTION_STAGE], .each = each, .ctx = ctx};
    struct scan scan;
    rd_kafka_t *rk = NULL;
    if (!moment_read("--from", values[OPTION_FROM], &r.from, e) || !moment_read("--to", values[OPTION_TO], &r.to, e) ||
        !command_number(t->command, OPTION_LIMIT, 1, -1, &s.n_left, e) || !tool_connect(t, KAFKA_READER, &rk, e)) {
        return false;
    }
    bool ok = record_printer_init(&s.printer, values[OPTION_TENANT], values[OPTION_METRIC], e) &&
              scan_open(t, rk, &r, &scan, e);
    if (ok) {
        ok = scan_run(&scan, take, &s, e);
        scan_close(&scan);
    }
    record_printer_fini(&s.printer);
    tool_disconnect(rk);
    return ok;
}
