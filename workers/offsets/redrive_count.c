#include "redrive_count.h"

#include <inttypes.h>
#include <stdio.h>

bool redrive_refused_add(struct redrive_count *c, const char *reason, uint64_t n, struct err *e)
{
    json_int_t before = json_integer_value(json_object_get(c->refused, reason));
    return n == 0 ||
           json_object_set_new(c->refused, reason, json_integer(before + (json_int_t)n)) == 0 ||
           err_set(e, ERR_FATAL, "out of memory");
}

bool redrive_is_whole(const struct redrive_count *c, const struct redrive_letters *l)
{
    return c->n_redriven + c->n_before == c->n_letters && json_object_size(c->refused) == 0 &&
           c->n_unlisted == 0 && l->n_amp == 0 && l->n_other == 0 && !l->is_full;
}

static bool json_print(bool is_dry, const struct redrive_count *c, const struct redrive_letters *l)
{
    json_t *all =
        json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:O}",
                  "dry_run", (int)is_dry, "letters", (json_int_t)c->n_letters, "redriven",
                  (json_int_t)c->n_redriven, "samples", (json_int_t)c->n_samples, "redriven_before",
                  (json_int_t)c->n_before, "past_retention", (json_int_t)c->n_past_retention,
                  "other_topic", (json_int_t)c->n_other_topic, "gone", (json_int_t)c->n_gone,
                  "unclear", (json_int_t)c->n_unclear, "samples_unlisted",
                  (json_int_t)c->n_unlisted, "of_amp", (json_int_t)l->n_amp, "of_no_ingest_record",
                  (json_int_t)l->n_other, "more", (int)l->is_full, "samples_refused", c->refused);
    bool ok = all != NULL && json_dumpf(all, stdout, JSON_COMPACT | JSON_ENSURE_ASCII) == 0 &&
              puts("") != EOF;
    json_decref(all);
    return ok;
}

static void line_print(uint64_t n, const char *words)
{
    if (n > 0) {
        (void)printf("%8" PRIu64 " %s\n", n, words);
    }
}

static void text_print(bool is_dry, const struct redrive_count *c, const struct redrive_letters *l)
{
    const char *reason;
    json_t *n;
    (void)printf("%8" PRIu64 " letters\n", c->n_letters);
    line_print(c->n_redriven, is_dry ? "letters would be redriven" : "letters redriven");
    line_print(c->n_samples, is_dry ? "samples would go in again" : "samples went in again");
    line_print(c->n_before, "letters were redriven before: each goes once");
    line_print(c->n_past_retention, "letters whose record is past retention");
    line_print(c->n_other_topic, "letters whose topic was deleted and made anew since");
    line_print(c->n_gone, "letters whose record or topic is gone");
    line_print(
        c->n_unclear,
        "letters whose points can't be told any more from those of the same metric and label "
        "that passed at once");
    json_object_foreach(c->refused, reason, n)
    {
        (void)printf("%8" JSON_INTEGER_FORMAT " samples did not go: %s\n", json_integer_value(n),
                     reason);
    }
    line_print(c->n_unlisted, "samples that letters count, but don't list: they were over "
                              "dlq_samples_per_minute");
    line_print(l->n_amp, "letters of amp: they can't go through a series topic; plan replay "
                         "--stage amp sends what the store takes by now");
    line_print(l->n_other, "letters that refer to no ingest record");
    if (l->is_full) {
        (void)puts("there are more letters than one run takes: run it again; what did not go is in the way, leave it out "
                   "(--reason, --tenant, --metric, --from)");
    }
    if (is_dry) {
        (void)puts("dry run: nothing was changed");
    }
}

bool redrive_count_print(const struct tool *t, const struct redrive_count *c,
                         const struct redrive_letters *l, struct err *e)
{
    bool is_dry = t->command->values[OPTION_DRY_RUN] != NULL;
    if (t->command->values[OPTION_JSON] != NULL) {
        return json_print(is_dry, c, l) || err_set(e, ERR_FATAL, "it could not be written");
    }
    text_print(is_dry, c, l);
    return true;
}
