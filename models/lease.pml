/* The claim, lease and fencing protocol of the journal on a shared database.
 *
 * README.md beside this file says what is modelled, what is assumed, which properties hold, and
 * what each macro that begins with M breaks. Run by `tests/models/test_lease.py`; by hand:
 *
 *     spin -DTARGET=1 -a lease.pml && gcc -O2 -DSAFETY -o pan pan.c && ./pan -m1000000
 */

#ifndef NODES
#define NODES   2       /* processes of the daemon */
#endif
#ifndef STARTS
#define STARTS  3       /* identities that may ever join: NODES, and starts after a death */
#endif
#ifndef LOSSES
#define LOSSES  1       /* answers of the database or of the target that get lost */
#endif
#ifndef OUTAGES
#define OUTAGES 0       /* how often the database is away, each for any time */
#endif
#ifndef CRASHES
#define CRASHES 0       /* kill -9; the last process that is up is never killed */
#endif
#ifndef TARGET
#define TARGET  1
#endif

#ifndef LEASE
#define LEASE   3       /* ticks of the database's clock */
#endif
#ifndef MARGIN
#define MARGIN  1
#endif

/* What the target of a change can do. */
#define VERSIONED   1   /* compare-and-set under a version that is never given twice */
#define VALUE       2   /* compare-and-set under the value alone */
#define PLAIN       3   /* can be looked at, and is set whatever it holds */
#define BLIND       4   /* can't be looked at */

/* A run: one change, and with -DUNDO its way back. */
#define PLANNED     0
#define STARTED     1   /* the intent is stored */
#define UNDOING     2   /* likewise, of the way back; stored with the outcome of the change */
#define ENDED       3
#define INTERRUPTED 4

/* A transaction, as its session on the server. */
#define FREE        0
#define OPEN        1
#define LEFT        2   /* its worker is gone; it was not committed */
#define DOUBT       3   /* COMMIT was sent, and its worker waits for the answer no more */

/* A call to the target, and its answer. */
#define NONE        0
#define FLYING      1
#define MADE        2
#define STALE       3
#define LOST        4

#define CLAIM       0
#define WRITE       1

/* --- the database ------------------------------------------------------------------------- */

bool db_up = true;
byte joined = 0;                /* identities 1..joined have a row in `nodes` */
bool dead[STARTS + 1];
byte age[STARTS + 1];           /* now - seen_us */
bool for_update[STARTS + 1];    /* row lock of a reaper */
byte key_share[STARTS + 1];     /* row locks of transactions of this identity */

byte owner = 0;
byte epoch = 0;
byte phase = PLANNED;
bool run_locked = false;

typedef Session {
    byte state;
    byte id;                    /* who began it */
    bool kind;
    byte epoch;
    byte phase;                 /* as it was read (claim), or as it will be (write) */
}
Session session[2 * NODES];     /* two for each worker: one may be left in doubt */
byte reaper[NODES];             /* who has a reaper's transaction open, 0 for none */
byte victim[NODES];             /* and whose row it has locked */

/* --- the target --------------------------------------------------------------------------- */

byte value = 0;
byte version = 0;

typedef Call {
    byte state;
    bool back;
    bool left;
    byte version;
    byte gap;                   /* ticks since the lease was checked */
}
Call call[2 * NODES];

/* --- the processes ------------------------------------------------------------------------ */

bool up[NODES];
byte me[NODES];                 /* identity, 0 while there is none */
bool quit[NODES];               /* told to drop everything in hand */
bool idle[NODES];               /* the worker has dropped it */
bool heart_still[NODES];             /* the heart has heart_still, too */
byte contact[NODES];              /* since the last answered heartbeat was sent */
byte steady[NODES];             /* how long contact has been unbroken */
bool checked[NODES];            /* between the check of the lease and the call */
byte gap[NODES];

/* --- what happens to them ----------------------------------------------------------------- */

byte losses = LOSSES;
byte outages = OUTAGES;
byte crashes = CRASHES;
bool calm = false;              /* from here on nothing goes wrong any more */

