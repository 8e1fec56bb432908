#include "stage/login.h"

#include "aws/credentials.h"
#include "aws/msk.h"
#include "aws/region.h"
#include "base/arena.h"
#include "base/clock.h"
#include "run/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_KEYS_MS = 5000, MIN_REFRESH_MS = 5000, ARENA_MAX_BYTES = 1 << 20 };

static const char user_agent[] = "sluice/" SLUICE_VERSION;

/* A process has one AWS identity (its environment's) and one cluster, but several handles, whose refresh
 * callbacks get the stage's opaque: so this is the process's, too. Who reads holds the lock, so that the
 * credentials end only once no callback uses them. */
static struct {
    pthread_rwlock_t lock;
    struct credentials *credentials;
    char region[REGION_MAX_CHARS + 1];
} login = {.lock = PTHREAD_RWLOCK_INITIALIZER};

static bool is_mechanism(const char *property)
{
    return strcmp(property, "sasl.mechanism") == 0 || strcmp(property, "sasl.mechanisms") == 0;
}

bool login_owns(const char *property, const char *value)
{
    return strcmp(property, "aws.region") == 0 ||
           (is_mechanism(property) && strcmp(value, "AWS_MSK_IAM") == 0);
}

bool login_by_iam(const struct config *config)
{
    const char *name;
    const char *value;
    for (size_t i = 0; config_kafka(config, i, &name, &value); i++) {
        if (is_mechanism(name) && strcmp(value, "AWS_MSK_IAM") == 0) {
            return true;
        }
    }
    return false;
}

static bool find_region(const struct config *config, char *out, size_t n_out, struct err *e)
{
    const char *name;
    const char *value;
    for (size_t i = 0; config_kafka(config, i, &name, &value); i++) {
        if (strcmp(name, "aws.region") == 0) {
            if (!region_check(value, e)) {
                return err_wrap(e, "kafka.aws.region");
            }
            (void)snprintf(out, n_out, "%s", value);
            return true;
        }
    }
    return credentials_find_region(NULL, out, n_out, e) ||
           err_wrap(e, "kafka.sasl.mechanism=AWS_MSK_IAM, and kafka.aws.region is not set");
}

static void close_credentials(void)
{
    (void)pthread_rwlock_wrlock(&login.lock);
    struct credentials *c = login.credentials;
    login.credentials = NULL;
    (void)pthread_rwlock_unlock(&login.lock);
    credentials_close(c);
}

/* Under the lock. */
static bool open_once(const struct config *config, struct err *e)
{
    const struct credentials_options o = {.user_agent = user_agent, .min_refresh_ms = MIN_REFRESH_MS};
    if (login.credentials != NULL) {
        return true;
    }
    if (!find_region(config, login.region, sizeof login.region, e) ||
        !credentials_open(&o, &login.credentials, e)) {
        return false;
    }
    /* Before libcurl's and OpenSSL's own handlers: those were registered by now. */
    (void)atexit(close_credentials);
    return true;
}

/* Under the lock. */
static bool make_token(struct arena *a, struct aws_keys *keys, struct msk_token *out, struct err *e)
{
    if (login.credentials == NULL) {
        return err_set(e, ERR_FATAL, "the process ends");
    }
    return credentials_get(login.credentials, FIRST_KEYS_MS, a, keys, e) &&
           msk_token(keys, login.region, user_agent, clock_now_ms(), a, out, e);
}

static bool give_token(rd_kafka_t *rk, const struct aws_keys *keys, const struct msk_token *token, struct err *e)
{
    char text[200];
    rd_kafka_resp_err_t code = rd_kafka_oauthbearer_set_token(rk, token->text, token->expires_ms, keys->access_key,
                                                              NULL, 0, text, sizeof text);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR || err_set(e, ERR_RETRY, "librdkafka: %s", text);
}

static void on_refresh(rd_kafka_t *rk, const char *unused, void *opaque)
{
    struct arena a;
    struct aws_keys keys;
    struct msk_token token;
    struct err e = ERR_INIT;
    struct credentials_status status = {.source = ""};
    (void)unused;
    (void)opaque;
    arena_init(&a, ARENA_MAX_BYTES);
    (void)pthread_rwlock_rdlock(&login.lock);
    bool ok = make_token(&a, &keys, &token, &e) && give_token(rk, &keys, &token, &e);
    if (login.credentials != NULL) {
        credentials_status(login.credentials, &status);
    }
    (void)pthread_rwlock_unlock(&login.lock);
    if (ok) {
        log_line(LOG_INFO, "a new token for MSK",
                 LOG_FIELDS(LOG_STR("client", rd_kafka_name(rk)), LOG_STR("credentials", status.source)));
    } else {
        (void)rd_kafka_oauthbearer_set_token_failure(rk, e.text); /* asks again in 10 s */
        log_err(LOG_ERROR, "no token for MSK", &e);
    }
    arena_fini(&a);
}

static bool set(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *e)
{
    char text[200];
    return rd_kafka_conf_set(conf, name, value, text, sizeof text) == RD_KAFKA_CONF_OK ||
           err_set(e, ERR_CONFIG, "kafka.%s: %s", name, text);
}

bool login_prepare(rd_kafka_conf_t *conf, const struct config *config, struct err *e)
{
    (void)pthread_rwlock_wrlock(&login.lock);
    bool ok = open_once(config, e);
    (void)pthread_rwlock_unlock(&login.lock);
    if (!ok) {
        return false;
    }
    rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, on_refresh);
    rd_kafka_conf_enable_sasl_queue(conf, 1);
    /* A broker takes 100 new connections by IAM a second from all clients, a small one 4. */
    return set(conf, "security.protocol", "sasl_ssl", e) && set(conf, "sasl.mechanisms", "OAUTHBEARER", e) &&
           set(conf, "reconnect.backoff.ms", "500", e) && set(conf, "reconnect.backoff.max.ms", "10000", e);
}

bool login_start(rd_kafka_t *rk, struct err *e)
{
    rd_kafka_error_t *error = rd_kafka_sasl_background_callbacks_enable(rk);
    if (error != NULL) {
        (void)err_set(e, ERR_FATAL, "kafka: %s", rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
    }
    return error == NULL;
}
