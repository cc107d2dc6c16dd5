// Package ledger makes one log of what it is given: it judges, orders, hashes,
// stores, signs and publishes (DESIGN.md section 6).
//
//	Append → pool ─Commit→ entries, tiles and head, durable ─Publish→ cosigned checkpoint
//
// It promises that whatever was published stays, byte for byte; that what
// [Ledger.AwaitPublished] has answered for survives any crash; that the same item
// appended again is the entry it was the first time; that admission times never
// go back; and that whatever it reads back is checked against its own root, so
// that a rotten disk gives an error and not a wrong proof.
//
// It does not decide what may enter: a [Fold] does. It does not know how things
// lie on a disk: a [Store] does. It has no loop of its own but [Ledger.Run], and
// asks witnesses only through the function that it is handed.
//
// # Contract
//
//	l, err := ledger.Open(ctx, store, index, ledger.Config{Origin: "log.example/1", Signers: []*proof.Signer{signer}})
//	ticket, err := l.Append(ctx, pebblestore.NewBlob([]byte("hello"))) // in the pool, or refused without a trace
//	exitOn(l.Commit(ctx))                                              // judged, and durable if admitted
//	exitOn(l.Publish(ctx))                                             // signed, cosigned by the quorum, shown
//	at, err := ticket.AwaitCommitted(ctx)                              // the index, or why it was refused
//	receipt, err := l.Receipt(ctx, at.Index)                           // verifies offline, under the policy
//
// Open recovers whatever happened before. An error that wraps [ErrUnknown], [ErrRollback] or
// [ErrCorrupt] ends the ledger: it accepts nothing more, and is opened anew or looked at.
// [ErrNoQuorum], [ErrNoLogKey] and [ErrClock] pass: the same call may succeed later.
//
// The laws of a Store stand beside it, those of a Fold likewise. The whole way of a record,
// and why: ledger/DESIGN.md section 6.
package ledger

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/reader"
)

var (
	// ErrBusy: the pool is full. Nothing was accepted; come back in a second.
	ErrBusy = errors.New("the ledger is busy: too many records are waiting to be committed")

	// ErrBacklog: too much is committed that the quorum has not cosigned. Nothing
	// was accepted.
	ErrBacklog = errors.New("too many records wait for the witnesses' quorum")

	// ErrClock: the clock is far behind the newest entry, or a quorum of witnesses does
	// not confirm it. Nothing was written.
	ErrClock = errors.New("the ledger's clock is off")

	// ErrUnknown: a write may or may not have happened. The ledger has stopped
	// and must be reopened; the same item can be appended again then.
	ErrUnknown = errors.New("outcome unknown")

	// ErrStopped: the ledger accepts nothing any more, since it was closed or a
	// write failed. Nothing was accepted.
	ErrStopped = errors.New("the ledger has stopped")

	// ErrNoQuorum: the witnesses' cosignatures do not satisfy the policy (yet).
	// What is committed stays committed; Publish may be called again.
	ErrNoQuorum = errors.New("no quorum of witnesses")

	// ErrNoLogKey: the policy names none of the keys that this log signs with, so
	// that nothing it signs can satisfy it. What is committed stays committed.
	ErrNoLogKey = errors.New("the policy names none of the keys that this log signs with")

	// ErrRollback: a checkpoint with this log's own signature exists that this store
	// does not lead up to, or the fold has seen entries that the store does not hold,
	// or it is empty beside keys that have signed entries. Nothing is signed any more.
	ErrRollback = errors.New("the store does not hold what this log has written: it was lost, rolled back or forked")

	// ErrFold: what is derived from the entries is damaged where it was asked for. It is
	// made anew ([Ledger.Refold]); nothing was written.
	ErrFold = errors.New("what is derived from the entries is damaged, and has to be made anew")
)

