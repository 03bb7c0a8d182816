/* The submission protocol as implemented, for one submission: a ledger, AWS, a network, and NP processes that can be
   killed, restarted and frozen at any point. batch.pml and emr.pml define the differences and include this file.
   README.md describes what is in the model, what is not, and what each flag removes.

   Everything in one atomic or d_step block happens at once. Between any two blocks, anything else can happen. Time is
   in whole units from 1 to MAXT, the same for all processes; 0 means "no time". A value that is never read again is set
   to 0, so that spin treats equivalent states as one. */

#ifndef NP
#define NP 2                    /* processes; each is any number of commands, one after another */
#endif
#define D 1                     /* claimSeconds: from the reading before the intent to the deadline of the send */
#define V 1                     /* the lifetime of a signature */
#define L 1                     /* the lag of listings */
#ifndef SETTLE
#ifdef NO_SETTLING
#define SETTLE 0
#else
#ifdef SHORT_SETTLING
#define SETTLE (D+V)
#else
#define SETTLE (D+V+L)
#endif
#endif
#endif
#define APART 1                 /* the minimum time between two lookups that prove absence */
#define MEMORY 4                /* AWS remembers a run for at least this long after accepting it */

mtype = { none, intended, unsent, superseded, submitted };
mtype = { silent, yes, no, unclear, unheard };

byte now = 1;

/* the folded state of the ledger */
mtype phase = none;
byte sends = 0;                 /* the number of the newest send */
byte at[4];                     /* when each send was intended */
bool open[4];                   /* sends without a known outcome */
byte first_look = 0;            /* the first recorded empty lookup that counts */
bool proven = false;            /* two of them were recorded, far enough apart */

/* the network and AWS */
bool flying[4];                 /* a request that may still arrive; a lost request flies for ever */
byte stamp[4];                  /* when it was signed */
mtype reply[4] = silent;        /* the reply to the sender; unheard: the sender no longer waits */
byte accepted = 0;              /* when AWS accepted a run */
byte blind = 0;                 /* the one moment at which a listing may leave out everything; 255: it has passed */

#define OVER (phase == submitted || phase == superseded)
#define NEWEST at[sends]
#define OLDEST (open[1] -> at[1] : (open[2] -> at[2] : (open[3] -> at[3] : NEWEST)))
#define ANY_OPEN (open[1] || open[2] || open[3])

#ifdef SETTLED_BY_FIRST
#define SETTLES (at[1]+SETTLE)
#else
#define SETTLES (NEWEST+SETTLE)
#endif

#if defined(NO_MEMORY_BOUND) || defined(LATE_LOOKS)
#define IN_MEMORY(k) true
#else
#define IN_MEMORY(k) (k <= OLDEST+MEMORY)
#endif
#if defined(NO_MEMORY_BOUND) || defined(NO_HOLD)
#define FORGOTTEN false
#else
#define FORGOTTEN (now > OLDEST+MEMORY)
#endif
#define COUNTS(k) (phase == intended && !proven && k >= SETTLES && IN_MEMORY(k))

#ifdef NO_LOOKS
#define ABSENT true
#else
#define ABSENT proven
#endif

#ifdef NO_SIGNATURE_AGE
#define FRESH(n) true
#else
#define FRESH(n) (now <= stamp[n]+V)
#endif

/* Whether an intent, or giving up, is still valid; checked in the step that appends it. */
#ifdef UNASKED
#define MAY_INTEND (sends < SENDS)
#else
#define FIRST (n == 1 && phase == none)
#define AGAIN (again && sends == n-1 && (phase == unsent || (phase == intended && ABSENT)))
#define REPEAT (!again && n > 1 && sends == n-1 && phase == intended && t <= REPEATS_UNTIL)
#define MAY_INTEND (FIRST || AGAIN || REPEAT)
#endif
#if defined(SUPERSEDED_UNASKED) || defined(SUPERSEDED_AT_ONCE)
#define MAY_GIVE_UP (phase != submitted)
#else
#define MAY_GIVE_UP (phase == none || phase == unsent || (phase == intended && ABSENT))
#endif

/* These are not read any more once the submission has its run or was given up. */
inline forget() {
    at[1] = 0; at[2] = 0; at[3] = 0; open[1] = false; open[2] = false; open[3] = false; first_look = 0; proven = false
}

