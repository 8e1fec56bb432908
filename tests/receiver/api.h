/* The control side of the double; the paths stand in main.c's help. */
#pragma once

#include <microhttpd.h>

#include "receiver.h"

enum MHD_Result api_serve(struct receiver *rx, struct MHD_Connection *connection,
                          const char *method, const char *path, struct slice body);
