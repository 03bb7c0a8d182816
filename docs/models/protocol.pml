/* The submission protocol as built, for one submission: a ledger, AWS, a network, git, and NP processes that may stop,
   start again and stand still anywhere. batch.pml and emr.pml include this file. README.md says what it has and has not.

   A step of a process is one atomic or d_step block, or one choice; between any two of them everything else may happen.
   Times are whole units. `now` is true; the clock of a process is ahead of it by off[process]. */

#ifndef NP
#define NP 2            /* processes; each is any number of commands, one after another */
#endif
#ifndef SENDS
#define SENDS 2         /* intents, at most */
#endif
#define D 1             /* claimSeconds: a send must not start later than this after its intent's clock reading */
#define V 1             /* life of a signature, by AWS's clock */
#define L 1             /* lag of listings */
#ifdef SKEW
#define C 1             /* how far two clocks can be apart */
#else
#define C 0
#endif
#define SETTLE (D+V+L+C)
#ifndef MEMORY
#define MEMORY (SETTLE+2)  /* AWS tells of a run this long after it was accepted, at the least */
#endif
#ifndef MAXT
#define MAXT (MEMORY+2)
#endif
#define CLOCK (now+off[me])

mtype = { none, intended, unsent, superseded, submitted };

byte now = 0;
bool off[NP];           /* the error of each clock */
byte glitch = 255;      /* a moment at which a listing may leave out everything */
bool asks = true;       /* whether the spec asks for this content */

/* the ledger, folded */
mtype phase = none;
byte sends = 0;         /* the number of the newest send */
byte began = 0;         /* the time of the first intent */
byte newest = 0;        /* the time of the newest intent */
byte oldest = 0;        /* the time of the oldest send that is open */
bool open[SENDS+1];     /* sends without a known end */
bool looked = false;    /* an empty look that counts is recorded ... */
byte first_look = 0;    /* ... and this was when */
bool proven = false;    /* two of them, apart */

/* the network and AWS */
bool flying[SENDS+1];
byte stamp[SENDS+1];
byte reply[SENDS+1];    /* 0 none yet, 1 accepted, 2 refused, 3 unclear */
bool accepted = false;
byte accepted_at = 0;
byte accepted_send = 0;

#ifdef LATE_LOOKS
#define REMEMBERS true
#else
#define REMEMBERS (k < oldest+MEMORY-C)     /* a look that counts is from before AWS may have forgotten a run */
#endif

#ifdef NO_SIGNATURE_AGE
#define FRESH(n) true
#else
#define FRESH(n) (now <= stamp[n]+V)
#endif

#if SENDS > 2
#define ANY_OPEN (open[1] || open[2] || open[3])
#else
#define ANY_OPEN (open[1] || open[2])
#endif

/* Whether an intent still makes sense: asked in the step that appends it. */
#ifdef VALID_UNASKED
#define VALID (sends < n)
#else
#define FIRST_VALID (n == 1 && phase == none)
#define AGAIN_VALID (again && sends == n-1 && (phase == unsent || (phase == intended && (proven || SETTLED))))
#define REPEAT_VALID (repeats && sends == n-1 && phase == intended && REPEAT_TIME)
#define VALID (FIRST_VALID || AGAIN_VALID || REPEAT_VALID)
#endif

/* What an intent does to the fold. */
inline fold_intent(n, at, closes) {
    if :: closes -> open[1] = false; open[2] = false;
#if SENDS > 2
                    open[3] = false
#endif
       :: else fi;
    if :: ANY_OPEN -> skip :: else -> oldest = at fi;
    if :: n == 1 -> began = at :: else fi;
    open[n] = true; sends = n; newest = at; phase = intended;
    looked = false; proven = false; first_look = 0
}

/* A send that AWS refused, or that never went: it proves absence only where no other send is open. */
inline fold_unsent(n) {
    open[n] = false;
#ifdef REFUSAL_CLOSES_ALL
    if :: phase == intended -> phase = unsent :: else fi
#else
#ifdef LATE_REFUSAL_UNDOES
    if :: ANY_OPEN -> skip :: else -> phase = unsent fi
#else
    if :: phase == intended && !ANY_OPEN -> phase = unsent :: else fi
#endif
#endif
}

proctype Time() { do :: now < MAXT -> now++ :: now == MAXT -> break od }

/* The spec is edited, or removed, or suspended; and maybe put back. */
proctype Git() { if :: asks = false :: skip fi; if :: asks = true :: skip fi }

/* A request arrives, or not, at any time. AWS takes it while its signature is young, and once for each token it remembers. */
inline deliver(n) {
    atomic { flying[n] ->
        flying[n] = false;
        if
        :: reply[n] = 3                                     /* lost: the client has a timeout */
        :: reply[n] = 2                                     /* refused: throttled, for instance */
        :: !FRESH(n) -> reply[n] = 2
        :: FRESH(n) && accepted && REMEMBERED -> if :: reply[n] = 1 :: reply[n] = 3 fi
        :: FRESH(n) && !(accepted && REMEMBERED) ->
            assert(!accepted);                              /* at most one run for each submission */
            assert(phase == intended || phase == submitted); /* and none of one that was given up */
            accepted = true; accepted_at = now; accepted_send = n;
#ifdef WITNESS_RESEND
            assert(n < 2);
#endif
            if :: reply[n] = 1 :: reply[n] = 3 fi           /* the reply arrives, or is lost, or is a 5xx */
        fi;
        stamp[n] = 0 }
}

proctype Network() {
    do
    :: deliver(1)
    :: deliver(2)
#if SENDS > 2
    :: deliver(3)
#endif
    :: now == MAXT -> break
    od
}