/* Records an intent. Unless it is a repeat, all earlier sends are known not to have arrived. */
inline fold_intent(n, t, closes) {
    if
    :: closes -> open[1] = false; open[2] = false; open[3] = false; at[2] = 0; KEEP_FIRST
    :: else
    fi;
    sends = n; at[n] = t; open[n] = true; phase = intended; first_look = 0; proven = false
}

/* Records a send that AWS refused or that was never sent. It proves that nothing runs only if no other send is open. */
inline fold_unsent(n) {
    open[n] = false;
    if
#ifdef REFUSAL_CLOSES_ALL
    :: phase == intended -> phase = unsent; open[1] = false; open[2] = false; open[3] = false
#else
#ifdef LATE_REFUSAL_UNDOES
    :: phase != superseded && !ANY_OPEN -> phase = unsent
#else
    :: phase == intended && !ANY_OPEN -> phase = unsent
#endif
#endif
    :: else
    fi;
    if :: phase == unsent -> first_look = 0; proven = false :: else fi
}

/* Records an empty lookup that was made at k. */
inline fold_look(k) {
    if
    :: COUNTS(k) ->
        if
#ifdef ONE_LOOK
        :: true -> proven = true
#else
        :: first_look == 0 -> first_look = k
#ifdef LOOKS_TOGETHER
        :: first_look > 0 -> proven = true; first_look = 0
#else
        :: first_look > 0 && k >= first_look+APART -> proven = true; first_look = 0
        :: first_look > k -> first_look = k
        :: first_look == k
#endif
#endif
        fi
    :: else
    fi
}

/* Makes a complete listing. It may be late by L, forget runs after MEMORY, and be empty by mistake once. */
inline list(found) {
    found = false;
    if
    :: accepted == 0
    :: accepted > 0 -> found = true
    :: accepted > 0 && (now < accepted+L || now > accepted+MEMORY)
    :: accepted > 0 && (blind == 0 || blind == now) -> blind = now
    fi
}

/* AWS must accept only one run of a submission, and none after it was given up, because new content may be running. */
inline accept(n) {
    assert(accepted == 0);
    assert(phase != superseded);
#ifdef REACHES_RESEND
    assert(n == 1 || now <= REPEATS_UNTIL+D+V);
#endif
    accepted = now
}

/* If an intermediary repeats a request, the sender receives the first answer. */
#ifdef SECOND_ANSWER
#define UNHEARD_COPY false
#else
#define UNHEARD_COPY (reply[n] != silent)
#endif

/* A request arrives. A lost request never arrives. A lost reply is one that nobody waits for any more. */
inline arrive(n) {
    atomic {
        flying[n] ->
        if
        :: REMEMBERS_TOKEN && FRESH(n) -> answer = yes
#ifdef REACHES_SAME_RUN
            ; assert(false)
#endif
        :: !REMEMBERS_TOKEN && FRESH(n) -> accept(n); answer = yes
        :: true -> answer = no                  /* too old, or throttled */
        fi;
        if                                      /* an intermediary may repeat it */
        :: flying[n] = false
        :: MAY_COME_TWICE -> skip
        fi;
        if
        :: reply[n] == unheard || UNHEARD_COPY
        :: reply[n] != unheard && !UNHEARD_COPY -> reply[n] = answer
#if defined(SDK_RETRY) || defined(UNCLEAR_IS_REFUSED)
        :: reply[n] != unheard && !UNHEARD_COPY -> reply[n] = unclear
#endif
        fi;
        if :: !flying[n] -> stamp[n] = 0 :: else fi;
        answer = silent
    }
}

/* A request that is too old to be accepted, and whose sender no longer waits, has no effect any more. */
inline expire(n) {
    if :: flying[n] && !FRESH(n) && reply[n] == unheard -> flying[n] = false; stamp[n] = 0 :: else fi
}

active proctype World() {
    mtype answer = silent;
    do
    :: d_step {
        now < MAXT -> now++;
        if :: blind > 0 && blind < now -> blind = 255 :: else fi;
        expire(1); expire(2); expire(3) }
    :: arrive(1)
    :: arrive(2)
#if SENDS > 2
    :: arrive(3)
#endif
    :: now == MAXT -> break
    od
}

/* Each pass looks, records and plans; then it makes an intent and one send, or gives up. A kill is a jump to the next
   pass. A freeze means that the process is not scheduled for a while. The spec can have any content at each pass. */
