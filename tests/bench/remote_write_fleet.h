/* Remote write messages of a fleet of game servers, for benches: 300 series of one sample, 8 labels. Ends the program when
 * memory is out. */
#pragma once

#include "base/slice.h"
#include "wire/remote_write.h"

enum { REMOTE_WRITE_FLEET_SERIES = 300 };

/* n_servers messages, unpacked; salt: other values, a time a little later. */
struct slice *remote_write_fleet_messages(enum remote_write_version version, unsigned n_servers, unsigned salt, int64_t now_ms);
void remote_write_fleet_free(struct slice *messages, unsigned n_servers);
