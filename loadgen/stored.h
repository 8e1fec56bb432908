/* A series as a store names it: its labels, and which of the model's it is. */
#pragma once

#include <jansson.h>

#include "readers.h"

enum { MAX_STORED_LABELS = 64 };

struct stored_series {
    struct slice metric; /* "__name__" */
    uint32_t n_labels;
    struct label labels[MAX_STORED_LABELS]; /* with "__name__"; borrowed */
    enum match match;
    uint32_t server;
    uint32_t series;
};

/* False at the ceiling. */
bool stored_label_add(struct stored_series *s, struct slice name, struct slice value);
/* All members of an object of strings, which must outlive s. */
bool stored_labels_json(struct stored_series *s, json_t *object);
/* Once all labels are in. */
void stored_match(struct stored_series *s, struct reader *r);
/* seen lacks server and series only. */
void stored_see(const struct stored_series *s, struct reader *r, struct sighting *seen);