proctype Command() {
    byte t = 0;                                 /* the time of a lookup, a clock reading or a signature */
    byte n = 0;                                 /* the send that is planned */
    bool again = false;                         /* earlier sends are known not to have arrived: this is no repeat */
    bool found = false;
pass:
    atomic {
        t = 0; n = 0; again = false;
        if
        :: now == MAXT || OVER -> goto stop
        :: else
        fi;
        if
        :: phase == intended ->
            list(found);
            if
            :: found -> found = false; phase = submitted; forget();
#ifdef REACHES_ADOPTION
                assert(false);
#endif
                goto stop
            :: !found && COUNTS(now) -> t = now
            :: !found && !COUNTS(now) -> goto plan
            fi
        :: phase != intended -> goto plan
        fi
    };
    atomic { fold_look(t); t = 0; goto plan };
plan:
    atomic {
        n = sends+1;
        if
        :: phase == none
        :: phase == none -> goto give_up
        :: phase == unsent && n <= SENDS -> again = true
        :: phase == unsent -> goto give_up
        :: phase == intended && ABSENT && FORGOTTEN ->
#ifdef REACHES_HOLD
            assert(false);
#endif
            goto pass                           /* on hold, for an operator to decide */
        :: phase == intended && ABSENT && !FORGOTTEN && n <= SENDS -> again = true
        :: phase == intended && ABSENT && !FORGOTTEN -> goto give_up
        :: phase == intended && !ABSENT && now <= REPEATS_UNTIL && n <= SENDS
        :: phase == intended && !ABSENT -> goto pass
#ifdef SUPERSEDED_AT_ONCE
        :: phase == intended && !ABSENT -> goto give_up
#endif
        :: OVER -> goto pass
        fi
    };
    t = now;                                    /* the clock reading; the append may happen at any later time */
#ifndef NO_INTENT
    atomic {
        if
#ifdef UNASKED
        :: MAY_INTEND -> n = sends+1; fold_intent(n, t, (CLOSES))
#else
        :: MAY_INTEND -> fold_intent(n, t, (CLOSES))
#endif
        :: else -> goto pass                    /* another process was faster */
        fi
    };
#endif
#ifdef DEADLINE_AFTER_INTENT
    t = now;
#endif
#ifdef NO_DEADLINE
#define IN_TIME true
#else
#define IN_TIME (now <= t+D)
#endif
#ifdef DEADLINE_BEFORE_SIGNING
    if
    :: IN_TIME
    :: atomic { !IN_TIME -> fold_unsent(n); goto pass }
    fi;
    t = now;
#else
    if
    :: atomic { IN_TIME -> t = now }            /* signed, then checked: a pause would only age the signature */
    :: atomic { !IN_TIME -> fold_unsent(n); goto pass }
    :: goto pass                                /* killed */
    fi;
#endif
    atomic {
        flying[n] = true; stamp[n] = t; reply[n] = silent; t = 0;
#ifdef NO_INTENT
        if :: MAY_INTEND -> fold_intent(n, now, again) :: else fi;
#endif
        again = false
    };
    if
    :: d_step { reply[n] == yes -> reply[n] = unheard; phase = submitted; forget() }
    :: d_step { reply[n] == no -> reply[n] = unheard; fold_unsent(n) }
#ifdef UNCLEAR_IS_REFUSED
    :: d_step { reply[n] == unclear -> reply[n] = unheard; fold_unsent(n) }
#endif
#ifdef SDK_RETRY
    :: d_step { reply[n] == unclear -> reply[n] = unheard; flying[n] = true; stamp[n] = now }
#endif
#ifdef TIMEOUT_IS_UNSENT
    :: d_step { reply[n] == silent -> reply[n] = unheard; fold_unsent(n) }
#endif
    :: reply[n] = unheard                       /* no reply, an unclear reply, or killed: nothing is recorded */
    fi;
    goto pass;
give_up:
    atomic {                                    /* superseded; from now on new content may run */
        n = 0;
        if
        :: MAY_GIVE_UP ->
            assert(accepted == 0);
#ifdef REACHES_GIVING_UP
            assert(phase != intended);
#endif
            phase = superseded; forget()
        :: else
        fi
    };
    goto pass;
stop:
    skip
}

init {
    byte p = 0;
    atomic { do :: p < NP -> run Command(); p++ :: p == NP -> break od }
}
