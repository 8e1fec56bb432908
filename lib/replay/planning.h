/* `plan replay`: times become offsets, the log is read, the sink says what a replay would do to it,
 * and all of it is printed and written as a plan. Nothing is changed anywhere. */
#pragma once

#include "replay/arguments.h"
#include "replay/plan.h"
#include "replay/survey.h"
#include "stage/log_reader.h"

#include <jansson.h>

/* Of one partition; `to` is the first offset that is not in it any more. */
struct replay_span {
    int32_t partition;
    int64_t from;
    int64_t to;
    int64_t log_first;
    int64_t log_end;
};

struct replay_planning {
    const struct replay_arguments *arguments;
    struct log_reader *reader;
    struct replay_plan plan;
    struct survey survey; /* of what was read of the spans */
    int64_t now_ms;
    json_t *effect; /* numbers by name, in the order of the sink's telling */
    json_t *risks;  /* texts */
    json_t *spans;
};

/* The sink's part. Its errors end the planning. */
struct replay_planner {
    void *ctx;
    /* "s3://bucket/prefix", a url. */
    const char *sink;
    /* What is to be known before the first span; may be NULL. */
    bool (*begin)(void *ctx, struct replay_planning *p, struct err *e);
    /* Reads the span (survey_add for what it reads of it) and adds the plan's pieces. */
    bool (*span)(void *ctx, struct replay_planning *p, const struct replay_span *span,
                 struct err *e);
    /* Effects and risks. */
    bool (*finish)(void *ctx, struct replay_planning *p, struct err *e);
    /* There is nothing that such a plan could do: the effect is told, no file is written. */
    bool is_useless;
};

/* Prints the plan, or the error; returns the exit code. */
int replay_planning_run(const struct kafka_settings *settings, const struct replay_arguments *a,
                        const struct replay_planner *planner);

void replay_effect(struct replay_planning *p, const char *name, uint64_t n);
void replay_risk(struct replay_planning *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
