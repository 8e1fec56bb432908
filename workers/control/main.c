/* sluice-control: the operators' switches. */
#include "act.h"
#include "dry_run.h"
#include "list.h"

#include "base/clock.h"
#include "run/log.h"

#include <stdio.h>

static const struct config_key keys[] = {CONTROL_CONFIG(CONFIG_ROW)};

static const char usage[] =
    "kill switches, temporary budgets, shedding\n"
    "\n"
    "usage:\n"
    "  sluice-control kill --tenant T [--metric GLOB] [--label name=GLOB]… --drop | --sample 1/N\n"
    "                      --ttl 2h --reason '…' [--who NAME] [--force]\n"
    "  sluice-control kill --tenant T [--metric GLOB] [--label name=GLOB]… --dry-run [--sample "
    "1/N]\n"
    "                      [--window 60s]\n"
    "  sluice-control limit set --tenant T --budget source|metric|tenant|samples_per_second\n"
    "                      [--metric NAME] --value N --ttl 2h --reason '…' [--who NAME]\n"
    "  sluice-control limit clear ID | --tenant T [--budget …] [--metric NAME] --reason '…' [--who "
    "NAME]\n"
    "  sluice-control shed --class verbose|standard [--tenant T] --ttl 2h --reason '…' [--who "
    "NAME] [--force]\n"
    "  sluice-control revoke ID --reason '…' [--who NAME]\n"
    "  sluice-control list [--json] [--all]\n"
    "\n"
    "kill        drops a tenant's series that match, or passes one batch in N\n"
    "  --dry-run writes nothing: what the rule would have hit in the last --window, now\n"
    "limit set   a budget that counts instead of the policy's, until its time is over\n"
    "shed        drops the class (standard: verbose as well); critical is never shed\n"
    "revoke      takes any rule back; limit clear: a tenant's limits\n"
    "list        the rules in force; --all: also those that are over; --json: for scripts\n"
    "\n"
    "In GLOB, * stands for any run of characters; a label must be there to match. --ttl takes s, "
    "m, h, d, 30d\n"
    "at most. --who is $SUDO_USER or $USER if not given. Workers obey within about a second; each "
    "act is\n"
    "written to the audit topic first.\n"
    "exit codes: 0 done; 1 failed; 2 usage or configuration. All commands take --config FILE, "
    "--set key=value";

static bool act(const struct tool *t, struct err *e)
{
    switch (t->command->verb) {
    case VERB_LIST:
        return list_rules(t, e);
    case VERB_KILL:
        return t->command->values[OPTION_DRY_RUN] != NULL ? dry_run(t, e) : act_rule(t, e);
    case VERB_LIMIT_SET:
    case VERB_SHED:
        return act_rule(t, e);
    default:
        return act_revoke(t, e);
    }
}

static bool run(const struct command *command, struct err *e)
{
    const struct config_program program = {
        .name = "sluice-control",
        .summary = usage,
        .version = kafka_version_line(),
        .keys = keys,
        .n_keys = sizeof keys / sizeof keys[0],
    };
    struct config *config = NULL;
    enum config_mode mode = CONFIG_RUN;
    bool ok = config_load(&program, command->n_rest, command->rest, &config, &mode, e);
    if (ok && mode == CONFIG_RUN) {
        const struct tool tool = {
            .command = command,
            .config = config,
            .kafka = {.config = config, .group = "sluice-control", .instance = "sluice-control"},
            .now_ms = clock_now_ms(),
        };
        ok = act(&tool, e);
    }
    config_free(config);
    return ok;
}

int main(int argc, char **argv)
{
    static struct command command;
    struct err e = ERR_INIT;
    log_open("control", LOG_ERROR);
    if (argc < 2) {
        (void)fprintf(stderr, "sluice-control: %s\n", usage);
        return 2;
    }
    bool ok = command_parse(argc, argv, &command, &e) && run(&command, &e);
    command_fini(&command);
    if (!ok) {
        (void)fprintf(stderr, "sluice-control: %s%s\n", e.text,
                      e.kind == ERR_CONFIG ? " (--help)" : "");
        return err_exit_code(&e);
    }
    return 0;
}
