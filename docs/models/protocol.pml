/* The submission protocol as built, for one submission: a ledger, AWS, a network, and NP processes that are killed,
   started again and frozen anywhere. batch.pml and emr.pml say what differs and include this file. README.md says what
   is in the model, what is not, and what each flag takes away.

   Whatever stands in one atomic or d_step block happens at once; between any two blocks everything else may happen.
   Time is whole units from 1 to MAXT, the same for everybody; 0 is "no time". A value that nobody will read again is
   set to 0, so that states which cannot be told apart are one. */

#ifndef NP
#define NP 2                    /* processes; each is any number of commands, one after another */
#endif
#define D 1                     /* claimSeconds: from the reading before the intent until the send must have started */
#define V 1                     /* how long a signature lives */
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
#define APART 1                 /* between two looks that prove absence, at the least */
#define MEMORY 4                /* AWS tells of a run this long after accepting it, at the least */

mtype = { none, intended, unsent, superseded, submitted };
mtype = { silent, yes, no, unclear, unheard };

byte now = 1;

/* the ledger, folded */
mtype phase = none;
byte sends = 0;                 /* the number of the newest send */
byte at[4];                     /* when each send was intended */
bool open[4];                   /* sends without a known end */
byte first_look = 0;            /* the first recorded empty look that counts */
bool proven = false;            /* two of them, apart */

/* the network and AWS */
bool flying[4];                 /* a request that may still arrive; one that is lost flies for ever */
byte stamp[4];                  /* when it was signed */
mtype reply[4] = silent;        /* what its sender hears; unheard: it no longer listens */
byte accepted = 0;              /* when AWS accepted a run */
byte blind = 0;                 /* a moment, one at most, at which a listing may leave out everything; 255: it is over */

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

/* Whether an intent, or a giving up, still makes sense: asked in the step that appends it. */
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

/* Nobody reads these once the submission has its run or was given up. */
inline forget() {
    at[1] = 0; at[2] = 0; at[3] = 0; open[1] = false; open[2] = false; open[3] = false; first_look = 0; proven = false
}

/* An intent. One that is no repeat says that all sends before it are known not to have arrived. */
inline fold_intent(n, t, closes) {
    if
    :: closes -> open[1] = false; open[2] = false; open[3] = false; at[2] = 0; KEEP_FIRST
    :: else
    fi;
    sends = n; at[n] = t; open[n] = true; phase = intended; first_look = 0; proven = false
}

/* A send that AWS refused or that never went: nothing runs only where no other send is open. */
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

/* An empty look that was made at k, recorded now. */
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

/* A complete listing of this moment. It may be late by L, may have forgotten after MEMORY, and may be blind once. */
inline list(found) {
    found = false;
    if
    :: accepted == 0
    :: accepted > 0 -> found = true
    :: accepted > 0 && (now < accepted+L || now > accepted+MEMORY)
    :: accepted > 0 && (blind == 0 || blind == now) -> blind = now
    fi
}

/* AWS takes one run for a submission, and none of one that was given up: new content may be running. */
inline accept(n) {
    assert(accepted == 0);
    assert(phase != superseded);
#ifdef REACHES_RESEND
    assert(n == 1 || now <= REPEATS_UNTIL+D+V);
#endif
    accepted = now
}

/* Of a request that somebody on the way repeats, the sender hears the first answer. */
#ifdef SECOND_ANSWER
#define UNHEARD_COPY false
#else
#define UNHEARD_COPY (reply[n] != silent)
#endif

/* A request arrives. A lost one never does; a lost reply is one for which nobody listens any more. */
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
        if                                      /* somebody on the way may repeat it */
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

/* What is too old to be accepted, and unheard, makes no difference any more. */
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

/* Each pass: look, record, plan; then either an intent and one send, or a giving up. Being killed is a jump to the next
   pass; being frozen is not being chosen for a while. What the spec asks for is anything, at each pass. */
proctype Command() {
    byte t = 0;                                 /* the moment of a look, of the reading before an intent, of a signature */
    byte n = 0;                                 /* the send that is planned */
    bool again = false;                         /* earlier sends are known not to have arrived: it is no repeat */
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
            goto pass                           /* for a person to decide */
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
    t = now;                                    /* the reading; the append may take any time after it */
#ifndef NO_INTENT
    atomic {
        if
#ifdef UNASKED
        :: MAY_INTEND -> n = sends+1; fold_intent(n, t, (CLOSES))
#else
        :: MAY_INTEND -> fold_intent(n, t, (CLOSES))
#endif
        :: else -> goto pass                    /* somebody was faster */
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
    :: atomic { IN_TIME -> t = now }            /* signed, then checked: a pause between would only age the signature */
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
    :: reply[n] = unheard                       /* no reply, an unclear one, or killed: it stays as it is */
    fi;
    goto pass;
give_up:
    atomic {                                    /* superseded; from here on new content may run */
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
