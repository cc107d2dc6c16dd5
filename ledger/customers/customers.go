// Package customers is a provider's private log of who their customers are: complete,
// private, erasable, and provable to one authority without showing anything to anybody else
// (ledger/record/RECORDS.md "The private customer log").
//
// It is the engine of package ledger with a fold of commitments. What is logged of a
// customer stands in three places. The log holds a leaf, which says nothing. The data beside
// it hold the event, sealed under that customer's own key. The key store of package vault
// holds that key, sealed under the vault's, and hashes by which the customer is found. To
// destroy the one key erases the customer; the leaves stay, and the log still verifies.
//
//	Add → prepared (hashed) → pool ─Commit→ judged on the customer's chain and life
//	    → keys of new customers, durable → sealed events, durable → leaves, durable → chains, search rows
//
// So there is no leaf without its event, and what was staged for leaves that never came is
// dropped on opening. Chains, lives, search rows and the rows by which an event that comes
// again is known are derived: replay makes them anew from the sealed events.
//
// A period ends with leaves that only fill up, and one that fixes the root of a map from
// handles to what is filed under each ([Log.ClosePeriod]). Every read of a customer, by
// whom and for what, is an event in the log itself before it is answered.
//
// It does not speak HTTP, sign or submit public records, or decide what is due: package
// programme reads states, package bundle makes what leaves the house.
package customers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"filippo.io/age"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/index"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

var (
	// ErrTooMany: more events than one call takes.
	ErrTooMany = fmt.Errorf("at most %d events at a time", MaxAdd)

	// ErrPeriod: a period cannot end on that day.
	ErrPeriod = errors.New("the period cannot end there")

	// ErrUnpublished: the newest period is closed and its checkpoint is not signed yet. Nothing
	// is taken in before it is.
	ErrUnpublished = errors.New("the newest period's checkpoint is not signed yet")

	// ErrLost: a part of the log's directory that nothing else holds is missing.
	ErrLost = errors.New("a part of the customer log is lost")

	// ErrOtherKey: the log's signing key is not the one that signed its newest checkpoint.
	ErrOtherKey = errors.New("the log's key was replaced")
)

// Config says whose log it is, and where it lies. All is needed but what has a zero value.
type Config struct {
	FS  vfs.FS
	Dir string // holds data/, the sealed events, and map/; both are made if they are not there

	Party   string    // whose log it is
	Ledger  record.ID // of the charter under which the party is enrolled
	Origin  string    // the log's name in its checkpoints
	Signers []*proof.Signer

	// Store keeps the leaves, and Keys the customers' keys. They stay the caller's to close, and
	// so does the vault, which is unlocked.
	Store ledger.Store
	Keys  *vault.Store
	Vault *vault.Vault

	// Disclosers reads the keys of who holds the role discloser, as it stands now: two of them
	// approve a disclosure. Nil: nobody holds it.
	Disclosers func() ([]*record.Key, error)

	Retention record.Period // after closing, before a customer may be erased; P2Y if zero

	KeysMarked bool         // as of [ledger.Config]
	MarkKeys   func() error // likewise

	Log    *slog.Logger // nil discards
	Health *disk.Health // nil: a new one
}

// Log is one open customer log. Its methods may be called by many goroutines.
type Log struct {
	config Config
	engine *ledger.Ledger[item]
	fold   *fold
	maps   *index.Store

	// holding is held for reading by all that appends or reads what is sealed, and for writing
	// while a period is closed, customers are erased, or the vault is locked.
	holding sync.RWMutex

	identities identities

	disclosing sync.Mutex // held while a disclosure is changed

	mu      sync.Mutex // guards what follows
	periods []Period
}

// Open opens the log, makes it if there is none, and finishes what was cut off: keys and
// events that were staged for leaves that never came are dropped, what is derived is
// replayed, the newest period's checkpoint is signed, and erased keys are destroyed.
func Open(ctx context.Context, c Config) (*Log, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Retention.IsZero() {
		c.Retention = record.Period{Years: 2}
	}
	l := &Log{config: c, identities: newIdentities()}
	if err := l.open(ctx); err != nil {
		var unsigned *proof.LogSignatureError
		if errors.As(err, &unsigned) {
			err = fmt.Errorf("%w: another one than %s signed the newest checkpoint. A log keeps its key: bring back log.key, or the version of the KMS's key that customers.json means, as it was before", ErrOtherKey, c.Signers[0].Key())
		}
		return nil, errors.Join(fmt.Errorf("opening the customer log %s: %w", c.Origin, err), l.Close())
	}
	return l, nil
}