/* --- what only the properties know -------------------------------------------------------- */

byte effects[2];                /* of the change, of its way back */
byte committer = 0;             /* who has committed under the present epoch */
byte up_for[STARTS + 1];        /* how long the database was there since the last heartbeat */

#define LIVE(id)        (id != 0 && !dead[id])
#define LAPSED(i)       (contact[i] >= LEASE - MARGIN)
#define RESET(x)        x = 0
#define CAPPED(x, cap)  x = (x < cap -> x + 1 : cap)
#define LIMIT(x, cap)   x = (x < cap -> x : cap)

/* Where a transaction looks at its own row, FOR KEY SHARE. It waits while a reaper has the row; a
 * transaction that is refused changes nothing, so it may as well wait until the worker is told. */
#ifdef M_NO_LIVENESS
#define MAY_WRITE(id)   (db_up && id != 0)
#define SHARE(id)       skip
#define UNSHARE(id)     skip
#else
#define MAY_WRITE(id)   (db_up && LIVE(id) && !for_update[id])
#define SHARE(id)       key_share[id]++
#define UNSHARE(id)     key_share[id]--
#endif

#ifdef M_REAPER_NO_LOCK
#define REAPABLE(id)    (LIVE(id) && age[id] >= LEASE)
#else
#define REAPABLE(id)    (LIVE(id) && age[id] >= LEASE && !for_update[id] && key_share[id] == 0)
#endif

#ifdef M_SAME_EPOCH
#define NEXT_EPOCH      (epoch == 0 -> 1 : epoch)
#else
#define NEXT_EPOCH      (epoch + 1)
#endif

inline begin_transaction(s, i, what, its_epoch, its_phase) {
    session[s].state = OPEN;
    session[s].id = me[i];
    session[s].kind = what;
    session[s].epoch = its_epoch;
    session[s].phase = its_phase;
    run_locked = true;
    SHARE(me[i]);
}

inline end_transaction(s) {
    UNSHARE(session[s].id);
    run_locked = false;
    session[s].id = 0;
    session[s].kind = 0;
    session[s].epoch = 0;
    session[s].phase = 0;
    session[s].state = FREE;
}

inline commit(s) {
    /* No write of a node is committed after it was declared dead. */
    assert(!dead[session[s].id]);
    if
    :: session[s].epoch > epoch ->
        assert(session[s].kind == CLAIM);
        committer = session[s].id;
    :: else ->
        /* Never two owners under one epoch, and none under an older one. */
        assert(session[s].epoch == epoch && committer == session[s].id);
    fi;
    if
    :: session[s].kind == CLAIM ->
        owner = session[s].id;
        epoch = session[s].epoch;
    :: else ->
        assert(phase < ENDED);
        phase = session[s].phase;
        if
        :: phase >= ENDED -> owner = 0;
        :: else
        fi;
    fi;
    end_transaction(s);
}

inline end_reap(i) {
    for_update[victim[i]] = false;
    UNSHARE(reaper[i]);
    victim[i] = 0;
    reaper[i] = 0;
}

/* The server's own part: it ends transactions, in any order and after any time. A session that is
 * idle in a transaction is ended by `idle_in_transaction_session_timeout`; a COMMIT that was sent
 * may fail, and an unanswered one may succeed much later. */
#ifdef M_NO_IDLE_TIMEOUT
#define IDLE_TOO_LONG(s)        false
#define REAPS_TOO_LONG(i)       false
#else
#define IDLE_TOO_LONG(s)        (session[s].state == LEFT || (session[s].state == OPEN && !calm))
#define REAPS_TOO_LONG(i)       (reaper[i] != 0 && (!calm || !up[i]))
#endif

#define SERVE(s) \
    :: atomic { db_up && session[s].state == DOUBT -> commit(s); } \
    :: atomic { session[s].state == DOUBT -> end_transaction(s); } \
    :: atomic { IDLE_TOO_LONG(s) -> end_transaction(s); }

