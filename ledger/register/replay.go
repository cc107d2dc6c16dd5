package register

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// Replayer takes in the entries of a log that is there already, for a follower,
// an auditor, or a ledger that lost its register. It has two steps, so that the
// second can follow behind the first: [Replayer.Verify] checks signatures on all
// cores, [Replayer.Fold] folds in order.
//
// Verify calls follow one another in log order, Take calls likewise.
type Replayer struct {
	r       *Register
	workers int
	// listed are the keys in the records that Verify has seen and Take has not: a key
	// may sign from the next index on. Whether it may, Take decides. Owned by Verify.
	listed     map[string]listedKey
	keyCache   sync.Map     // keyid → *record.Key, some of the register's: to whom a key belongs never changes
	cachedKeys atomic.Int64 // how many
	next       uint64       // index of the first entry of the next Verify

	mu      sync.Mutex // guards broken
	readErr error      // why the register could not be read: no entry's fault
}

// listedKey is a key in the record of an index.
type listedKey struct {
	*record.Key
	index uint64
}

// maxCachedKeys bounds the keys of the register that a replay keeps in memory.
const maxCachedKeys = 4096

// NewReplayer replays on top of the register as it is, with so many workers (0 = one
// a core).
func (r *Register) NewReplayer(workers int) *Replayer {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	return &Replayer{r: r, workers: workers, listed: make(map[string]listedKey), next: r.Size()}
}

// VerifiedBatch is a run of entries whose signatures all verify, and what is wrong with the
// one after them, if anything is. Whether that is the first fault of the log, only
// the fold of those before it can tell.
type VerifiedBatch struct {
	entries  []record.Entry
	verified []record.Verified
	fault    *EntryError
}

// Len is the number of entries.
func (b *VerifiedBatch) Len() int { return len(b.entries) }

// Signatures is the number of signatures that verified.
func (b *VerifiedBatch) Signatures() (n uint64) {
	for _, e := range b.entries {
		n += uint64(len(e.Envelope.Signatures))
	}
	return n
}

// EntryError says which entry of the log is not one.
type EntryError struct {
	Index uint64
	Err   error
}

func (e *EntryError) Unwrap() error { return e.Err }

func (e *EntryError) Error() string {
	if upgrade, ok := e.Err.(*UpgradeError); ok {
		return upgrade.Error() // it names the index, and no fault of the entry's
	}
	return fmt.Sprintf("entry %d: %v", e.Index, e.Err)
}

