/* SIGTERM and SIGINT ask for an orderly end; a second one exits at once (code 130). SIGPIPE is
 * ignored. SIGHUP asks for a reload. SIGALRM cuts an end off that takes too long (exit code 1). */
#pragma once

#include <stdbool.h>

void signals_install(void);
bool signals_stop_requested(void);
/* True once per SIGHUP. */
bool signals_reload_requested(void);
/* A file descriptor that becomes readable at a signal, for poll loops. */
int signals_fd(void);
