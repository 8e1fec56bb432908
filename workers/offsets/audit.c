#include "audit.h"

#include "audit_log.h"
#include "audit_repair.h"
#include "groups.h"
#include "record_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct audit {
    const struct tool *tool;
    rd_kafka_t *rk;
    struct store *store;
    struct scan scan;
    struct ledger ledger;
    struct findings findings;
    struct audit_log log;
    int64_t *done; /* owned */
    json_t *told;   /* owned: gaps that sinks told, of this topic */
    json_t *repair; /* owned; NULL = not asked for, or printed */
};

/* --- what the ranges say --- */

/* Is the whole range in the part of the log that was read? */
static bool is_in_log(const struct audit *a, const struct ledger_range *r)
{
    for (uint32_t i = 0; i < a->scan.n_stretches; i++) {
        const struct scan_stretch *p = &a->scan.stretches[i];
        if (p->partition == r->partition) {
            return r->first >= p->from && r->last < p->end;
        }
    }
    return false;
}

static void check_rows(struct audit *a, const struct ledger_range *r)
{
    uint64_t there = 0;
    for (int i = 0; i < N_TABLES; i++) {
        there += r->rows_there[i];
        if (is_in_log(a, r) && a->ledger.has_table[i] && r->rows_there[i] != r->rows_log[i]) {
            finding_add(&a->findings, "rows", r->partition, r->first, r->last,
                        "%s has %" PRIu64 " rows of these offsets, the log %" PRIu64,
                        table_name((enum table_id)i), r->rows_there[i], r->rows_log[i]);
            return;
        }
    }
    bool has_all = a->tool->command->values[OPTION_TABLE] == NULL;
    if (has_all && r->n_said >= 0 && there != r->n_rows) {
        finding_add(&a->findings, "rows", r->partition, r->first, r->last,
                    "its objects have %" PRIu64 " rows, its intent had %" PRIu64, there, r->n_rows);
    }
}

static void check_ranges(struct audit *a)
{
    const struct ledger_range *before = NULL;
    for (size_t i = 0; i < a->ledger.n; i++) {
        const struct ledger_range *r = &a->ledger.ranges[i];
        bool has_all = a->tool->command->values[OPTION_TABLE] == NULL;
        if (before != NULL && before->partition == r->partition && r->first <= before->last) {
            finding_add(&a->findings, "overlap", r->partition, r->first, before->last,
                        "offsets %" PRId64 " to %" PRId64 " and %" PRId64 " to %" PRId64
                        " are stored both",
                        before->first, before->last, r->first, r->last);
        }
        if (has_all && r->n_said >= 0 && r->n_there != r->n_said) {
            finding_add(&a->findings, "objects", r->partition, r->first, r->last,
                        "%" PRId64 " of its %" PRId64 " objects are there", r->n_there, r->n_said);
        } else {
            check_rows(a, r);
        }
        before = before == NULL || before->partition != r->partition || r->last > before->last
                     ? r
                     : before;
    }
}

/* --- gaps that were told --- */

struct telling {
    struct record_printer printer;
    struct audit *audit;
};

static bool take_gap(void *ctx, const rd_kafka_message_t *m, bool *enough, struct err *e)
{
    struct telling *x = ctx;
    json_t *row;
    (void)enough;
    if (!record_json(&x->printer, m, &row, e)) {
        return false;
    }
    json_t *value = json_object_get(row, "value");
    const char *topic = json_string_value(json_object_get(value, "topic"));
    const char *id = json_string_value(json_object_get(value, "topic_id"));
    json_int_t partition = json_integer_value(json_object_get(value, "partition"));
    for (uint32_t i = 0; topic != NULL && id != NULL && i < x->audit->scan.n_stretches; i++) {
        const struct scan_stretch *p = &x->audit->scan.stretches[i];
        if (strcmp(topic, x->audit->ledger.topic) == 0 &&
            strcmp(id, x->audit->ledger.topic_id) == 0 && partition == p->partition &&
            json_integer_value(json_object_get(value, "last_offset")) >= p->from &&
            json_integer_value(json_object_get(value, "first_offset")) < p->end &&
            json_array_size(x->audit->told) < LEDGER_MAX_FINDINGS) {
            (void)json_array_append(x->audit->told, value);
        }
    }
    json_decref(row);
    return true;
}

static bool read_told(struct audit *a, struct err *e)
{
    struct scan scan;
    struct telling x = {.audit = a};
    const struct scan_request r = {.topic = config_str(a->tool->config, "gaps_topic"),
                                   .partition = SCAN_ALL};
    if (!record_printer_init(&x.printer, NULL, NULL, e) ||
        !scan_open(a->tool, a->rk, &r, &scan, e)) {
        return false;
    }
    bool ok = scan_run(&scan, take_gap, &x, e);
    scan_close(&scan);
    record_printer_fini(&x.printer);
    return ok;
}

/* --- the whole --- */

static bool table_read(const struct tool *t, int *out, struct err *e)
{
    const char *name = t->command->values[OPTION_TABLE];
    *out = -1;
    for (int i = 0; name != NULL && i < N_TABLES; i++) {
        *out = strcmp(name, table_name((enum table_id)i)) == 0 ? i : *out;
    }
    return name == NULL || *out >= 0 ||
           err_set(e, ERR_CONFIG,
                   "--table %.40s is none of samples, rollup_1m, rollup_5m, rollup_1h", name);
}

/* The one that stores the topic. */
static const char *group_of(const struct tool *t)
{
    const char *said = t->command->values[OPTION_GROUP];
    const char *group = said != NULL ? said : config_str(t->config, "group");
    return group[0] == '\0' ? "sluice-parquet" : group;
}

