/* How an answer gets onto the connection. */
#pragma once

#include "request.h"

/* Queues it. */
enum MHD_Result talk_answer(struct request *r);
/* Writes it by hand while the body still comes, which libmicrohttpd can't, and says that nothing
 * more will follow. */
void talk_now(struct request *r);
