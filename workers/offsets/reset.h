/* `reset GROUP --to PLACE`: a stopped group of any stage goes elsewhere, with the metadata that its stage needs. */
#pragma once

#include "moves.h"
#include "stage_kind.h"

bool reset_verb(const struct tool *t, struct err *e) MUST_CHECK;
