/* The configuration keys that every stage has: STAGE_CONFIG(CONFIG_ROW) in a worker's table. The
 * worker's own table names "topics" (the inputs; ^… is a regular expression) and the outputs. */
#pragma once

#include "run/config.h"

#if SLUICE_FAULTS
#define STAGE_FAULT_CONFIG(KEY)                                                                    \
    KEY("fault.offsets_outside", BOOL, "false", 0, 0, "TEST: commit offsets outside the transaction") \
    KEY("fault.no_rewind", BOOL, "false", 0, 0, "TEST: don't rewind kept partitions after an abort") \
    KEY("fault.hang", INT, "0", 0, 1000000, "TEST: the n-th transaction hangs until it is given up") \
    KEY("fault.restore_to_lso", BOOL, "false", 0, 0, "TEST: state is read to the last stable offset only") \
    KEY("fault.no_recreate", BOOL, "false", 0, 0, "TEST: keep the producer after a commit in doubt") \
    KEY("fault.repeat_commit", BOOL, "false", 0, 0,                                                \
        "TEST: a sink's commit in doubt is sent again, and its producer kept")
#else
#define STAGE_FAULT_CONFIG(KEY)
#endif

#define STAGE_CONFIG(KEY)                                                                          \
    KEY("group", STRING, "", 0, 0, "consumer group; empty = sluice-<worker>")                      \
    KEY("instance", STRING, "", 0, 0,                                                              \
        "stable name of this process, unique in its group (transactional.id); empty = host name")  \
    KEY("static_membership", BOOL, "false", 0, 0,                                                  \
        "join as a static member: a restart keeps its partitions, scaling in waits for the session") \
    KEY("control_topic", STRING, "sluice.control", 0, 0,                                           \
        "operators' rules (pauses of partitions, and what the stage itself obeys); empty = none")  \
    KEY("session_timeout_ms", INT, "15000", 1000, 1800000, "group session timeout, ms")            \
    KEY("max_poll_interval_ms", INT, "300000", 1000, 3600000, "longest time without a poll, ms")   \
    KEY("transaction_timeout_ms", INT, "0", 0, 900000,                                             \
        "transaction timeout, ms; 0 = two thirds of the session timeout")                          \
    KEY("commit_interval_ms", INT, "200", 1, 60000, "a transaction or offset commit this often, ms") \
    KEY("commit_max_bytes", INT, "16777216", 65536, 1073741824,                                    \
        "a transaction is closed at this many bytes of output")                                    \
    KEY("commit_timeout_ms", INT, "0", 0, 900000,                                                  \
        "give up a commit or abort after this, ms, and replace the producer; 0 = the transaction timeout") \
    KEY("commit_doubt_ms", INT, "3000", 100, 900000,                                               \
        "a commit that took longer may have been sent twice: replace the producer, ms")            \
    KEY("max_record_attempts", INT, "3", 1, 1000,                                                  \
        "a record whose output is refused this often goes to the DLQ")                             \
    KEY("memory_limit_mb", INT, "512", 64, 1048576, "ceiling for queues and buffers, MiB")         \
    KEY("shutdown_ms", INT, "20000", 100, 600000, "longest orderly end after SIGTERM, ms")         \
    KEY("fenced_backoff_ms", INT, "10000", 0, 600000,                                              \
        "wait before exit code 3 when another process has the same instance name, ms")             \
    KEY("ready_freshness_ms", INT, "60000", 100, 86400000,                                         \
        "/ready says no when the records being processed are older than this, ms")                 \
    KEY("http_address", STRING, "0.0.0.0", 0, 0, "address of /metrics, /healthz, /ready")          \
    KEY("http_port", INT, "9464", 0, 65535, "port of /metrics, /healthz, /ready; 0 = any")         \
    KEY("log_level", STRING, "info", 0, 0, "debug, info, warn or error")                           \
    STAGE_FAULT_CONFIG(KEY)