func (l *Log) open(ctx context.Context) (err error) {
	c := l.config
	head, err := c.Store.Head(ctx)
	if err != nil {
		return err
	}
	if l.fold, err = openFold(c, &l.identities); err != nil {
		return err
	}
	if err := l.fold.dropStaged(head); err != nil {
		return err
	}
	if l.maps, err = index.Open(c.FS, c.FS.PathJoin(c.Dir, "map"), index.Options{Health: c.Health}); err != nil {
		return err
	}
	l.engine, err = ledger.Open(ctx, store{c.Store, l.fold}, l.fold, ledger.Config{
		Origin: c.Origin, Signers: c.Signers, KeysMarked: c.KeysMarked, MarkKeys: c.MarkKeys, Log: c.Log,
		MaxBacklog: maxBacklog, Overlap: true,
	})
	if err != nil {
		return err
	}
	if err := l.loadPeriods(); err != nil {
		return err
	}
	if err := l.fold.checkKeys(l.Periods()); err != nil {
		return err
	}
	if err := l.finishPeriod(ctx); err != nil {
		return err
	}
	return l.finishErasures(ctx)
}

// maxBacklog is none: a checkpoint is signed at the end of a period, and not before.
const maxBacklog = int(^uint(0) >> 1)

// Close closes what the log opened itself. Calls that go on end with an error.
func (l *Log) Close() error {
	var errs []error
	if l.fold != nil {
		errs = append(errs, l.fold.db.Close())
	}
	if l.maps != nil {
		errs = append(errs, l.maps.Close())
	}
	return errors.Join(errs...)
}

// Err is nil while the log takes events in, and else why it stopped: it has to be opened anew.
func (l *Log) Err() error { return l.engine.Err() }

// Scope is what the log's commitments are bound to.
func (l *Log) Scope() event.Scope { return l.fold.scope }

// Lock waits for what is under way, locks the vault, and forgets all keys.
func (l *Log) Lock() {
	l.holding.Lock()
	defer l.holding.Unlock()
	l.config.Vault.Lock()
	l.identities.forget()
	l.fold.forget()
}

// Unlock opens the vault again.
func (l *Log) Unlock(ids ...age.Identity) error {
	l.holding.Lock()
	defer l.holding.Unlock()
	l.identities.forget()
	return l.config.Vault.Unlock(ids...)
}

// Locked tells whether the vault is locked: then nothing is taken in and nothing shown.
func (l *Log) Locked() bool { return l.config.Vault.Locked() }

// begin is called before the vault is used, and end after.
func (l *Log) begin() error {
	l.holding.RLock()
	if err := l.usable(); err != nil {
		l.holding.RUnlock()
		return err
	}
	return nil
}

func (l *Log) end() { l.holding.RUnlock() }

func (l *Log) usable() error {
	if l.config.Vault.Locked() {
		return vault.ErrLocked
	}
	return nil
}

// RotateVault gives the vault a new wrapping key, and other recipients where there are some,
// and wraps the customers' keys anew, while others append and read. It goes on where one before
// was cut off, by a lock of the vault too.
func (l *Log) RotateVault(ctx context.Context, who Who, recipients []vault.Recipient, progress func(done, total uint64)) error {
	if _, err := l.Act(ctx, who.act(event.KindRotated)); err != nil {
		return err
	}
	return vault.Rotate(ctx, l.config.Vault, l.config.Keys, recipients, progress)
}

// Stats are the log's size.
type Stats struct {
	Customers uint64 // with a key
	Size      uint64 // leaves
	Published uint64 // of them in closed periods
	Periods   int
	DataBytes uint64 // sealed events and what is derived from them, on the disk
	KeyBytes  uint64
}

// Stats counts.
func (l *Log) Stats() (Stats, error) {
	keys, err := l.config.Keys.Stats()
	if err != nil {
		return Stats{}, err
	}
	l.mu.Lock()
	periods := len(l.periods)
	l.mu.Unlock()
	return Stats{Customers: keys.Customers, Size: l.engine.Head().Size, Published: l.engine.PublishedSize(), Periods: periods,
		DataBytes: l.fold.db.Metrics().DiskSpaceUsage(), KeyBytes: keys.Bytes}, nil
}
