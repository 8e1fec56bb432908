/* OTLP names → Prometheus names, as Prometheus's own OTLP receiver does with its default settings
 * (otlptranslator, strategy UnderscoreEscapingWithSuffixes): units and _total become suffixes,
 * what is not a letter, digit or colon becomes one underscore between tokens.
 *
 *   http.server.duration, s, histogram  →  http_server_duration_seconds
 *   game.logins, {login}, counter       →  game_logins_total */
#pragma once

#include "base/buf.h"

enum name_kind { NAME_COUNTER, NAME_GAUGE, NAME_OTHER };

/* Appends the metric's name; unit as UCUM. False when nothing usable is left of the name. */
bool name_translate(struct slice name, struct slice unit, enum name_kind kind, struct buf *out);
/* Appends the label's name: each character that is not a letter, digit or _ becomes _; key_ or key
 * in front of a leading digit or single underscore. False when nothing but _ is left. */
bool label_name_translate(struct slice name, struct buf *out);

/* [a-zA-Z_:][a-zA-Z0-9_:]* and [a-zA-Z_][a-zA-Z0-9_]*. */
bool name_valid(struct slice name);
bool label_name_valid(struct slice name);
