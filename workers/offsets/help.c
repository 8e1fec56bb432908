#include "help.h"

#include "replay_words.h"

#include <stdio.h>
#include <string.h>

const char usage[] =
    "the operator's tool\n"
    "\n"
    "usage: sluice-offsets COMMAND [--config FILE] [--set key=value]…\n"
    "  status                           how far each group is, what stands still, and why\n"
    "  cat TOPIC[/PARTITION[/OFFSET]]   records of any topic as JSON lines\n"
    "  dlq list|show|export             what was refused, why, and what it was\n"
    "  topics apply|check               the cluster's topics as the definition has them\n"
    "  topics tenant create NAME        a tenant's topic, ACLs and policy entry, in one command\n"
    "  reset GROUP --to PLACE           a stopped group goes elsewhere, with what its stage needs "
    "beside the offset\n"
    "  snapshot GROUP, restore FILE     a group's commits into a file, and back\n"
    "  parquet skip|restore GROUP       a parquet group behind what retention has eaten; its lost offsets from objects\n"
    "  audit --topic T                  the objects on S3 against the log: is anything missing, or there twice?\n"
    "  plan replay --stage S --topic T  what a sink lacks of a stretch of a topic, counted and written down\n"
    "  apply PLAN                       just that, once; killed, the same call goes on\n"
    "  help [COMMAND]                   more of a command; help places: how to name a place in a log\n"
    "\n"
    "All commands take the workers' kafka.* keys (SCRAM, mTLS, AWS_MSK_IAM).\n"
    "exit codes: 0 fine; 1 something differs or failed; 2 usage or configuration\n";

