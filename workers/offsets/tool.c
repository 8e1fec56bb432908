#include "tool.h"

#include <string.h>
#include <unistd.h>

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
                   "no broker of %.80s answers within %lld ms: check kafka.bootstrap.servers, the "
                   "network and the "
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

FILE *tool_talk(const struct tool *t)
{
    return t->command->values[OPTION_JSON] != NULL ? stderr : stdout;
}

bool tool_confirm(const struct tool *t, const char *question, struct err *e)
{
    char answer[16] = "";
    if (t->command->values[OPTION_YES] != NULL) {
        return true;
    }
    (void)fprintf(tool_talk(t), "%s [yes/no] ", question);
    (void)fflush(tool_talk(t));
    if (fgets(answer, sizeof answer, stdin) != NULL &&
        (strcmp(answer, "yes\n") == 0 || strcmp(answer, "y\n") == 0)) {
        return true;
    }
    return err_set(e, ERR_CONFIG, "nobody said yes: nothing was changed%s",
                   isatty(STDIN_FILENO) == 1 ? "" : "; scripts say --yes");
}
