/* A plan as people and as scripts read it. */
#pragma once

#include "replay/planning.h"

/* On stdout; has_plan: there is one that can be applied. */
void replay_report_plan(const struct replay_planning *p, bool has_plan);
