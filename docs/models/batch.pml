/* AWS Batch: SubmitJob has no idempotency token. AWS cannot recognise a repeated request, so nothing is repeated while
   a send is open. */

#ifndef SENDS
#define SENDS 2
#endif
#ifndef MAXT
#define MAXT 8
#endif
#define REMEMBERS_TOKEN false
#define REPEATS_UNTIL 0
#ifdef COMES_TWICE
#define MAY_COME_TWICE true
#else
#define MAY_COME_TWICE false
#endif
#define CLOSES again
#ifdef SETTLED_BY_FIRST
#define KEEP_FIRST skip
#else
#define KEEP_FIRST at[1] = 0
#endif

#include "protocol.pml"