static const struct {
    const char *topic;
    const char *text;
} topics[] = {
    {"places",
     "Places in a log, for --from and --to (--to is exclusive):\n"
     "  earliest, end            the log's beginning, its end as it is now\n"
     "  4711                     an offset, in each of the partitions\n"
     "  -30m                     so long ago (s, m, h, d)\n"
     "  2026-11-27T10:00:00Z     a time, UTC; seconds, or the time of the day, may be left out\n"
     "  @1764237600              seconds since the epoch\n"
     "A time is the record's in Kafka: when it was appended, in metrics.rollup.* the log time of "
     "its input.\n"},
    {"cat", "sluice-offsets cat TOPIC[/PARTITION[/OFFSET]] [--from PLACE] [--to PLACE] [--tenant "
            "T] [--metric GLOB]\n"
            "                   [--limit N]\n"
            "\n"
            "Prints a JSON object a line for each record, partition by partition: topic, "
            "partition, offset, timestamp_ms,\n"
            "key, headers, kind and value. kind is batch, rollup, amend, heartbeat, dead_letter, "
            "gap, limit_source,\n"
            "limit_partition, lease, grants, tick, json (sluice.control, sluice.audit, "
            "sluice.replay), tombstone,\n"
            "payload (what a tenant sent: only its length is shown; dlq show decodes it, masked) "
            "or unreadable.\n"
            "Only what is committed shows: no aborted record, no transaction's marker. What lies "
            "behind an open\n"
            "transaction is told on stderr.\n"
            "  --tenant, --metric   only that tenant's records; of batches and rollups only the "
            "points whose metric\n"
            "                       fits (* stands for any run of characters)\n"
            "  --limit N            ends after N records\n"
            "examples:\n"
            "  sluice-offsets cat metrics.admitted --from -5m --tenant studio-a --metric "
            "'players*' --limit 10\n"
            "  sluice-offsets cat metrics.ingest.studio-a/3/4711\n"
            "  sluice-offsets cat sluice.control | jq -c 'select(.kind == \"json\") | .value'\n"
            "exit codes: 0 done; 1 failed, or the one offset asked for holds no record; 2 usage or "
            "configuration\n"},
    {"status",
     "sluice-offsets status [--group GROUP] [--all] [--json]\n"
     "\n"
     "Looks at the groups that begin with group_prefix (sluice-), or at `groups`, or at one. For "
     "each partition:\n"
     "  COMMITTED  the group's offset\n"
     "  POSITION   where it really is: rollup commits the earliest record that it still needs, "
     "minutes behind, and\n"
     "             tells its position beside it\n"
     "  END, LAG   the log's end and the offsets left (transactions' markers count); 0 when no "
     "record is left\n"
     "  BEHIND     age of the oldest record left; parquet gathers for raw_max_age_ms before it "
     "commits\n"
     "Without --all only topics, and the partitions that are not fine. What is not, and what to "
     "do:\n"
     "  behind            a record waits longer than stuck_after_ms, but the group moves\n"
     "  no_member         nobody is in the group: start its workers\n"
     "  unassigned        nobody reads this partition: see the workers' `topics`\n"
     "  rebalancing       at both of two looks, watch_ms apart: does a worker join and leave in "
     "turn?\n"
     "  out_of_range      retention has passed the offset, or the topic is another one: help "
     "reset\n"
     "  no_topic          the topic or partition is gone\n"
     "  no_leader         no broker has the partition at the moment\n"
     "  no_offset         parquet without a committed offset: see help parquet\n"
     "  foreign_offset    a rollup's offset that another tool has set: sluice-offsets reset\n"
     "  open_transaction  one is open longer than open_transaction_ms and hides what lies behind "
     "it\n"
     "  still             a member has it, and it does not move: its /ready and its log say why\n"
     "All but the first are stuck.\n"
     "exit codes: 0 nothing is stuck; 1 something is; 2 usage or configuration; 3 the brokers are "
     "away\n"},
    {"dlq", "sluice-offsets dlq list [--tenant T] [--metric GLOB] [--reason R] [--stage S] [--from "
            "PLACE] [--to PLACE]\n"
            "                        [--limit N] [--json]\n"
            "sluice-offsets dlq show PARTITION/OFFSET [--json]\n"
            "sluice-offsets dlq export [the filters of list] [--out FILE]\n"
            "\n"
            "list    a line for each dead letter; its first column is for show\n"
            "show    a letter, and the record that it refers to: the points of its metric and "
            "times, as the tenant sent\n"
            "        them, but for the values of all labels: these are ***, or with mask_key the "
            "HMAC that letters have,\n"
            "        so that a value that one knows can be found. Says when the record is past "
            "retention, or the topic\n"
            "        another one by now\n"
            "export  the letters as JSON lines, to stdout or to a new file, which is there whole "
            "or not at all\n"
            "--from and --to go by when the letter was written; help places.\n"
            "exit codes: 0 done; 1 failed, or the record can't be shown any more; 2 usage or "
            "configuration\n"},
    {"topics",
     "sluice-offsets topics apply|check [--json]\n"
     "\n"
     "  apply   creates the topics that are missing and changes settings that differ\n"
     "  check   says what is missing or differs\n"
     "The definition is topics_file, in the profile `profile`, with the tenants `tenants`. The "
     "number of\n"
     "partitions and the replication of a topic that exists are never changed.\n"
     "\n"
     "sluice-offsets topics tenant create NAME [--principal User:X] [--series N] "
     "[--samples-per-second N]\n"
     "                                    [--no-acls] [--dry-run] [--json]\n"
     "\n"
     "Makes the topic metrics.ingest.NAME as the definition has it, lets the principal (User:NAME) "
     "write to it and\n"
     "validate_principal read it, and puts NAME with its quota into the file `policy`, which the "
     "workers read again\n"
     "by themselves. All is looked at before anything is done; what is there already stays; it may "
     "be repeated.\n"
     "--no-acls: where the brokers have no authorizer (Amazon MSK with IAM).\n"
     "exit codes: 0 all is as defined; 1 something differs or failed; 2 usage or configuration\n"},
    {"parquet",
     "sluice-offsets parquet restore GROUP --topic T --from-objects [--dry-run] [--yes] [--out "
     "FILE]\n"
     "sluice-offsets parquet skip GROUP --topic T [--dry-run] [--yes] [--out FILE]\n"
     "\n"
     "Both for a group that is stopped, with bucket, prefix, endpoint and aws.region as "
     "sluice-parquet has them.\n"
     "restore  a partition that has lost its offset (sluice_partitions_stopped, objects_exist) "
     "gets it back from its newest\n"
     "         range of objects: behind it, or if some of its objects are missing, its beginning "
     "with the intent, which the\n"
     "         worker finishes. Partitions that have an offset keep it.\n"
     "skip     a partition whose offset retention has passed (out_of_range, rows_missing) goes on "
     "at the log's beginning. An\n"
     "         open range is skipped as a whole, unless all of its objects are there. What is "
     "skipped is told on\n"
     "         sluice.gaps first, and will never be stored.\n"
     "exit codes: 0 done; 1 failed; 2 refused, usage or configuration: nothing was changed\n"},
    {"audit",
     "sluice-offsets audit --topic T [--table samples|rollup_1m|rollup_5m|rollup_1h] [--from "
     "PLACE] [--to PLACE]\n"
     "                     [--group GROUP] [--json]\n"
     "\n"
     "Holds what sluice-parquet stored of the topic (bucket, prefix, endpoint, aws.region as it "
     "has them) against the log,\n"
     "as far back as the log reaches, and prints each thing that is not as it should be:\n"
     "  gap      rows of the log, below what the group (sluice-parquet) has committed, that are in "
     "no object\n"
     "  overlap  offsets that two ranges of objects have both\n"
     "  objects  a range that lacks some of the objects that it had\n"
     "  rows     a range whose objects have other rows than the log, or than its intent had\n"
     "  ledger   an object whose metadata do not tell its range, rows and objects\n"
     "  foreign  an object in the tables' folders that is none of sluice's\n"
     "  told     what a sink itself has told on sluice.gaps that it skipped of this topic: amp "
     "what was too old to be\n"
     "           sent, parquet what an operator has had it skip\n"
     "It reads the log and asks S3 for each object's metadata: bound it with --from and --to.\n"
     "exit codes: 0 all is there, once; 1 something is not, or it failed; 2 usage or "
     "configuration\n"},
    {"reset",
     "sluice-offsets reset GROUP --to PLACE [--topic T] [--partitions 0,3] [--stage S] [--dry-run] "
     "[--yes] [--force]\n"
     "                     [--out FILE]\n"
     "sluice-offsets snapshot GROUP [--out FILE]\n"
     "sluice-offsets restore FILE [--dry-run] [--yes] [--out FILE]\n"
     "\n"
     "reset     moves the commits of a group that is stopped. Shows before -> after for each "
     "partition and asks (--yes:\n"
     "          does not); writes a snapshot first, to snapshot_dir or FILE. --dry-run only shows. "
     "PLACE: help places;\n"
     "          for rollup -30m is log time before the committed one.\n"
     "            validate, limit  read again: harmless, and of no use for series, since limit "
     "drops what it has seen;\n"
     "                             refused points are in the DLQ (help dlq)\n"
     "            rollup           no row changes; the log is read for the log time that belongs "
     "to the new offset\n"
     "            amp              sends again; what is too old by then is skipped and told as "
     "gaps\n"
     "            parquet          refused while an intent is open (start the workers, they finish "
     "it), and where objects\n"
     "                             hold rows from the new offset on (they would come twice): help "
     "parquet. Needs bucket,\n"
     "                             prefix and the like as sluice-parquet has them\n"
     "          Forward is refused without --force: what lies between would be read by nobody. The "
     "stage is told by the\n"
     "          group's name or commits, or by --stage.\n"
     "          Who (--who; $SUDO_USER, $USER) does what and why (--reason) is told on sluice.audit "
     "before.\n"
     "snapshot  group, cluster, topics' ids, partitions, offsets and metadata as JSON; the group "
     "may run\n"
     "restore   sets a stopped group to a snapshot: of the same cluster and topics, whose offsets "
     "the log still has\n"
     "exit codes: 0 done; 1 failed; 2 refused, usage or configuration: nothing was changed\n"},
};

bool help_print(const char *topic, struct err *e)
{
    if (topic != NULL && (strcmp(topic, "plan") == 0 || strcmp(topic, "apply") == 0)) {
        (void)fputs(replay_usage, stdout);
        return true;
    }
    if (topic == NULL) {
        (void)printf("sluice-offsets: %s", usage);
        return true;
    }
    for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++) {
        if (strcmp(topics[i].topic, topic) == 0) {
            (void)fputs(topics[i].text, stdout);
            return true;
        }
    }
    return err_set(e, ERR_CONFIG,
                   "there is no help on \"%.40s\"; sluice-offsets help lists what there is", topic);
}
