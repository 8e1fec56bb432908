/* Private to lib/policy: reads structs out of JSON by tables of keys. */
#pragma once

#include <jansson.h>

#include "policy/policy.h"

enum { POLICY_PATH_BYTES = 160 };

struct policy_reader {
    struct arena *arena; /* what the rules point to */
    enum rule_level level;
    struct err *e;
};

enum value_type { VALUE_TEXTS, VALUE_TEXT, VALUE_INT, VALUE_CHOICE, VALUE_BOOL, VALUE_OTHER };

/* One key of an object: where its value goes in the struct that is read into. */
struct policy_key {
    const char *name;
    enum value_type type;
    size_t offset;
    int64_t min; /* VALUE_INT */
    int64_t max;
    const char *const *choices; /* VALUE_CHOICE: NULL-ended; the index is put, as a bool */
    bool (*read)(const struct policy_reader *r, json_t *value, const char *path,
                 void *into); /* VALUE_OTHER */
    enum rule_key rule;       /* `into` are rules, whose set_at takes note; RULE_NONE: no */
};

/* All false with the error set. The path is a value's place, for messages; "" at the top. */
bool policy_complain(const struct policy_reader *r, const char *path, const char *what);
bool policy_no_memory(const struct policy_reader *r, const char *path);
bool policy_read_text(const struct policy_reader *r, json_t *value, const char *path,
                      struct slice *out) MUST_CHECK;
bool policy_read_texts(const struct policy_reader *r, json_t *value, const char *path,
                       struct text_list *out) MUST_CHECK;
/* The index in choices, or -1. */
int policy_read_choice(const struct policy_reader *r, json_t *value, const char *path,
                       const char *const *choices);
/* Keys in `also` (NULL-ended, or NULL) are the caller's. */
bool policy_read_object(const struct policy_reader *r, json_t *object, const char *path,
                        const struct policy_key *keys, const char *const *also,
                        void *into) MUST_CHECK;
void policy_path_join(char out[POLICY_PATH_BYTES], const char *path, const char *name);
void policy_path_index(char out[POLICY_PATH_BYTES], const char *path, size_t i);

/* Changes what the object says. */
bool policy_read_rules(const struct policy_reader *r, json_t *object, const char *path,
                       const char *const *also, struct rules *rules) MUST_CHECK;
/* A tenant's own key `principals`, if it is there. */
bool policy_read_principals(const struct policy_reader *r, json_t *tenant, const char *path,
                            struct text_list *out) MUST_CHECK;
/* The sections, as `read` of a key; into are the rules. */
bool policy_read_labels(const struct policy_reader *r, json_t *value, const char *path, void *into);
bool policy_read_metrics(const struct policy_reader *r, json_t *value, const char *path,
                         void *into);

/* In the order of enum series_kind; NULL-ended. */
extern const char *const policy_kind_choices[];
