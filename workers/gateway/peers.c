#include "peers.h"

#include "base/clock.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { IPV6_NETWORK_BYTES = 8 };

static const char too_slow[] = "HTTP/1.1 408 Request Timeout\r\n"
                               "Content-Type: text/plain; charset=utf-8\r\n"
                               "X-Sluice-Reason: too_slow\r\n"
                               "Connection: close\r\n"
                               "Content-Length: 57\r\n\r\n"
                               "the body did not come in time; send it faster or smaller\n";
_Static_assert(sizeof "the body did not come in time; send it faster or smaller\n" - 1 == 57,
               "Content-Length above");

struct peers {
    struct peers_options o;
    pthread_mutex_t lock;
    struct peer *first;
    size_t n;
    struct peer **by_fd; /* owned */
    size_t n_fds;
    struct cell *cell_open;
    struct cell *cell_too_many;
    struct cell *cell_too_many_of_address;
    struct cell *cell_bad_head;
    struct cell *cell_cut[N_PEER_PHASES];
};

static void find_cells(struct peers *p)
{
    static const char *const phases[N_PEER_PHASES] = {[PEER_HEAD] = "head",
                                                      [PEER_BODY] = "body",
                                                      [PEER_ANSWERING] = "answer",
                                                      [PEER_IDLE] = "idle",
                                                      [PEER_LINGERS] = "lingering"};
    const struct slice all = SLICE_LITERAL("all");
    const struct slice address = SLICE_LITERAL("address");
    const struct slice head = SLICE_LITERAL("head");
    p->cell_open = metrics_cell(p->o.metrics, M_GATEWAY_CONNECTIONS, NULL);
    p->cell_too_many = metrics_cell(p->o.metrics, M_GATEWAY_CONNECTIONS_REFUSED, &all);
    p->cell_too_many_of_address = metrics_cell(p->o.metrics, M_GATEWAY_CONNECTIONS_REFUSED, &address);
    p->cell_bad_head = metrics_cell(p->o.metrics, M_GATEWAY_CONNECTIONS_REFUSED, &head);
    for (int i = 0; i < N_PEER_PHASES; i++) {
        const struct slice phase = slice_str(phases[i]);
        p->cell_cut[i] = metrics_cell(p->o.metrics, M_GATEWAY_CONNECTIONS_CUT, &phase);
    }
}

bool peers_new(const struct peers_options *o, struct peers **out, struct err *e)
{
    struct rlimit files = {.rlim_cur = 1024};
    struct peers *p = calloc(1, sizeof *p);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max; /* the soft limit is for programs that use select() */
        (void)setrlimit(RLIMIT_NOFILE, &files);
        (void)getrlimit(RLIMIT_NOFILE, &files);
    }
    size_t n_fds = files.rlim_cur > (1 << 20) ? 1 << 20 : (size_t)files.rlim_cur;
    struct peer **by_fd = calloc(n_fds, sizeof *by_fd);
    if (p == NULL || by_fd == NULL || pthread_mutex_init(&p->lock, NULL) != 0) {
        free(p);
        free(by_fd);
        return err_set(e, ERR_FATAL, "connections: out of memory");
    }
    p->o = *o;
    p->by_fd = by_fd;
    p->n_fds = n_fds;
    find_cells(p);
    *out = p;
    return true;
}

static void drop(struct peers *p, struct peer *peer)
{
    if (peer->previous != NULL) {
        peer->previous->next = peer->next;
    } else {
        p->first = peer->next;
    }
    if (peer->next != NULL) {
        peer->next->previous = peer->previous;
    }
    p->by_fd[peer->fd] = NULL;
    p->n--;
    cell_set(p->cell_open, (double)p->n);
    certificate_fini(&peer->certificate);
    free(peer);
}

void peers_free(struct peers *p)
{
    if (p == NULL) {
        return;
    }
    while (p->first != NULL) {
        drop(p, p->first);
    }
    (void)pthread_mutex_destroy(&p->lock);
    free(p->by_fd);
    free(p);
}

/* IPv4 as its last four bytes; of IPv6 the network, since a host has all of it. */
static void address_read(const struct sockaddr *address, uint8_t out[16])
{
    memset(out, 0, 16);
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        memcpy(out, &v6.sin6_addr, IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr) ? 16 : IPV6_NETWORK_BYTES);
    } else if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        memcpy(out + 12, &v4.sin_addr, sizeof v4.sin_addr);
    }
}

