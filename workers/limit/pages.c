#include "pages.h"

enum { PAGE_BYTES = 16 << 20 };

void pages_init(struct pages *p)
{
    (void)pthread_mutex_init(&p->lock, NULL);
    for (int i = 0; i < N_PAGES; i++) {
        buf_init(&p->bodies[i], PAGE_BYTES);
    }
}

void pages_fini(struct pages *p)
{
    for (int i = 0; i < N_PAGES; i++) {
        buf_fini(&p->bodies[i]);
    }
    (void)pthread_mutex_destroy(&p->lock);
}

struct buf *pages_begin(struct pages *p, enum page which)
{
    (void)pthread_mutex_lock(&p->lock);
    buf_reset(&p->bodies[which]);
    return &p->bodies[which];
}

void pages_end(struct pages *p)
{
    (void)pthread_mutex_unlock(&p->lock);
}

void pages_print(struct pages *p, enum page which, struct buf *out)
{
    (void)pthread_mutex_lock(&p->lock);
    buf_put_slice(out, buf_slice(&p->bodies[which]));
    (void)pthread_mutex_unlock(&p->lock);
}