// Config is what a ledger needs beside its store and its fold.
type Config struct {
	Origin  string          // the log's name in its checkpoints
	Signers []*proof.Signer // the log's keys, all named Origin

	// Cosign asks witnesses; nil where the policy's quorum is none, and the log's URL
	// is not to be asked whether the log is new.
	Cosign CosignFunc

	// KeysMarked says that one of the Signers bears the mark of having signed entries:
	// opening an empty store is [ErrRollback] then. MarkKeys puts that mark on all of them,
	// durably, and is called before the first signature over an entry; nil if there is
	// no mark. The mark is stored beside the keys and not in the store, so that it
	// survives the loss of the store.
	KeysMarked bool
	MarkKeys   func() error

	// Take takes the store in place of its own Take, for who does more then; nil: it does.
	Take func(context.Context) error

	// NewLog is the operator's word that these keys have signed nothing elsewhere: what
	// is [ErrUnprovenClaim] otherwise is a warning then.
	NewLog bool

	// PublishInterval is the least time between two publications of Run, for logs whose
	// checkpoints cost others something. The zero value publishes as fast as the
	// store and the witnesses allow.
	PublishInterval time.Duration

	// CommitInterval is the least time from the beginning of a commit to that of the next,
	// for stores whose writes cost others something. The zero value commits as fast as the
	// store allows. What comes after a longer pause is committed at once all the same.
	CommitInterval time.Duration

	// RecosignInterval is after how long without a publication Run has the newest
	// checkpoint cosigned again; 10 min if zero, never if negative.
	RecosignInterval time.Duration

	MaxBatchItems int   // most items of one commit; 2,048 if zero
	MaxBatchBytes int   // entry bytes at which a commit is cut; 8 MiB if zero
	MaxPoolItems  int   // most items that wait for a commit; 16,384 if zero
	MaxBacklog    int   // most entries committed and not published; 131,072 if zero
	CacheBytes    int64 // checked full tiles kept in memory; 64 MiB if zero

	// Overlap has Commit judge and write a batch while the fold advances over the one before, as
	// Run does, for who has no use of Run.
	Overlap bool

	// StoreTimeout is how long one call of the store may take; 1 min if zero. A read that
	// takes longer fails, and a write stops the ledger: its outcome is unknown.
	StoreTimeout time.Duration

	// ShutdownTimeout is how long Run, once told to end, goes on committing and publishing
	// what was accepted; 10 s if zero.
	ShutdownTimeout time.Duration

	Log   *slog.Logger // nil discards
	Hooks Hooks
}

// Hooks is told of what happened, for metrics. Any of it may be nil. The
// functions are called between two commits or publications and must be quick.
type Hooks struct {
	Committed func(admitted, refused, duplicates int, took time.Duration)
	Published func(size uint64, took time.Duration, err error)
}

