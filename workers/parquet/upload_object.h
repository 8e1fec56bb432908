/* One range's objects, one after the other: the bytes into a scratch file without a name, from
 * there to S3, only if there is none of that key; what is there already must be the same. Blocks;
 * for upload.c's threads. */
#pragma once

#include "upload.h"

struct object_job {
    struct range *range; /* owned */
    struct intent intent;
    char intent_text[INTENT_MAX_TEXT + 1];
    char topic[256];
    int32_t partition;
    bool mends; /* see upload.h */
    bool is_planned;
    bool has_leftovers; /* unfinished uploads may lie there: to be aborted first */
    bool is_scratch_trouble; /* of the last failure */
    size_t n_objects;
    size_t n_done;
    int body_fd; /* of the object at hand; -1: not written yet */
    size_t n_body_bytes;
    struct upload_counts tables[N_TABLES];
    size_t n_parts_aborted;
};

enum object_result {
    OBJECT_STEP_DONE,
    OBJECT_ALL_DONE,
    OBJECT_FAILED,  /* to be tried again */
    OBJECT_CONFLICT /* e says what is there */
};

void object_job_init(struct object_job *j, const struct upload_order *order);
void object_job_fini(struct object_job *j);
/* Stores the next object. */
enum object_result object_job_step(struct object_job *j, const struct uploader_options *o,
                                   struct s3 *s3, struct err *e);
void object_job_count(const struct object_job *j, struct upload_status *out);
/* In all tables below the layout's prefix. OBJECT_CONFLICT: there is one. */
enum object_result object_look(struct s3 *s3, const char *prefix, const char *name, struct err *e);