/* Up to where the sink says that all is stored. */
static bool done_read(struct audit *a, struct err *e)
{
    const char *group = group_of(a->tool);
    rd_kafka_topic_partition_list_t *list = NULL;
    a->done = calloc(a->scan.n_partitions + 1, sizeof *a->done);
    if (a->done == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    if (!group_committed(a->rk, group, &list, e)) {
        return false;
    }
    bool any = false;
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        if (strcmp(at->topic, a->scan.topic) == 0 &&
            (uint32_t)at->partition < a->scan.n_partitions) {
            a->done[at->partition] = at->offset;
            any = true;
        }
    }
    rd_kafka_topic_partition_list_destroy(list);
    return any ||
           err_set(
               e, ERR_CONFIG,
               "group %.80s has committed nothing of %.80s: name the group that stores it, --group",
               group, a->scan.topic);
}

static bool run(struct audit *a, int table, struct err *e)
{
    if (!done_read(a, e) || !ledger_read(a->store, &a->scan, table, &a->ledger, &a->findings, e)) {
        return false;
    }
    a->log = (struct audit_log){.ledger = &a->ledger, .findings = &a->findings, .done = a->done};
    if (!audit_log_read(&a->scan, &a->log, e)) {
        return false;
    }
    check_ranges(a);
    return read_told(a, e);
}

static bool print(const struct audit *a, struct err *e)
{
    json_t *out = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:O, s:O}", "topic",
                            a->ledger.topic, "objects", (json_int_t)a->ledger.n_objects, "ranges",
                            (json_int_t)a->ledger.n, "log_rows", (json_int_t)a->log.n_rows,
                            "pending_rows", (json_int_t)a->log.n_pending, "unreadable_records",
                            (json_int_t)a->log.n_unreadable, "objects_of_former_topics",
                            (json_int_t)a->ledger.n_former, "n_findings", (json_int_t)a->findings.n,
                            "findings", a->findings.list, "told_gaps", a->told);
    if (out != NULL && a->repair != NULL) {
        (void)json_object_set(out, "repair", a->repair);
    }
    if (a->tool->command->values[OPTION_JSON] != NULL) {
        bool ok = out != NULL && json_dumpf(out, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) == 0 &&
                  puts("") != EOF;
        json_decref(out);
        return ok || err_set(e, ERR_FATAL, "it could not be written");
    }
    json_decref(out);
    (void)printf(
        "%s: %zu objects of %zu ranges, %" PRIu64 " rows in the log, %" PRIu64 " not stored yet\n",
        a->ledger.topic, a->ledger.n_objects, a->ledger.n, a->log.n_rows, a->log.n_pending);
    size_t i;
    json_t *row;
    json_array_foreach(a->findings.list, i, row)
    {
        (void)printf("%-8s [%" JSON_INTEGER_FORMAT "] %" JSON_INTEGER_FORMAT
                     " to %" JSON_INTEGER_FORMAT ": %s\n",
                     json_string_value(json_object_get(row, "kind")),
                     json_integer_value(json_object_get(row, "partition")),
                     json_integer_value(json_object_get(row, "first")),
                     json_integer_value(json_object_get(row, "last")),
                     json_string_value(json_object_get(row, "text")));
    }
    json_array_foreach(a->told, i, row)
    {
        char *line = json_dumps(row, JSON_COMPACT | JSON_ENSURE_ASCII);
        (void)printf("told     %s\n", line == NULL ? "" : line);
        free(line);
    }
    if (a->findings.n > json_array_size(a->findings.list)) {
        (void)printf("… and %zu more\n", a->findings.n - json_array_size(a->findings.list));
    }
    return true;
}

static void audit_fini(struct audit *a)
{
    ledger_free(&a->ledger);
    scan_close(&a->scan);
    store_close(a->store);
    tool_disconnect(a->rk);
    json_decref(a->findings.list);
    json_decref(a->told);
    json_decref(a->repair);
    free(a->done);
}

/* For JSON the plan goes into the one object, for people it comes behind what was found. */
static bool tell(struct audit *a, int *code, struct err *e)
{
    const char *const *values = a->tool->command->values;
    size_t n_told = json_array_size(a->told);
    if (values[OPTION_REPAIR] == NULL) {
        return print(a, e);
    }
    struct err why = ERR_INIT;
    bool as_json = values[OPTION_JSON] != NULL;
    if (!as_json && !print(a, e)) {
        return false;
    }
    bool ok = audit_repair(a->tool, &a->findings, n_told, &a->repair, code, e);
    return (!as_json || print(a, ok ? e : &why)) && ok; /* without a plan, too */
}

static bool words_check(const struct tool *t, int *table, struct scan_request *r, struct err *e)
{
    const char *const *values = t->command->values;
    if (values[OPTION_OUT] != NULL && values[OPTION_REPAIR] == NULL) {
        return err_set(e, ERR_CONFIG, "--out is the file of the plan of --repair: give that, too");
    }
    return table_read(t, table, e) && moment_read("--from", values[OPTION_FROM], &r->from, e) &&
           moment_read("--to", values[OPTION_TO], &r->to, e);
}

bool audit_verb(const struct tool *t, int *code, struct err *e)
{
    int table;
    struct audit a = {.tool = t, .findings = {.list = json_array()}, .told = json_array()};
    struct scan_request r = {.topic = t->command->values[OPTION_TOPIC], .partition = SCAN_ALL};
    bool ok = words_check(t, &table, &r, e) && store_open(t, &a.store, e) &&
              tool_connect(t, KAFKA_READER, &a.rk, e) && scan_open(t, a.rk, &r, &a.scan, e) &&
              run(&a, table, e) && tell(&a, code, e);
    if (ok && (a.findings.n > 0 || json_array_size(a.told) > 0)) {
        *code = TOOL_DIFFERS;
    }
    audit_fini(&a);
    return ok;
}
