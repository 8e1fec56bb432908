#include "tool.h"

#include <string.h>

static bool broker_answers(const struct tool *t, rd_kafka_t *rk, struct err *e)
{
    int64_t timeout_ms = config_int(t->config, "connect_timeout_ms");
    char *id = rd_kafka_clusterid(rk, (int)timeout_ms);
    if (id != NULL) {
        rd_kafka_mem_free(rk, id);
        return true;
    }
    const char *name = "";
    const char *servers = "";
    const char *value;
    for (size_t i = 0; config_kafka(t->config, i, &name, &value); i++) {
        servers = strcmp(name, "bootstrap.servers") == 0 ? value : servers;
    }
    return err_set(e, ERR_RETRY,
                   "no broker of %.80s answers within %lld ms: check kafka.bootstrap.servers, the network and the "
                   "login; nothing was changed",
                   servers, (long long)timeout_ms);
}

bool tool_connect(const struct tool *t, enum kafka_role role, rd_kafka_t **out, struct err *e)
{
    rd_kafka_t *rk = NULL;
    *out = NULL;
    if (!kafka_open(role, &t->kafka, NULL, &rk, e)) {
        return false;
    }
    if (!broker_answers(t, rk, e)) {
        tool_disconnect(rk);
        return false;
    }
    *out = rk;
    return true;
}

void tool_disconnect(rd_kafka_t *rk)
{
    if (rk != NULL) {
        rd_kafka_destroy(rk);
    }
}