proctype Command(byte me) {
    byte t = 0, m = 0, k = 0, n = 0; bool wants = false, found = false, again = false, repeats = false;
pass:
    skip;
    d_step { t = 0; m = 0; k = 0; n = 0; found = false; again = false; repeats = false; wants = asks };
    if
    :: now == MAXT || phase == submitted || phase == superseded -> goto stop
    :: else
    fi;
    if
    :: phase == intended ->
        atomic {                                            /* the look: complete, and at one moment */
            k = CLOCK;
            if
            :: !accepted -> found = false
            :: accepted && now == glitch -> found = false
            :: accepted && now >= accepted_at+L && now < accepted_at+MEMORY -> found = (now != glitch)
            :: accepted && (now < accepted_at+L || now >= accepted_at+MEMORY) -> if :: found = true :: found = false fi
            fi
        };
        if
        :: found -> atomic { phase = submitted; goto stop }
        :: !found -> d_step {                               /* recorded, whatever happened since */
            if
#ifdef EARLY_LOOKS
            :: phase == intended ->
#else
            :: phase == intended && k >= newest+SETTLE && REMEMBERS ->
#endif
#ifdef ONE_LOOK
                proven = true
#else
                if
                :: !looked -> looked = true; first_look = k
#ifdef LOOKS_TOGETHER
                :: looked && k >= first_look -> proven = true
#else
                :: looked && k > first_look -> proven = true
#endif
                :: else
                fi
#endif
            :: else
            fi }
        fi
    :: else
    fi;
    /* the plan */
    atomic {
        n = sends+1; k = CLOCK;
        if
        :: phase == intended && (proven || SETTLED) ->
            if
            :: FORGOTTEN -> goto pass                       /* held, for a person */
            :: !FORGOTTEN && wants && n <= SENDS -> again = true
            :: !FORGOTTEN && wants && n > SENDS -> goto stop
            :: !FORGOTTEN && !wants -> goto give_up
            fi
        :: phase == intended && !(proven || SETTLED) ->
            if
            :: MAY_REPEAT && wants && n <= SENDS -> repeats = true
#ifdef SUPERSEDED_AT_ONCE
            :: !wants -> goto give_up
#endif
            :: else -> goto pass
            fi
        :: phase != intended ->
            if
            :: (phase == none || phase == unsent) && wants && n <= SENDS -> again = (n > 1)
            :: else -> goto pass
            fi
        fi
    };
    d_step { t = CLOCK; wants = false; k = 0 };             /* read before the append begins */
#ifndef CALL_FIRST
    atomic {
        if
        :: VALID -> fold_intent(n, t, again)
#ifdef REPEAT_PROVES
           ; if :: repeats -> open[1] = false; if :: n > 2 -> open[2] = false :: else fi; oldest = t :: else fi
#endif
        :: else -> goto pass                                /* it moved */
        fi
    };
#endif
#ifdef DEADLINE_AFTER_APPEND
    t = CLOCK;
#endif
    if :: true :: goto pass fi;                             /* killed */
#ifdef CHECK_BEFORE_SIGNING
    if :: CLOCK <= t+D -> skip :: else -> d_step { fold_unsent(n) }; goto pass fi;
#endif
    m = CLOCK;                                              /* signed, and checked at once: a pause between would only age it */
#ifndef NO_DEADLINE
#ifndef CHECK_BEFORE_SIGNING
    if :: m <= t+D -> skip :: else -> d_step { fold_unsent(n) }; goto pass fi;
#endif
#endif
    if :: true :: goto pass fi;                             /* killed, or frozen between the check and the send */
    d_step { flying[n] = true; stamp[n] = m; reply[n] = 0; m = 0 };
#ifdef CALL_FIRST
    d_step { if :: sends < n -> fold_intent(n, t, again) :: else fi };
#endif
    do
    :: reply[n] == 0 && now < MAXT -> goto pass             /* killed, or no reply in time: unclear */
    :: reply[n] == 1 -> d_step { phase = submitted }; goto stop
    :: reply[n] == 2 -> d_step { fold_unsent(n); reply[n] = 0 }; goto pass
    :: reply[n] == 3 ->
#ifdef UNCLEAR_IS_REFUSED
        d_step { fold_unsent(n) };
#endif
#ifdef SDK_RETRY
        if :: !flying[n] -> m = CLOCK; d_step { flying[n] = true; stamp[n] = m; reply[n] = 0 } :: else fi;
#endif
        goto pass
    :: now == MAXT -> goto stop
    od;
give_up:
    skip;
    d_step {
        if
#ifdef SUPERSEDED_AT_ONCE
        :: phase == intended -> phase = superseded
#else
#ifdef SUPERSEDED_UNASKED
        :: phase == intended -> phase = superseded
#else
        :: phase == intended && (proven || SETTLED) -> phase = superseded
#endif
#endif
        :: else
        fi;
#ifdef WITNESS_SUPERSEDED
        assert(phase != superseded);
#endif
        /* new content may run from here on */
        assert(phase != superseded || !accepted)
    };
    goto pass;
stop:
    skip
}

init {
    atomic {
#ifdef SKEW
        if :: off[0] = 0 :: off[0] = 1 fi;
        if :: off[1] = 0 :: off[1] = 1 fi;
#endif
#ifdef GLITCH
        select(glitch : 0 .. MAXT);
#endif
        run Time(); run Git(); run Network();
        byte p = 0;
        do :: p < NP -> run Command(p); p++ :: p == NP -> break od
    }
}
