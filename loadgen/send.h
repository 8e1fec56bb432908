/* sluice-loadgen send: the model's scrapes to a topic, paced or as fast as it goes. */
#pragma once

/* Returns the exit code: 0 all acknowledged, 1 not all, 2 usage. */
int send_main(int argc, char **argv);