func (c Config) withDefaults() (Config, error) {
	if c.Origin == "" || len(c.Signers) == 0 {
		return c, errors.New("a ledger needs an origin and at least one log key")
	}
	for _, s := range c.Signers {
		if s.Key().Name() != c.Origin {
			return c, fmt.Errorf("the log key is named %s, the log %s", s.Key().Name(), c.Origin)
		}
	}
	orDefault(&c.MaxBatchItems, 2048)
	orDefault(&c.MaxBatchBytes, 8<<20)
	orDefault(&c.MaxPoolItems, 16_384)
	orDefault(&c.MaxBacklog, 131_072)
	orDefault(&c.CacheBytes, 64<<20)
	orDefault(&c.StoreTimeout, time.Minute)
	orDefault(&c.ShutdownTimeout, 10*time.Second)
	if c.RecosignInterval == 0 {
		c.RecosignInterval = 10 * time.Minute
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

func orDefault[T ~int | ~int64](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Ledger is one open log of items of type V, which are verified before as far as that
// is possible without the ledger's state: record.Verified, for the public ledger.
// [Open] makes it. Append, the reads and the waits are called from any goroutine; of
// Commit one call at a time (a second one waits), and of Publish, Recosign,
// AddCosignatures, MergeLate and CheckClock together. What is published is read by the
// [reader.Reader] in it.
type Ledger[V any] struct {
	config      Config
	store       Store
	fold        Fold[V]
	pool        *pool[V]
	admittedIDs *bloomFilter
	archived    *archive

	*reader.Reader                              // what is published
	owner          reader.Owner                 // moves the Reader on
	tree           atomic.Pointer[treeSnapshot] // the committed tree
	commitWake     chan struct{}                // wakes Run: something was committed

	standsBy bool          // a [Follower] has it: nothing runs that could stop
	openedAt time.Time     // when, with a monotonic part
	late     lateResponses // what witnesses said after the quorum was there

	lastClockSample atomic.Pointer[clockSample] // the newest comparison of the clock with a quorum's; nil before the first
	clockErrorLog   oncePerMinute               // that the clock keeps records out
	behindLog       oncePerMinute               // that it is behind the newest entry, which costs nothing

	failure  atomic.Pointer[error] // why the ledger stopped
	stopped  chan struct{}         // closed when failure is set
	stopOnce sync.Once

	sequencing     sync.Mutex // held by Commit; guards what follows
	edge           *proof.Appender
	head           Head              // what the next extension grows from
	newestAdmitted time.Time         // the newest admission
	inFlight       *pendingCommit[V] // durable, being advanced over; nil if none is
	lastCommit     time.Time         // when it began

	publishing  sync.Mutex // held while the published checkpoint is replaced; guards what follows
	resubmitted bool       // the last published checkpoint was shown to a quorum since opening
	probed      bool       // a quorum was asked since opening whether this log is new
	keysMarked  bool       // the keys bear their mark
}

// Append puts v in the pool, or finds it in the log. It refuses without a trace:
// [ErrBusy], [ErrBacklog], [ErrStopped]. The ticket tells the rest.
func (l *Ledger[V]) Append(ctx context.Context, v V) (*Ticket, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	index, ok, err := l.Lookup(l.fold.ID(v))
	if err != nil {
		return nil, err
	}
	if ok {
		return &Ticket{done: closedChan, admission: Admission{Index: index, Duplicate: true}}, nil
	}
	if l.Backlog() >= uint64(l.config.MaxBacklog) {
		return nil, ErrBacklog
	}
	return l.pool.put(v)
}

// Lookup finds an item among the committed ones by its ID. It costs next to
// nothing for one that is new.
func (l *Ledger[V]) Lookup(id ID) (index uint64, ok bool, err error) {
	if !l.admittedIDs.has(id) {
		return 0, false, nil
	}
	index, ok, err = l.fold.Lookup(id)
	if err != nil {
		return 0, false, fmt.Errorf("looking up %x: %w", id, err)
	}
	return index, ok, nil
}

// Head is the committed head.
func (l *Ledger[V]) Head() Head { return l.tree.Load().Tree }

// Backlog is the number of entries that are committed and not published.
func (l *Ledger[V]) Backlog() uint64 {
	published := l.PublishedSize() // first: it never passes the committed size
	return l.tree.Load().Size - published
}

// Queued is the number of items in the pool.
func (l *Ledger[V]) Queued() int { return l.pool.len() }

// Err is nil while the ledger accepts items, and else why it stopped.
func (l *Ledger[V]) Err() error {
	if err := l.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// stop ends the ledger for good: whatever waits or comes is refused with err.
func (l *Ledger[V]) stop(err error) error {
	if l.standsBy {
		return err
	}
	l.stopOnce.Do(func() {
		l.failure.Store(&err)
		close(l.stopped)
		if !errors.Is(err, errClosed) {
			l.config.Log.Error("the ledger stopped; it has to be reopened", "origin", l.config.Origin, "size", l.Head().Size, "err", err)
		}
		l.pool.close(fmt.Errorf("%w: %w", ErrStopped, err))
		l.pool.failAll(fmt.Errorf("%w: %w", ErrStopped, err))
	})
	return l.Err()
}

// admissionTime is the clock as entries carry it.
func admissionTime() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// ID is what makes two items the same: a SHA-256, such as a record ID.
type ID = [sha256.Size]byte

// Refusal is an error that concerns one item alone, as a *record.Refusal is.
type Refusal interface {
	error
	RefusesItem()
}

// Fold is what a log means: it judges what may enter, and remembers what has
// (DESIGN.md section 6). The register is the one of the public ledger (package
// public makes a Fold of it); the private customer log and the core benchmark use
// smaller ones. A fold is derived: it may be deleted at any time and comes back
// by replay.
//
// The ledger calls Begin and Replay one at a time, and with them what a [Draft] has.
// Lookup and Policy are called at any time.
type Fold[V any] interface {
	// ID is the item's. It is called at any time, and costs next to nothing.
	ID(v V) ID

	// Cursor is how much of the log the fold has taken in: the head it was last
	// advanced to. It may be behind the log's head after a crash, never ahead: then the
	// store has lost something ([ErrRollback]).
	Cursor() Head

	// Begin starts a draft on the newest state, for items that are all admitted at this
	// instant (UTC, milliseconds).
	Begin(admitted time.Time) Draft[V]

	// Replay takes in entries that are in the log already: those from the cursor
	// up to head. An error says that the log holds an entry that is not one.
	Replay(ctx context.Context, entries [][]byte, head Head) error

	// Lookup finds the index of an item that the fold has advanced over.
	Lookup(id ID) (index uint64, ok bool, err error)

	// IDs yields the ID of every item that the fold has advanced over, in any
	// order, until yield returns an error, which it returns.
	IDs(yield func(ID) error) error

	// Policy is the policy that a checkpoint of this size has to satisfy, and the
	// index of the item that set it: it holds for the sizes above that.
	Policy(size uint64) (policy *proof.Policy, since uint64, err error)

	// AdmittedAt reads the admission time of an entry, so that the clock of a
	// reopened ledger does not go back.
	AdmittedAt(entry []byte) (time.Time, error)
}

// Draft judges items one after another, each on top of those before it, and
// writes nothing before it becomes the fold's state. A dropped draft leaves no trace.
//
// The ledger calls one method at a time, but for one overlap: while a draft advances,
// the next one, begun on top of it, may already judge.
type Draft[V any] interface {
	// Judge returns the bytes of the entry that v becomes. A [Refusal]
	// concerns v alone, and the draft goes on without it; any other error is a
	// fault of the fold's store, and the draft is over: [ErrFold] where it is damage.
	Judge(v V) (entry []byte, err error)

	// Next is [Fold.Begin] on top of this draft, which nobody judges into any more and
	// which advances before the next one does.
	Next(admitted time.Time) Draft[V]

	// Advance makes the draft's state the fold's own, as of head. It is called once, if
	// at least one item was judged well, after the store has made the entries durable,
	// and need not sync.
	Advance(head Head) error
}
