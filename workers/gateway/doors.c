#include "doors.h"

#include "base/file.h"
#include "run/listen.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum { BACKLOG = 1024, POLL_MS = 50, FULL_WAIT_US = 10000, ACCEPT_AT_ONCE = 256, MAX_OLD = 16, PEM_MAX_BYTES = 1 << 20 };

struct pem {
    struct buf certificate;
    struct buf key;
    struct buf ca;
};

struct doors {
    struct doors_options o;
    struct peers *peers;
    int plain_fd;
    int tls_fd;
    struct lane_set *plain;
    pthread_mutex_t lock; /* of tls */
    struct lane_set *tls;
    struct lane_set *old[MAX_OLD];
    size_t n_old;
    struct file_stamp seen[3];
    pthread_t thread;
    bool runs;
    _Atomic(bool) stop;
};

/* --- certificates --- */

static bool pem_read(const struct doors_options *o, struct pem *out, struct err *e)
{
    buf_init(&out->certificate, PEM_MAX_BYTES);
    buf_init(&out->key, PEM_MAX_BYTES);
    buf_init(&out->ca, PEM_MAX_BYTES);
    if (!file_read(o->certificate_path, &out->certificate, e)) {
        return err_wrap(e, "tls_certificate");
    }
    if (!file_read(o->key_path, &out->key, e)) {
        return err_wrap(e, "tls_key");
    }
    return o->ca_path[0] == '\0' || file_read(o->ca_path, &out->ca, e) || err_wrap(e, "tls_client_ca");
}

static void pem_free(struct pem *p)
{
    buf_fini(&p->certificate);
    buf_fini(&p->key);
    buf_fini(&p->ca);
}

static void show_expiry(const struct doors *d, struct pem *p)
{
    gnutls_x509_crt_t crt = NULL;
    const gnutls_datum_t text = {.data = p->certificate.ptr, .size = (unsigned)p->certificate.len};
    if (gnutls_x509_crt_init(&crt) == 0) {
        if (gnutls_x509_crt_import(crt, &text, GNUTLS_X509_FMT_PEM) == 0) {
            cell_set(metrics_cell(d->o.metrics, M_GATEWAY_CERTIFICATE, NULL),
                     (double)gnutls_x509_crt_get_expiration_time(crt));
        }
        gnutls_x509_crt_deinit(crt);
    }
}

static bool tls_open(struct doors *d, struct lane_set **out, struct err *e)
{
    struct pem p;
    bool ok = pem_read(&d->o, &p, e);
    if (ok) {
        const struct lane_tls tls = {
            .certificate = buf_c_str(&p.certificate),
            .key = buf_c_str(&p.key),
            .ca = d->o.ca_path[0] == '\0' ? NULL : buf_c_str(&p.ca),
        };
        ok = lane_set_open(&d->o.lanes, &tls, out, e);
    }
    if (ok) {
        show_expiry(d, &p);
    }
    pem_free(&p);
    return ok;
}

static bool tls_moved(struct doors *d)
{
    const char *const paths[3] = {d->o.certificate_path, d->o.key_path, d->o.ca_path};
    bool moved = false;
    for (int i = 0; i < 3; i++) {
        moved |= paths[i][0] != '\0' && file_moved(&d->seen[i], paths[i]);
    }
    return moved;
}

static void end_empty_sets(struct doors *d)
{
    for (size_t i = d->n_old; i-- > 0;) {
        if (lane_set_connections(d->old[i]) == 0) {
            lane_set_close(d->old[i]);
            d->old[i] = d->old[--d->n_old];
        }
    }
}

enum doors_change doors_reload(struct doors *d, struct err *e)
{
    struct lane_set *fresh = NULL;
    end_empty_sets(d);
    if (d->tls_fd < 0 || d->n_old == MAX_OLD || !tls_moved(d)) {
        return DOORS_SAME;
    }
    if (!tls_open(d, &fresh, e)) {
        return DOORS_REFUSED;
    }
    (void)pthread_mutex_lock(&d->lock);
    d->old[d->n_old++] = d->tls;
    lane_set_retire(d->tls);
    d->tls = fresh;
    (void)pthread_mutex_unlock(&d->lock);
    return DOORS_NEW;
}

/* --- accepting --- */