// Verify parses the entries that come next and checks every signature in them, up
// to the first that is none; that one is [Replayer.Fold]'s to report, since an
// earlier one may prove not to belong in the log, or to need a newer binary. An
// error is never an entry's: the register could not be read, or ctx ended.
func (p *Replayer) Verify(ctx context.Context, entries [][]byte) (*VerifiedBatch, error) {
	folded := p.r.Size()
	maps.DeleteFunc(p.listed, func(_ string, k listedKey) bool { return k.index < folded }) // the register has them
	b := &VerifiedBatch{entries: make([]record.Entry, len(entries)), verified: make([]record.Verified, len(entries))}
	err := p.forEachParallel(ctx, b, func(i int) error {
		var err error
		b.entries[i], err = record.ParseEntry(entries[i])
		return err
	})
	if err != nil {
		return nil, err
	}
	for i, e := range b.entries {
		index := p.next + uint64(i)
		if err := p.addListedKeys(index, e.Envelope.Payload); err != nil {
			if rules := firstCharterRules(e.Envelope.Payload); index == 0 && rules > RulesVersion {
				err = newerRulesError(0, rules, 0)
			}
			b.truncate(&EntryError{index, err}, i)
			break
		}
	}
	err = p.forEachParallel(ctx, b, func(i int) error {
		var err error
		b.verified[i], err = record.OpenEntry(b.entries[i], p.key)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := p.readError(); err != nil {
		return nil, err
	}
	p.next += uint64(b.Len())
	return b, nil
}

// truncate leaves the entries below i, the first at fault.
func (b *VerifiedBatch) truncate(fault *EntryError, i int) {
	b.entries, b.verified, b.fault = b.entries[:i], b.verified[:i], fault
}

// forEachParallel runs f for every entry of the batch, on all workers, and cuts the batch where
// it fails first.
func (p *Replayer) forEachParallel(ctx context.Context, b *VerifiedBatch, f func(i int) error) error {
	n := b.Len()
	first := make([]*EntryError, p.workers)
	g, ctx := errgroup.WithContext(ctx)
	for w := range p.workers {
		g.Go(func() error {
			for i := w * n / p.workers; i < (w+1)*n/p.workers; i++ {
				if err := f(i); err != nil {
					first[w] = &EntryError{p.next + uint64(i), err}
					return nil // the others go on: theirs may be an earlier one
				}
				if i%256 == 0 && ctx.Err() != nil {
					return ctx.Err()
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, e := range first {
		if e != nil {
			b.truncate(e, int(e.Index-p.next))
			break
		}
	}
	return nil
}

// addListedKeys remembers the keys that a record lists.
func (p *Replayer) addListedKeys(index uint64, payload []byte) error {
	if !mayListKeys(payload) {
		return nil
	}
	st, err := record.ParseStatement(payload)
	if err != nil {
		return err
	}
	keys, err := record.ListedKeys(st)
	if err != nil {
		return err
	}
	for _, k := range keys {
		p.listed[k.ID()] = listedKey{k, index}
	}
	return nil
}

// keyListingTypes are the names, as a payload has them, of the kinds that list keys.
var keyListingTypes = func() (types [][]byte) {
	for _, k := range record.Kinds() {
		if k.ListsKeys() {
			types = append(types, []byte(k.PredicateType()))
		}
	}
	return types
}()

// mayListKeys spares parsing most payloads twice. Only an escape could hide the
// name of the kind.
func mayListKeys(payload []byte) bool {
	return bytes.IndexByte(payload, '\\') >= 0 ||
		slices.ContainsFunc(keyListingTypes, func(name []byte) bool { return bytes.Contains(payload, name) })
}

// key finds a key by its ID among those listed in this replay, and those that the
// register held before it.
func (p *Replayer) key(id string) *record.Key {
	if k, ok := p.listed[id]; ok {
		return k.Key
	}
	if k, ok := p.keyCache.Load(id); ok {
		return k.(*record.Key)
	}
	h, ok, err := p.r.KeyHolder(id)
	switch {
	case err != nil:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.readErr = errors.Join(p.readErr, err)
		return nil
	case !ok:
		return nil
	}
	if p.cachedKeys.Add(1) > maxCachedKeys {
		p.cachedKeys.Store(0)
		p.keyCache.Clear()
	}
	p.keyCache.Store(id, h.key)
	return h.key
}

// readError is why some key could not be looked up: an entry is not to blame.
func (p *Replayer) readError() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.readErr
}

// Fold folds a batch that continues the register, and makes root, the log's at the
// batch's end, the register's. Errors: *[EntryError] of the first entry that must
// not be in a ledger, wrapping an [UpgradeError] where this binary cannot tell;
// any other is of the register's own store. After an error the register stands
// where it stood before the batch, and what is left of the replay needs a new
// Replayer.
func (p *Replayer) Fold(b *VerifiedBatch, root [32]byte) error {
	if b.Len() == 0 && b.fault == nil {
		return nil
	}
	d := p.r.Begin(time.Time{}) // each entry says when it was admitted
	for i, e := range b.entries {
		if err := d.Apply(e, b.verified[i]); err != nil {
			return attributeToEntry(d.start+uint64(i), err)
		}
	}
	if b.fault != nil {
		return d.explainFault(b.fault)
	}
	return p.r.Advance(d, root)
}

// attributeToEntry makes an error an [EntryError], unless it is one of the register's
// own store.
func attributeToEntry(index uint64, err error) error {
	var own *storeError
	if errors.As(err, &own) {
		return err
	}
	return &EntryError{index, err}
}

// explainFault words what Verify found wrong with the entry that comes next: nothing, as
// far as this binary can tell, where newer rules or a newer kind may allow it.
func (d *Draft) explainFault(fault *EntryError) error {
	var refusal *record.Refusal
	switch c := d.charter; {
	case c != nil && c.charter().Rules > RulesVersion:
		return &EntryError{fault.Index, newerRulesError(fault.Index, c.charter().Rules, c.Index+1)}
	case errors.As(fault.Err, &refusal) && refusal.Class == record.Unsupported:
		lacks := refusal.Detail
		if len(refusal.Faults) > 0 {
			lacks = refusal.Faults[0].Detail // which kind, and what to do
		}
		return &EntryError{fault.Index, &UpgradeError{Index: fault.Index, Detail: fmt.Sprintf("at index %d, %s", fault.Index, lacks)}}
	}
	return fault
}

// firstCharterRules are those for which a charter asks whose schema may be newer than
// this binary's, 0 if the payload is none. Only index 0 is judged by its own rules.
func firstCharterRules(payload []byte) int64 {
	v, err := schema.ParseJSON(payload)
	statement, _ := v.(schema.Object)
	if err != nil || statement.Lookup("predicateType") != record.KindCharter.PredicateType() {
		return 0
	}
	charter, _ := statement.Lookup("predicate").(schema.Object)
	rules, _ := charter.Lookup("rules").(int64)
	return rules
}

// newerRulesError says that the charter in force asks for rules that this binary lacks.
func newerRulesError(index uint64, rules int64, since uint64) error {
	return &UpgradeError{Index: index, Detail: fmt.Sprintf("needs rules %d from index %d on: upgrade", rules, since)}
}
