#include "policy/control_show.h"

#include <inttypes.h>

static void show_kill(struct buf *out, const struct control_rule *r)
{
    if (r->sample_n > 0) {
        buf_printf(out, "samples 1/%u of ", r->sample_n);
    } else {
        buf_printf(out, "drops ");
    }
    show_text(out, r->tenant);
    if (r->metric.len > 0) {
        buf_printf(out, ", metric ");
        show_text(out, r->metric);
    }
    for (uint32_t i = 0; i < r->n_labels; i++) {
        buf_printf(out, ", ");
        show_text(out, r->labels[i].name);
        buf_printf(out, "=");
        show_text(out, r->labels[i].value);
    }
    if (control_kill_is_total(r)) {
        buf_printf(out, ", everything");
    }
}

static void show_limit(struct buf *out, const struct control_rule *r)
{
    static const char *const what[N_CONTROL_BUDGETS] = {"active series per source", "active series",
                                                        "active series", "samples/s"};
    buf_printf(out, "limits ");
    show_text(out, r->tenant);
    if (r->metric.len > 0) {
        buf_printf(out, ", metric ");
        show_text(out, r->metric);
    }
    buf_printf(out, " to %" PRId64 " %s", r->value, what[r->budget]);
}

static void show_pause(struct buf *out, const struct control_rule *r)
{
    buf_printf(out, r->leaves ? "takes out of its group all of " : "pauses ");
    if (r->topic.len > 0) {
        show_text(out, r->topic);
        for (uint32_t i = 0; i < r->n_partitions; i++) {
            buf_printf(out, "%s%d", i == 0 ? "[" : ",", r->partitions[i]);
        }
        buf_printf(out, "%s of ", r->n_partitions > 0 ? "]" : "");
    } else if (!r->leaves) {
        buf_printf(out, "all that is read by ");
    }
    buf_printf(out, "group ");
    show_text(out, r->group);
}

void control_show(struct buf *out, const struct control_rule *r)
{
    switch (r->kind) {
    case CONTROL_KILL:
        show_kill(out, r);
        break;
    case CONTROL_LIMIT:
        show_limit(out, r);
        break;
    case CONTROL_PAUSE:
        show_pause(out, r);
        break;
    default:
        buf_printf(out, "sheds %s of ",
                   r->class == CLASS_STANDARD ? "standard and verbose" : "verbose");
        if (r->tenant.len == 0) {
            buf_printf(out, "every tenant");
        }
        show_text(out, r->tenant);
    }
}
