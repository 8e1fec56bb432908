#include "admin_call.h"

enum { CALL_MS = 15000 };

struct admin_call admin_call_begin(rd_kafka_t *rk, rd_kafka_admin_op_t op)
{
    char text[128];
    struct admin_call c = {rd_kafka_queue_new(rk), rd_kafka_AdminOptions_new(rk, op), NULL};
    (void)rd_kafka_AdminOptions_set_request_timeout(c.options, CALL_MS, text, sizeof text);
    return c;
}

bool admin_call_wait(struct admin_call *c, const char *what, struct err *e)
{
    c->event = rd_kafka_queue_poll(c->queue, CALL_MS + 1000);
    if (c->event == NULL || rd_kafka_event_error(c->event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return err_set_code(e, ERR_RETRY, c->event == NULL ? 0 : rd_kafka_event_error(c->event),
                            "%s: %s", what,
                            c->event == NULL ? "no answer" : rd_kafka_event_error_string(c->event));
    }
    return true;
}

void admin_call_end(struct admin_call *c)
{
    if (c->event != NULL) {
        rd_kafka_event_destroy(c->event);
    }
    rd_kafka_AdminOptions_destroy(c->options);
    rd_kafka_queue_destroy(c->queue);
}