#define SERVE_REAPER(i) \
    :: atomic { REAPS_TOO_LONG(i) -> end_reap(i); }

proctype Server() {
    do
    SERVE(0)
    SERVE(1)
    SERVE(2)
    SERVE(3)
    SERVE_REAPER(0)
    SERVE_REAPER(1)
#if NODES > 2
    SERVE(4)
    SERVE(5)
    SERVE_REAPER(2)
#endif
    od
}

/* --- the target: it takes calls in any order and after any time, whoever has sent them ------ */

#if TARGET == VERSIONED
#define ACCEPTS(c)      (call[c].version == version)
#elif TARGET == VALUE
#define ACCEPTS(c)      (value == call[c].back)
#else
#define ACCEPTS(c)      true
#endif

inline take_answer(c) {
    call[c].state = NONE;
    call[c].back = 0;
    call[c].left = 0;
    call[c].version = 0;
    call[c].gap = 0;
}

inline answer(c, what) {
    call[c].gap = 0;
    if
    :: call[c].left -> take_answer(c);
    :: else -> call[c].state = what;
    fi;
}

inline arrive(c) {
    if
    :: ACCEPTS(c) ->
        /* No change without its intent on record, and at most one for each. */
        assert(phase >= (call[c].back -> UNDOING : STARTED));
        assert(effects[call[c].back] == 0);
        effects[call[c].back]++;
        value = !call[c].back;
#if TARGET == VERSIONED
        version++;
#endif
        answer(c, MADE);
    :: else -> answer(c, STALE);
    fi;
}

#define TAKE_CALL(c) \
    :: atomic { call[c].state == FLYING -> arrive(c); } \
    :: atomic { call[c].state == FLYING && losses > 0 && !calm -> losses--; answer(c, LOST); }

proctype Target() {
    do
    TAKE_CALL(0)
    TAKE_CALL(1)
    TAKE_CALL(2)
    TAKE_CALL(3)
#if NODES > 2
    TAKE_CALL(4)
    TAKE_CALL(5)
#endif
    od
}

/* --- a process of the daemon: its heart, which also reaps ----------------------------------- */

/* A reaper looks at its own clock before its transaction, and at its own row in it: between the
 * two the database may have been away. */
#if defined(M_EAGER_REAPER) || OUTAGES == 0
#define STEADY(i)       true
#else
#define STEADY(i)       (steady[i] >= LEASE)
#endif
#if defined(M_EAGER_REAPER) || defined(M_REAPER_LOOKS_ONLY_BEFORE) || OUTAGES == 0
#define IN_CONTACT(id)  true
#else
#define IN_CONTACT(id)  (age[id] < LEASE - MARGIN)
#endif

#ifdef M_REAPER_NO_LOCK
#define LOCK_ROW(v)     skip
#else
#define LOCK_ROW(v)     for_update[v] = true
#endif

#ifdef M_FREES_NOTHING
#define FREE_RUNS       skip
#else
#define FREE_RUNS       owner = 0
#endif

#define LOCK_VICTIM(v) \
    :: v <= joined && v != me[i] && MAY_WRITE(me[i]) && IN_CONTACT(me[i]) && REAPABLE(v) -> \
        SHARE(me[i]); reaper[i] = me[i]; victim[i] = v; LOCK_ROW(v);

