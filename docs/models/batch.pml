/* AWS Batch: SubmitJob has no client token, so AWS never knows a request again and nothing may be repeated at once. */

#define REMEMBERED false
#define MAY_REPEAT false
#define REPEAT_TIME false
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
