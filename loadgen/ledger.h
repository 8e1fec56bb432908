/* What should be there against what is: two bits per expected sample, values from the model.
 * Readers bring sightings in, ledger_close counts what never came. */
#pragma once

#include "manifest.h"
#include "matcher.h"
#include "native.h"

enum fault { FAULT_LOST, FAULT_DUPLICATE, FAULT_WRONG, FAULT_UNEXPECTED, FAULT_ORDER, N_FAULTS };
enum { MAX_EXAMPLES = 5, EXAMPLE_BYTES = 320 };

/* How often a sample may be there. */
enum ledger_mode {
    LEDGER_LOG,  /* as often as it was sent, in the order of sending */
    LEDGER_STORE /* at least once: a store that takes repeats */
};

struct ledger {
    const struct model *model;       /* borrowed */
    const struct manifest *manifest; /* borrowed */
    enum ledger_mode mode;
    bool ordered; /* check the order within a source */
    bool exact;   /* LEDGER_STORE: repeats are faults all the same */
    uint8_t *seen;       /* two bits per scrape and series, saturating */
    int64_t *last_order; /* per server */
    uint64_t n_expected; /* filled in by ledger_close */
    uint64_t n_found;    /* sightings that are expected and right */
    uint64_t n_repeats;  /* LEDGER_STORE: sightings beyond the first */
    uint64_t n_other;    /* series of other loads */
    uint64_t faults[N_FAULTS];
    uint32_t n_examples[N_FAULTS];
    char examples[N_FAULTS][MAX_EXAMPLES][EXAMPLE_BYTES];
};

struct sighting {
    uint32_t server;
    uint32_t series;
    int64_t time_ms;
    int64_t start_ms; /* -1 = not told */
    uint32_t n_times;
    bool is_histogram;
    bool is_digest;
    double value;                            /* scalars */
    uint64_t digest;                         /* is_histogram and is_digest */
    const struct native_histogram *histogram; /* is_histogram otherwise */
};

/* What should have been rejected; a range where messages are in doubt. */
struct ledger_rejects {
    uint64_t min_samples; /* forbidden labels */
    uint64_t max_samples;
    uint64_t min_garbage; /* messages */
    uint64_t max_garbage;
};

bool ledger_init(struct ledger *l, const struct model *m, const struct manifest *f,
                 enum ledger_mode mode, struct err *e) MUST_CHECK;
void ledger_fini(struct ledger *l);
void ledger_see(struct ledger *l, const struct sighting *s);
/* A sample of a series that should not be there; n of them. */
void ledger_unexpected(struct ledger *l, uint64_t n, struct slice metric,
                       const struct label *labels, uint32_t n_labels, int64_t time_ms);
void ledger_close(struct ledger *l);
bool ledger_clean(const struct ledger *l);
void ledger_rejects(const struct ledger *l, struct ledger_rejects *out);
const char *fault_name(enum fault fault);
