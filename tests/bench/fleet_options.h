/* The words of a bench over a fleet: --servers N, --rounds N, --json. */
#pragma once

#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>

struct fleet_options {
    unsigned n_servers;
    unsigned n_rounds;
    bool json;
};

/* What is not given stays; 0 counts as 1. False: some other word. */
static inline bool fleet_options_read(int argc, char **argv, struct fleet_options *o)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"servers", required_argument, NULL, 's'},
                                            {"rounds", required_argument, NULL, 'r'},
                                            {0}};
    for (int c; (c = getopt_long(argc, argv, "js:r:", options, NULL)) != -1;) {
        if (c == 'j') {
            o->json = true;
        } else if (c == 's' || c == 'r') {
            unsigned n = (unsigned)strtoul(optarg, NULL, 10);
            *(c == 's' ? &o->n_servers : &o->n_rounds) = n == 0 ? 1 : n;
        } else {
            return false;
        }
    }
    return true;
}
