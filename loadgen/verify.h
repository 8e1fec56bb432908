/* sluice-loadgen verify: reads back what a sender's manifest promises. */
#pragma once

/* Returns the exit code: 0 all is there, 1 there is a difference, 2 usage. */
int verify_main(int argc, char **argv);
