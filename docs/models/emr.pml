/* EMR Serverless: StartJobRun takes a token, which AWS remembers for some time. Within WINDOW of the first intent the
   same token is sent again at once, each time under a new intent (R6). After that, it is as for Batch. */

#ifndef SENDS
#define SENDS 2
#endif
#ifndef MAXT
#define MAXT 8
#endif
#define WINDOW 1
#ifdef SHORT_TOKEN
#define TOKEN (WINDOW+D+V-1)
#else
#define TOKEN (WINDOW+D+V)      /* AWS remembers a token for at least this long after it accepted a run for it */
#endif
#ifdef FRESH_TOKEN
#define REMEMBERS_TOKEN false
#else
#define REMEMBERS_TOKEN (accepted > 0 && now <= accepted+TOKEN)
#endif
#ifdef REPEATS_FOR_EVER
#define REPEATS_UNTIL MAXT
#else
#define REPEATS_UNTIL (at[1]+WINDOW)
#endif
#ifdef REFUSED_COMES_TWICE
#define MAY_COME_TWICE true
#else
#define MAY_COME_TWICE (answer == yes)
#endif
#ifdef REPEAT_PROVES
#define CLOSES n > 1
#else
#define CLOSES again
#endif
#define KEEP_FIRST skip         /* the window starts at the first intent */

#include "protocol.pml"
