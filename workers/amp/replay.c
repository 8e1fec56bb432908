#include "replay.h"

#include <stdio.h>

bool replay_options(const struct config *c, const char *tenant, const char *metric,
                    struct replay_texts *texts, struct amp_options *out, struct err *e)
{
    const char *org = config_str(c, "org_id");
    if (!delivery_options(c, out, e)) {
        return false;
    }
    texts->tenants[0] = tenant;
    (void)snprintf(texts->sink, sizeof texts->sink, "%s%s%s", config_str(c, "url"),
                   org[0] == '\0' ? "" : "#", org);
    if (tenant[0] != '\0' && !amp_route_has(&out->route, slice_str(tenant))) {
        return err_set(e, ERR_CONFIG, "--tenant %.60s: this sluice-amp does not send that tenant's samples there (tenants, "
                                      "not_tenants): take the configuration of the one that does, or --set tenants=%.60s",
                       tenant, tenant);
    }
    if (tenant[0] != '\0') {
        out->route.only = texts->tenants;
        out->route.n_only = 1;
    }
    out->metric = metric;
    out->repeat_topic = "";
    out->sender.batch_deadline_ms = 0;
    return true;
}

uint32_t replay_n_wanted(const struct scrape *s)
{
    return s == NULL ? 0 : s->shape->n_series - s->shape->n_unwanted;
}
