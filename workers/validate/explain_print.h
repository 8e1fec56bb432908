/* Explanations and the table of reasons, for people and for programs. */
#pragma once

#include <stdio.h>

#include "explain.h"

void explanation_print(const struct explanation *x, FILE *out);
bool explanation_print_json(const struct explanation *x, FILE *out) MUST_CHECK;
/* A Markdown table; the README's is a copy. */
void reasons_print(FILE *out);
bool reasons_print_json(FILE *out) MUST_CHECK;