static void let_in(struct doors *d, int fd, const struct sockaddr *address, socklen_t len, bool is_tls)
{
    const int yes = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (!peers_add(d->peers, fd, address, is_tls)) {
        (void)close(fd);
        return;
    }
    (void)pthread_mutex_lock(&d->lock); /* so that the set is not retired and empty meanwhile */
    bool is_taken = lane_set_take(is_tls ? d->tls : d->plain, fd, address, len);
    (void)pthread_mutex_unlock(&d->lock);
    if (!is_taken) {
        peers_refuse(d->peers, fd);
    }
}

static void accept_some(struct doors *d, int listening, bool is_tls)
{
    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        struct sockaddr_storage address;
        socklen_t len = sizeof address;
        int fd = accept4(listening, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                (void)usleep(FULL_WAIT_US);
            }
            return;
        }
        let_in(d, fd, (const struct sockaddr *)&address, len, is_tls);
    }
}

static void *accept_all(void *doors)
{
    struct doors *d = doors;
    while (!atomic_load(&d->stop)) {
        struct pollfd wanted[2] = {{.fd = d->plain_fd, .events = POLLIN}, {.fd = d->tls_fd, .events = POLLIN}};
        if (poll(wanted, 2, POLL_MS) <= 0) {
            continue;
        }
        if (wanted[0].revents != 0) {
            accept_some(d, d->plain_fd, false);
        }
        if (wanted[1].revents != 0) {
            accept_some(d, d->tls_fd, true);
        }
    }
    return NULL;
}

/* --- all of it --- */

static bool listen_all(struct doors *d, struct err *e)
{
    struct listen_place where = {.address = d->o.address,
                                 .port = d->o.port,
                                 .backlog = BACKLOG,
                                 .address_key = "address",
                                 .port_key = "port"};
    if (d->o.port >= 0 && !listen_open(&where, &d->plain_fd, e)) {
        return false;
    }
    where.port = d->o.tls_port;
    where.port_key = "tls_port";
    return d->o.tls_port < 0 || listen_open(&where, &d->tls_fd, e);
}

static bool serve(struct doors *d, struct err *e)
{
    if (d->o.port >= 0 && !lane_set_open(&d->o.lanes, NULL, &d->plain, e)) {
        return false;
    }
    (void)tls_moved(d);
    if (d->o.tls_port >= 0 && !tls_open(d, &d->tls, e)) {
        return false;
    }
    if (!listen_all(d, e)) {
        return false;
    }
    d->runs = pthread_create(&d->thread, NULL, accept_all, d) == 0;
    return d->runs || err_set(e, ERR_FATAL, "cannot start the thread that accepts");
}

bool doors_open(const struct doors_options *o, struct doors **out, struct err *e)
{
    struct doors *d = calloc(1, sizeof *d);
    if (d == NULL || pthread_mutex_init(&d->lock, NULL) != 0) {
        free(d);
        return err_set(e, ERR_FATAL, "out of memory");
    }
    d->o = *o;
    d->peers = o->lanes.service->peers;
    d->plain_fd = -1;
    d->tls_fd = -1;
    if (!serve(d, e)) {
        doors_close(d);
        return false;
    }
    *out = d;
    return true;
}

int doors_port(const struct doors *d)
{
    return d->plain_fd < 0 ? -1 : listen_port(d->plain_fd);
}

int doors_tls_port(const struct doors *d)
{
    return d->tls_fd < 0 ? -1 : listen_port(d->tls_fd);
}

void doors_shut(struct doors *d)
{
    if (d->runs) {
        atomic_store(&d->stop, true);
        (void)pthread_join(d->thread, NULL);
        d->runs = false;
    }
    if (d->plain_fd >= 0) {
        (void)close(d->plain_fd);
    }
    if (d->tls_fd >= 0) {
        (void)close(d->tls_fd);
    }
    d->plain_fd = -1;
    d->tls_fd = -1;
}

void doors_close(struct doors *d)
{
    if (d == NULL) {
        return;
    }
    doors_shut(d);
    for (size_t i = 0; i < d->n_old; i++) {
        lane_set_close(d->old[i]);
    }
    lane_set_close(d->plain);
    lane_set_close(d->tls);
    (void)pthread_mutex_destroy(&d->lock);
    free(d);
}