static bool has_room(struct peers *p, const uint8_t address[16])
{
    size_t n = 0;
    if (p->n >= p->o.max) {
        cell_add(p->cell_too_many, 1);
        return false;
    }
    for (const struct peer *i = p->o.max_per_address == 0 ? NULL : p->first; i != NULL; i = i->next) {
        n += memcmp(i->address, address, sizeof i->address) == 0;
    }
    if (p->o.max_per_address > 0 && n >= p->o.max_per_address) {
        cell_add(p->cell_too_many_of_address, 1);
        return false;
    }
    return true;
}

bool peers_add(struct peers *p, int fd, const struct sockaddr *address, bool is_tls)
{
    struct peer *peer = fd < 0 || (size_t)fd >= p->n_fds ? NULL : calloc(1, sizeof *peer);
    if (peer == NULL) {
        return false;
    }
    *peer = (struct peer){.fd = fd, .is_tls = is_tls, .since_mono_ms = clock_mono_ms()};
    address_read(address, peer->address);
    (void)pthread_mutex_lock(&p->lock);
    if (p->by_fd[fd] != NULL) {
        drop(p, p->by_fd[fd]); /* closed before its connection ever began */
    }
    bool ok = has_room(p, peer->address);
    if (ok) {
        peer->next = p->first;
        if (p->first != NULL) {
            p->first->previous = peer;
        }
        p->first = peer;
        p->by_fd[fd] = peer;
        p->n++;
        cell_set(p->cell_open, (double)p->n);
    }
    (void)pthread_mutex_unlock(&p->lock);
    if (!ok) {
        free(peer);
    }
    return ok;
}

void peers_refuse(struct peers *p, int fd)
{
    (void)pthread_mutex_lock(&p->lock);
    struct peer *peer = p->by_fd[fd];
    if (peer != NULL && !peer->begun) {
        cell_add(p->cell_too_many, 1);
        drop(p, peer);
    }
    (void)pthread_mutex_unlock(&p->lock);
}

struct peer *peers_begin(struct peers *p, int fd)
{
    (void)pthread_mutex_lock(&p->lock);
    struct peer *peer = fd < 0 || (size_t)fd >= p->n_fds ? NULL : p->by_fd[fd];
    if (peer != NULL) {
        peer->begun = true;
    }
    (void)pthread_mutex_unlock(&p->lock);
    return peer;
}

/* libmicrohttpd answers by itself what is wrong with a head (400, 414, 431), and tells nobody. */
void peers_remove(struct peers *p, struct peer *peer)
{
    (void)pthread_mutex_lock(&p->lock);
    cell_add(p->cell_bad_head, peer->head_open && !peer->cut ? 1 : 0);
    drop(p, peer);
    (void)pthread_mutex_unlock(&p->lock);
}

bool peers_enter(struct peers *p, struct peer *peer, enum peer_phase phase, int64_t mono_ms)
{
    (void)pthread_mutex_lock(&p->lock);
    bool ok = !peer->cut;
    if (ok) {
        peer->phase = phase;
        peer->head_open = phase == PEER_HEAD;
        peer->since_mono_ms = mono_ms;
    }
    (void)pthread_mutex_unlock(&p->lock);
    return ok;
}

/* While the body comes nobody else writes on the connection, and not before the lock is given back. */
static void cut(struct peers *p, struct peer *peer)
{
    peer->cut = true;
    cell_add(p->cell_cut[peer->phase], 1);
    if (peer->phase == PEER_BODY && !peer->is_tls) {
        (void)send(peer->fd, too_slow, sizeof too_slow - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    (void)shutdown(peer->fd, SHUT_RDWR);
}

/* libmicrohttpd had no memory for it and has closed it without a word, or will find nobody when it
 * begins, and close it then: the descriptor is not ours to touch. */
static void give_up(struct peers *p, struct peer *peer)
{
    cell_add(p->cell_cut[peer->phase], 1);
    drop(p, peer);
}

void peers_sweep(struct peers *p, int64_t mono_ms)
{
    (void)pthread_mutex_lock(&p->lock);
    for (struct peer *i = p->first, *next; i != NULL; i = next) {
        int64_t max_ms = p->o.max_ms[i->phase];
        bool is_over = !i->cut && max_ms > 0 && mono_ms - i->since_mono_ms > max_ms;
        next = i->next;
        if (is_over && i->begun) {
            cut(p, i);
        } else if (is_over) {
            give_up(p, i);
        }
    }
    (void)pthread_mutex_unlock(&p->lock);
}

size_t peers_count(struct peers *p)
{
    (void)pthread_mutex_lock(&p->lock);
    size_t n = p->n;
    (void)pthread_mutex_unlock(&p->lock);
    return n;
}