proctype Heart(byte i) {
begin:
    {   skip;
    join:
        if
        :: me[i] == 0 ->
            atomic { db_up && joined < STARTS ->
                joined++;
                me[i] = joined;
                contact[i] = 0;
                steady[i] = 0;
            }
        :: else -> skip;    /* from the beginning on, see `init` */
        fi;
        do
        ::  if
            :: atomic { contact[i] > 0 && db_up && !for_update[me[i]] && !dead[me[i]] ->
                age[me[i]] = 0;
                RESET(up_for[me[i]]);
#ifndef SLOW_ANSWERS
                contact[i] = 0;
#endif
            }
            :: atomic { contact[i] > 0 && db_up && dead[me[i]] ->   /* no row came back */
#ifdef M_NEW_IDENTITY_AT_ONCE
                me[i] = 0;
            }
#else
                quit[i] = true;
            }
                atomic { idle[i] -> me[i] = 0; quit[i] = false; }
#endif
                atomic { contact[i] = 0; steady[i] = 0; goto join; }
            fi;
#ifdef SLOW_ANSWERS
            if
            :: atomic { true ->
#ifdef M_LEASE_FROM_ANSWER
                contact[i] = 0;
#else
                contact[i] = age[me[i]];    /* it counts from when it was sent */
                LIMIT(contact[i], LEASE - MARGIN);
#endif
            }
            :: atomic { losses > 0 && !calm -> losses--; goto next; }
            fi;
#endif
#if OUTAGES > 0
            if
            :: STEADY(i) -> skip;
            :: else -> goto next;
            fi;
#endif
            atomic {
                if
                LOCK_VICTIM(1)
                LOCK_VICTIM(2)
#if STARTS > 2
                LOCK_VICTIM(3)
#endif
#if STARTS > 3
                LOCK_VICTIM(4)
#endif
                :: else -> goto next;
                fi;
            }
            if
            :: atomic { db_up && reaper[i] != 0 && !(run_locked && owner == victim[i]) ->
                assert(!dead[reaper[i]]);
                /* Nobody is declared dead for the time in which the database was away. */
                assert(OUTAGES == 0 || up_for[victim[i]] > MARGIN);
                dead[victim[i]] = true;
                RESET(up_for[victim[i]]);
                if
                :: owner == victim[i] -> FREE_RUNS;
                :: else
                fi;
                end_reap(i);
            }
            :: reaper[i] == 0 -> skip;      /* the server has ended it */
            fi;
        next:
            skip;
        od;
    } unless { !up[i] };
    heart_still[i] = true;
    atomic { up[i] -> heart_still[i] = false; }
    goto begin;
}

/* --- and its worker ------------------------------------------------------------------------- */

#ifdef M_NO_LEASE_CHECK
#define LEASE_HOLDS(i)  true
#else
#define LEASE_HOLDS(i)  (contact[i] < LEASE - MARGIN)
#endif

/* All processes are alike, so the one that claims first may as well be number 0; or, where one is
 * to be killed, that may as well be the last. */
#if CRASHES > 0
#define FIRST(i)        true
#else
#define FIRST(i)        (i == 0 || epoch > 0 || !LIVE(me[0]))
#endif

#ifdef M_CLAIM_FORGOTTEN
#define CLAIMABLE(id)   (owner == 0)
#else
#define CLAIMABLE(id)   (owner == 0 || owner == id)
#endif

#ifdef M_NO_FENCE
#define OURS(id, e)     true
#else
#define OURS(id, e)     (owner == id && epoch == e)
#endif

#define CHECK_LEASE \
    atomic { LEASE_HOLDS(i) -> checked[i] = true; gap[i] = 0; }

#if TARGET == BLIND
#define READ_TARGET     skip
#else
#define READ_TARGET \
    atomic { \
        seen = value; \
        under = version; \
        if \
        :: seen == (is != UNDOING) -> checked[i] = false; gap[i] = 0; goto outcome; \
        :: else \
        fi; \
    }
#endif

/* COMMIT: answered; or nobody waits for the answer, and it may still happen at any later time. A
 * session that the server has ended meanwhile tells just as little. */
inline finish(i) {
    if
    :: atomic { db_up && session[x].state == OPEN -> commit(x); known = true; }
    :: atomic { losses > 0 && !calm && session[x].state == OPEN &&
            session[4 * i + 1 - x].state == FREE ->
        losses--;
        session[x].state = DOUBT;
        x = 4 * i + 1 - x;
        known = false;
    }
    :: atomic { session[x].state == FREE -> known = false; }
    fi;
}

