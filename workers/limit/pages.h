/* What the admin server shows: made by the loop every few seconds, read by the server's thread. */
#pragma once

#include <pthread.h>

#include "base/buf.h"

enum page { PAGE_COMPLETENESS, PAGE_OFFENDERS, PAGE_BUDGETS, N_PAGES };

struct pages {
    pthread_mutex_t lock;
    struct buf bodies[N_PAGES];
};

void pages_init(struct pages *p);
void pages_fini(struct pages *p);
/* The loop makes a page between these two. */
struct buf *pages_begin(struct pages *p, enum page which);
void pages_end(struct pages *p);
/* Any thread. */
void pages_print(struct pages *p, enum page which, struct buf *out);
