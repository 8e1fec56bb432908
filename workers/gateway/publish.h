/* A request whose body is there becomes records and an answer. */
#pragma once

#include "request.h"

/* True: the answer is ready. False: the connection sleeps until the brokers have answered; then
 * publish_outcome makes it ready. */
bool publish_request(struct request *r);
void publish_outcome(struct request *r);
/* The body is not needed any more. */
void publish_drop_body(struct request *r);
