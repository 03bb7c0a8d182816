/* EMR Serverless: StartJobRun takes a client token that AWS remembers for a while. Within REPEAT units of the first intent
   the same token may go again at once (R6); after that everything is as with Batch. */

#define SENDS 3
#ifndef REPEAT
#define REPEAT 1
#endif
#ifndef TOKEN
#define TOKEN (REPEAT+D+V+C)   /* how long AWS remembers a token, at the least */
#endif
#ifdef TOKEN_IS_NEW
#define REMEMBERED false
#else
#define REMEMBERED (now <= accepted_at+TOKEN)
#endif
#ifdef REPEATS_FOR_EVER
#define MAY_REPEAT true
#define REPEAT_TIME true
#else
#define MAY_REPEAT (k <= began+REPEAT)
#define REPEAT_TIME (t <= began+REPEAT)
#endif
#ifdef NO_SETTLING
#define SETTLED true
#else
#define SETTLED false
#endif
#ifdef NO_FORGETTING
#define FORGOTTEN false
#else
#define FORGOTTEN (k >= oldest+MEMORY-C)
#endif

#include "protocol.pml"
