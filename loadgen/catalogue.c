#include "catalogue.h"

#include <stdio.h>
#include <string.h>

/* clang-format off */
const struct catalogue_metric catalogue_counters[N_COUNTER_METRICS] = {
    {"game.logins",                   "{login}",   "game_logins_total",                   "asn_bucket", false, 6},
    {"game.login.failures",           "{login}",   "game_login_failures_total",           "asn_bucket", false, 3},
    {"game.login.retries",            "{retry}",   "game_login_retries_total",            "asn_bucket", false, 3},
    {"game.login.rejections",         "{login}",   "game_login_rejections_total",         "asn_bucket", false, 1},
    {"game.sessions.started",         "{session}", "game_sessions_started_total",         "asn_bucket", false, 6},
    {"game.sessions.ended",           "{session}", "game_sessions_ended_total",           "asn_bucket", false, 6},
    {"game.matchmaking.requests",     "{request}", "game_matchmaking_requests_total",     "queue",      false, 8},
    {"game.matchmaking.tickets",      "{ticket}",  "game_matchmaking_tickets_total",      "queue",      false, 8},
    {"game.matchmaking.matches",      "{match}",   "game_matchmaking_matches_total",      "queue",      false, 4},
    {"game.matchmaking.cancellations","{request}", "game_matchmaking_cancellations_total","queue",      false, 3},
    {"game.matchmaking.timeouts",     "{request}", "game_matchmaking_timeouts_total",     "queue",      false, 2},
    {"game.joins",                    "{join}",    "game_joins_total",                    "queue",      false, 7},
    {"game.join.failures",            "{join}",    "game_join_failures_total",            "asn_bucket", false, 2},
    {"game.join.retries",             "{retry}",   "game_join_retries_total",             "asn_bucket", false, 3},
    {"game.leaves",                   "{player}",  "game_leaves_total",                   "queue",      false, 7},
    {"game.disconnects",              "{player}",  "game_disconnects_total",              "asn_bucket", false, 3},
    {"game.ticks",                    "{tick}",    "game_ticks_total",                    "queue",      false, 10},
    {"game.tick.overruns",            "{tick}",    "game_tick_overruns_total",            "queue",      false, 2},
    {"game.tick.time",                "s",         "game_tick_time_seconds_total",        "queue",      true,  13},
    {"game.cpu.time",                 "s",         "game_cpu_time_seconds_total",         "queue",      true,  13},
    {"game.net.sent",                 "By",        "game_net_sent_bytes_total",           "asn_bucket", false, 30},
    {"game.net.received",             "By",        "game_net_received_bytes_total",       "asn_bucket", false, 27},
    {"game.packets.sent",             "{packet}",  "game_packets_sent_total",             "asn_bucket", false, 20},
    {"game.packets.lost",             "{packet}",  "game_packets_lost_total",             "asn_bucket", false, 8},
    {"game.queue.entered",            "{player}",  "game_queue_entered_total",            "queue",      false, 7},
    {"game.queue.left",               "{player}",  "game_queue_left_total",               "queue",      false, 7},
    {"game.queue.wait.time",          "s",         "game_queue_wait_time_seconds_total",  "queue",      true,  16},
};

const struct catalogue_metric catalogue_histograms[N_HISTOGRAM_METRICS] = {
    {"game.login.duration",   "s",        "game_login_duration_seconds",   "asn_bucket", true, 0},
    {"game.matchmaking.wait", "s",        "game_matchmaking_wait_seconds", "queue",      true, 0},
    {"game.join.duration",    "s",        "game_join_duration_seconds",    "asn_bucket", true, 0},
    {"game.tick.duration",    "s",        "game_tick_duration_seconds",    "queue",      true, 0},
    {"game.queue.depth",      "{player}", "game_queue_depth",              "queue",      true, 0},
    {"game.message.size",     "By",       "game_message_size_bytes",       "asn_bucket", true, 0},
};
/* clang-format on */

static const char *const queues[] = {
    "solo",   "duo",      "squad",  "ranked",   "arena",  "battle-royale", "casual",  "tournament",
    "custom", "practice", "coop",   "survival", "racing", "siege",         "conquest", "event"};

enum { N_QUEUES = sizeof queues / sizeof queues[0] };

size_t catalogue_dimension_value(const char *dimension, uint32_t k, char out[DIMENSION_BYTES])
{
    int n;
    if (strcmp(dimension, "queue") == 0 && k < N_QUEUES) {
        n = snprintf(out, DIMENSION_BYTES, "%s", queues[k]);
    } else {
        n = snprintf(out, DIMENSION_BYTES, "%s-%02u", dimension[0] == 'q' ? "queue" : "asn", k);
    }
    return (size_t)n;
}
