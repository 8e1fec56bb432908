/* Does a label's value look like personal data? Made for few false alarms: versions, build ids,
 * zones, shard ids, times and hashes pass (tests/unit/policy/personal_data_test.c has the table).
 * A function of the value alone; it looks for
 *
 *   ipv4     four numbers to 255; not as a version (v1.2.3.4, 1.2.3.4-rc1, or all of them below 32,
 *            unless it begins with 10)
 *   ipv6     two groups and a digit at least; ::1 passes
 *   email    name@host.tld
 *   uuid     8-4-4-4-12 but all zeros; 32 hexadecimal digits with a UUID's version and variant
 *   digits   a run of digit_run and more; not inside a hash, not the same digit again and again,
 * and not a time as 202611271030(15) */
#pragma once

#include "policy/glob.h"

enum personal_data {
    PERSONAL_NONE,
    PERSONAL_EMAIL,
    PERSONAL_UUID,
    PERSONAL_IPV6,
    PERSONAL_IPV4,
    PERSONAL_DIGITS,
    N_PERSONAL
};

struct detectors {
    bool on[N_PERSONAL];
    int64_t digit_run;       /* digits in a row that are too many */
    struct text_list exempt; /* patterns on label names: only e-mail is looked for there */
};

/* The first kind that is found. */
enum personal_data personal_data_find(const struct detectors *d, struct slice label,
                                      struct slice value);
/* For people: "looks like an IPv4 address". */
const char *personal_data_text(enum personal_data kind);