inline leave_session(s) {
    if
    :: session[s].state == OPEN -> session[s].state = LEFT;
    :: else
    fi;
}

inline leave_call(c) {
    if
    :: call[c].state == FLYING -> call[c].left = true;
    :: else -> take_answer(c);
    fi;
}

proctype Worker(byte i) {
    byte x = 2 * i;     /* the session in use */
    byte c = 2 * i;     /* the call in use */
    byte mine = 0;      /* under which epoch, 0 while nothing is in hand */
    byte is = 0;        /* the phase that the run in hand is in */
    byte got = 0;
    bool known = false;
    bool fresh = false; /* the intent is from this very hand, which has made no call yet */
    byte seen = 0;
    byte under = 0;
begin:
    {   skip;
    claim:
        atomic { mine = 0; is = 0; fresh = false; seen = 0; under = 0; got = 0; }
        atomic { MAY_WRITE(me[i]) && session[x].state == FREE && !run_locked && phase < ENDED &&
                CLAIMABLE(me[i]) && FIRST(i) ->
            mine = NEXT_EPOCH;
            got = phase;
            begin_transaction(x, i, CLAIM, mine, phase);
        }
        finish(i);
        if
        :: known -> is = got;
        :: else -> goto claim;
        fi;

    carry:
        if
        :: atomic { is == PLANNED ->
            got = STARTED;
#ifdef M_CALL_BEFORE_INTENT
            goto call_target;
#endif
            goto write;
        }
#ifndef M_BLIND_REPEATED
        :: atomic { TARGET == BLIND && is == STARTED && !fresh -> got = INTERRUPTED; goto write; }
#endif
        :: atomic { is == INTERRUPTED || is == ENDED -> goto claim; }
        :: else -> skip;
        fi;

    call_target:
        fresh = false;
#ifdef M_CHECK_BEFORE_READ
        CHECK_LEASE;
        READ_TARGET;
#else
        READ_TARGET;    /* under which version, first: whoever takes over comes after it */
        CHECK_LEASE;
#endif
        if
        :: atomic { call[2 * i].state == NONE -> c = 2 * i; }
        :: atomic { call[2 * i].state != NONE && call[2 * i + 1].state == NONE -> c = 2 * i + 1; }
        fi;
        atomic {
            call[c].back = (is == UNDOING);
            call[c].version = under;
            call[c].gap = gap[i];
            call[c].state = FLYING;
            checked[i] = false;
            gap[i] = 0;
        }
        if
        :: atomic { call[c].state == MADE -> take_answer(c); goto outcome; }
        :: atomic { call[c].state == STALE -> take_answer(c); goto carry; }
        :: atomic { call[c].state == LOST -> take_answer(c); goto carry; }
        fi;

    outcome:
#ifdef UNDO
        got = (is == UNDOING -> ENDED : UNDOING);
#else
        got = ENDED;
#endif

    write:
        atomic { MAY_WRITE(me[i]) && session[x].state == FREE && !run_locked ->
            if
            :: OURS(me[i], mine) -> begin_transaction(x, i, WRITE, mine, got);
            :: else -> goto claim;      /* fenced: drop everything */
            fi;
        }
        finish(i);
        if
        :: atomic { known -> fresh = (is == PLANNED && got == STARTED); is = got; goto carry; }
        :: atomic { !known && db_up ->  /* did it happen? look again */
            if
            :: owner == me[i] && epoch == mine -> is = phase; fresh = false; goto carry;
            :: else -> goto claim;
            fi;
        }
        fi;
    } unless { !up[i] || quit[i] };
    atomic {
        leave_session(2 * i);
        leave_session(2 * i + 1);
        leave_call(2 * i);
        leave_call(2 * i + 1);
        checked[i] = false;
        gap[i] = 0;
        x = 2 * i;
        c = 2 * i;
        mine = 0; is = 0; got = 0; known = false; fresh = false; seen = 0; under = 0;
        idle[i] = true;
    }
    atomic { up[i] && !quit[i] -> idle[i] = false; }
    goto begin;
}

