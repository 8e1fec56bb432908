#include "policy/rule_place.h"

#include "policy/rules.h"

static const char *const keys[N_RULE_KEYS] = {
#define RULE(id, key) [id] = key,
#include "policy/rule_table.h"
#undef RULE
};

/* A dictionary's entries stand where they were found, whoever set the key last. */
static enum rule_level level_of(const struct rules *rules, const struct rule_place *place)
{
    if (place->key != RULE_METRICS || place->member.len == 0) {
        return (enum rule_level)rules->set_at[place->key];
    }
    bool own = metric_list_find(&rules->metrics[LEVEL_TENANT], place->member) != NULL;
    return own ? LEVEL_TENANT : LEVEL_TOP;
}

void rule_place_print(const struct rules *rules, struct slice tenant,
                      const struct rule_place *place, struct buf *out)
{
    if (place->key == RULE_NONE) {
        return;
    }
    enum rule_level level = level_of(rules, place);
    if (level == LEVEL_TENANT) {
        buf_printf(out, "tenants.%.*s.", SLICE_ARG(tenant));
    }
    buf_printf(out, "%s", keys[place->key]);
    if (place->member.len > 0) {
        buf_printf(out, ".%.*s", SLICE_ARG(place->member));
    }
    if (place->index >= 0) {
        buf_printf(out, "[%d]", place->index);
    }
    if (level == LEVEL_DEFAULT) {
        buf_printf(out, " (default)");
    }
}
