#include "acl.h"

#include "admin_call.h"

enum { ACL_WAIT_MS = 16000 };

static bool refused(const rd_kafka_error_t *error, const char *what, struct err *e)
{
    if (rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR_SECURITY_DISABLED) {
        return err_set(e, ERR_CONFIG,
                       "the brokers have no authorizer, so everybody may write everywhere; set one up "
                       "(authorizer.class.name), or say --no-acls (Amazon MSK with IAM: by policies of IAM)");
    }
    return err_set_code(e, ERR_CONFIG, rd_kafka_error_code(error), "%s: %s", what, rd_kafka_error_string(error));
}

static bool look(rd_kafka_t *rk, const struct acl *want, bool *found, struct err *e)
{
    char text[200] = "";
    size_t n = 0;
    rd_kafka_AclBindingFilter_t *filter = rd_kafka_AclBindingFilter_new(
        RD_KAFKA_RESOURCE_TOPIC, want->topic, RD_KAFKA_RESOURCE_PATTERN_LITERAL, want->principal, NULL,
        want->operation, RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW, text, sizeof text);
    if (filter == NULL) {
        return err_set(e, ERR_CONFIG, "%s", text);
    }
    struct admin_call c = admin_call_begin(rk, RD_KAFKA_ADMIN_OP_DESCRIBEACLS);
    rd_kafka_DescribeAcls(rk, filter, c.options, c.queue);
    c.event = rd_kafka_queue_poll(c.queue, ACL_WAIT_MS);
    rd_kafka_resp_err_t code = c.event == NULL ? RD_KAFKA_RESP_ERR__TIMED_OUT : rd_kafka_event_error(c.event);
    bool ok = code == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!ok) {
        rd_kafka_error_t *error = rd_kafka_error_new(code, "%s", rd_kafka_err2str(code));
        (void)refused(error, "describe ACLs", e);
        rd_kafka_error_destroy(error);
    } else {
        (void)rd_kafka_DescribeAcls_result_acls(rd_kafka_event_DescribeAcls_result(c.event), &n);
    }
    *found = n > 0;
    admin_call_end(&c);
    rd_kafka_AclBinding_destroy(filter);
    return ok;
}

static bool create(rd_kafka_t *rk, const struct acl *want, struct err *e)
{
    char text[200] = "";
    rd_kafka_AclBinding_t *binding =
        rd_kafka_AclBinding_new(RD_KAFKA_RESOURCE_TOPIC, want->topic, RD_KAFKA_RESOURCE_PATTERN_LITERAL,
                                want->principal, "*", want->operation, RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW, text,
                                sizeof text);
    if (binding == NULL) {
        return err_set(e, ERR_CONFIG, "%s", text);
    }
    struct admin_call c = admin_call_begin(rk, RD_KAFKA_ADMIN_OP_CREATEACLS);
    rd_kafka_CreateAcls(rk, &binding, 1, c.options, c.queue);
    bool ok = admin_call_wait(&c, "create ACL", e);
    size_t n = 0;
    const rd_kafka_acl_result_t **results =
        ok ? rd_kafka_CreateAcls_result_acls(rd_kafka_event_CreateAcls_result(c.event), &n) : NULL;
    const rd_kafka_error_t *error = n == 1 ? rd_kafka_acl_result_error(results[0]) : NULL;
    ok = ok && (error == NULL || refused(error, "create ACL", e));
    admin_call_end(&c);
    rd_kafka_AclBinding_destroy(binding);
    return ok;
}

bool acl_settle(rd_kafka_t *rk, const struct acl *want, bool apply, struct topic_report *report, struct err *e)
{
    bool found = false;
    if (!look(rk, want, &found, e)) {
        return err_wrap(e, "ACLs of %s", want->topic);
    }
    *report = (struct topic_report){.state = found ? TOPIC_OK : apply ? TOPIC_CREATED : TOPIC_MISSING};
    (void)snprintf(report->detail, sizeof report->detail, "%.150s may %s", want->principal,
                   want->operation == RD_KAFKA_ACL_OPERATION_WRITE ? "write" : "read");
    return found || !apply || create(rk, want, e) || err_wrap(e, "ACLs of %s", want->topic);
}