/* --- time and trouble ----------------------------------------------------------------------- */

/* Time passes whenever it likes, so every process may be slow, paused or cut off for any time; but
 * for two assumptions. PROMPT: a call arrives within the margin of its check of the lease, or
 * never. Calm: in the end every heart beats within a tick and the database stays. */
#ifdef PROMPT
#define CALL_WAITS(c)   (call[c].state == FLYING && call[c].gap >= MARGIN)
#define CHECK_WAITS(i)  ((checked[i] && gap[i] >= MARGIN) || CALL_WAITS(2 * i) || CALL_WAITS(2 * i + 1))
#else
#define CHECK_WAITS(i)  false
#endif
#define BEAT_WAITS(i)   (calm && up[i] && LIVE(me[i]) && contact[i] > 0)

#define MAY_TICK(i)     (!CHECK_WAITS(i) && !BEAT_WAITS(i))
#if NODES > 2
#define MAY_TICKS       (MAY_TICK(0) && MAY_TICK(1) && MAY_TICK(2))
#else
#define MAY_TICKS       (MAY_TICK(0) && MAY_TICK(1))
#endif

/* What was before the first claim and what comes after the end is of no interest. */
#define BEGUN           (epoch > 0 || run_locked)

proctype Clock() {
    byte k;
    do
    :: d_step { BEGUN && phase < ENDED && MAY_TICKS ->
        for (k : 1 .. joined) {
            if
            :: !dead[k] ->
                CAPPED(age[k], LEASE);
                if
                :: OUTAGES > 0 && db_up -> CAPPED(up_for[k], MARGIN + 1);
                :: else
                fi;
            :: else
            fi;
        }
        for (k : 0 .. NODES - 1) {
            if
            :: me[k] != 0 ->
                CAPPED(contact[k], LEASE - MARGIN);
#if OUTAGES > 0
                if
                :: contact[k] < LEASE - MARGIN -> CAPPED(steady[k], LEASE);
                :: else -> steady[k] = 0;
                fi;
#endif
            :: else
            fi;
#ifdef PROMPT
            if
            :: checked[k] -> gap[k]++;
            :: else
            fi;
        }
        for (k : 0 .. 2 * NODES - 1) {
            if
            :: call[k].state == FLYING -> call[k].gap++;
            :: else
            fi;
#endif
        }
        k = 0;
    }
    od
}

#define CRASH(i) \
    :: atomic { crashes > 0 && !calm && up[i] && UPS > 1 -> \
        crashes--; up[i] = false; me[i] = 0; contact[i] = 0; steady[i] = 0; \
        quit[i] = false; } \
    :: atomic { !calm && !up[i] && idle[i] && heart_still[i] && joined < STARTS -> up[i] = true; }
#if NODES > 2
#define UPS (up[0] + up[1] + up[2])
#else
#define UPS (up[0] + up[1])
#endif

proctype Trouble() {
    do
    :: atomic { outages > 0 && db_up && !calm -> outages--; db_up = false; }
    :: atomic { !db_up -> db_up = true; }
#if CRASHES > 0
    CRASH(NODES - 1)
#endif
#ifdef ENDING
    :: atomic { db_up && !calm -> calm = true; }
#endif
    od
}

init {
    byte i;
    atomic {
        for (i : 0 .. NODES - 1) {
            up[i] = true;
            joined++;
            me[i] = joined;
            run Heart(i);
            run Worker(i);
        }
        i = 0;
        run Server();
        run Target();
        run Clock();
        run Trouble();
    }
}

#ifdef ENDING
#if NODES > 2
#define SERVED  (LIVE(me[0]) || LIVE(me[1]) || LIVE(me[2]))
#else
#define SERVED  (LIVE(me[0]) || LIVE(me[1]))
#endif
/* Once trouble is over, and while some process lives, every run ends or is interrupted. */
ltl ends { (<> [] (calm && SERVED)) -> (<> (phase >= ENDED)) }
#endif
