package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Admission is where an item stands in the log.
type Admission struct {
	Index     uint64
	Duplicate bool // it was there before: Index is the first entry's
}

// Ticket is an item in the pool. It is decided by the commit that admits or refuses the
// item.
type Ticket struct {
	done      <-chan struct{} // closed once a and err are final
	admission Admission
	err       error
}

// AwaitCommitted waits for the verdict: where the item is, durably, or why not. The
// error is a [Refusal] if the item was judged and refused; [ErrUnknown] if
// it may or may not be in the log; ctx's error if that ended first, and then
// the item stays in the pool.
func (t *Ticket) AwaitCommitted(ctx context.Context) (Admission, error) {
	select {
	case <-t.done:
		return t.admission, t.err
	default:
	}
	select {
	case <-t.done:
		return t.admission, t.err
	case <-ctx.Done():
		return Admission{}, ctx.Err()
	}
}

// closedChan is the done channel of tickets that never had to wait.
var closedChan = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// batch is what is judged, hashed and written together. Its tickets share one
// channel: an item costs no channel of its own, and a verdict one broadcast.
type batch[V any] struct {
	items   []queuedItem[V]
	decided int // how many from the front have been committed or refused
	done    chan struct{}
}

type queuedItem[V any] struct {
	item   V
	ticket *Ticket
}

// fail ends every undecided ticket of the batch with err.
func (b *batch[V]) fail(err error) {
	for _, w := range b.items[b.decided:] {
		if w.ticket.err == nil {
			w.ticket.err = err
		}
	}
	close(b.done)
}

// pool holds what was appended and is not yet taken, in order, already cut into
// batches.
type pool[V any] struct {
	limit, perBatch int
	wake            chan struct{} // holds one value while there is something to take

	mu        sync.Mutex
	batches   []*batch[V]
	queued    int
	closedErr error // set once nothing is accepted any more
}

func newPool[V any](limit, perBatch int) *pool[V] {
	return &pool[V]{limit: limit, perBatch: perBatch, wake: make(chan struct{}, 1)}
}

// put appends an item, or says why it cannot.
func (p *pool[V]) put(v V) (*Ticket, error) {
	t := &Ticket{}
	p.mu.Lock()
	if p.closedErr != nil || p.queued >= p.limit {
		defer p.mu.Unlock()
		if p.closedErr != nil {
			return nil, p.closedErr
		}
		return nil, ErrBusy
	}
	n := len(p.batches)
	if n == 0 || len(p.batches[n-1].items) >= p.perBatch {
		p.batches = append(p.batches, &batch[V]{done: make(chan struct{})})
		n++
	}
	b := p.batches[n-1]
	t.done = b.done
	b.items = append(b.items, queuedItem[V]{v, t})
	p.queued++
	p.mu.Unlock()
	p.notify()
	return t, nil
}

// take removes the oldest batch; nil if there is none.
func (p *pool[V]) take() *batch[V] {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.batches) == 0 {
		return nil
	}
	b := p.batches[0]
	p.batches[0] = nil
	p.batches = p.batches[1:]
	p.queued -= len(b.items)
	if len(p.batches) > 0 {
		p.notify()
	}
	return b
}

// failAll ends every queued item with err.
func (p *pool[V]) failAll(err error) {
	for b := p.take(); b != nil; b = p.take() {
		b.fail(err)
	}
}

// close makes every later put fail with err; what is in the pool stays.
func (p *pool[V]) close(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closedErr == nil {
		p.closedErr = err
	}
}

// len is the number of items waiting.
func (p *pool[V]) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queued
}

func (p *pool[V]) notify() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Commit empties the pool: it judges the items in order and writes the admitted ones
// durably, with one synced write a batch. When it returns, each of those items is
// admitted or refused.
//
// An error means that the ledger has stopped, but for [ErrClock], [ErrFold] and ctx's
// own: then nothing was written, and it may be called again. A batch that is judged is
// also written, whatever ctx says meanwhile.
func (l *Ledger[V]) Commit(ctx context.Context) error { return l.commit(ctx, nil, l.config.Overlap) }

// commit is Commit. With overlap, the next batch is judged and written while the fold
// advances over the one before: that gains a good part of the second core. Without
// overlap the steps run one after another, so that the simulation can repeat a run
// exactly. The commits keep the interval of the configuration until paced ends, which leaves what
// has not been begun; nil keeps none.
func (l *Ledger[V]) commit(ctx, paced context.Context, overlap bool) error {
	l.sequencing.Lock()
	defer l.sequencing.Unlock()
	var spoilt error
	for {
		if err := errors.Join(ctx.Err(), l.Err()); err != nil {
			return errors.Join(err, l.waitInFlight())
		}
		if paced != nil && l.pool.len() > 0 && !l.sleep(paced, l.config.CommitInterval-time.Since(l.lastCommit)) {
			return errors.Join(spoilt, l.waitInFlight()) // what came is left to the closing
		}
		b := l.pool.take()
		if b == nil {
			return errors.Join(spoilt, l.waitInFlight())
		}
		l.lastCommit = time.Now()
		switch err := l.commitBatch(ctx, b, overlap); {
		case errors.Is(err, ErrFold): // another batch may not need what is damaged
			spoilt = err
		case err != nil:
			return err
		}
	}
}

// commitBatch commits a batch, in parts if it is too large for one commit. The
// parts share their tickets' channel, so that they never overlap.
func (l *Ledger[V]) commitBatch(ctx context.Context, b *batch[V], overlap bool) error {
	for from := 0; from < len(b.items); {
		p, err := l.prepareCommit(b, from)
		if err == nil {
			err = l.extendStore(ctx, p)
		}
		if err := errors.Join(l.waitInFlight(), err); err != nil {
			b.fail(commitError(err))
			return err
		}
		from = p.end
		l.inFlight = p
		go func() { p.done <- l.advanceFold(p) }()
		if !overlap || from < len(b.items) {
			if err := l.waitInFlight(); err != nil {
				return err
			}
		}
	}
	return nil
}

// waitInFlight waits until the fold has advanced over the commit in flight. It returns
// at once if there is none.
func (l *Ledger[V]) waitInFlight() error {
	if l.inFlight == nil {
		return nil
	}
	err := <-l.inFlight.done
	l.inFlight = nil
	return err
}

// commitError is the error for items whose commit failed: ErrUnknown if the write may
// have happened, else ErrStopped.
func commitError(err error) error {
	if errors.Is(err, ErrUnknown) || errors.Is(err, ErrClock) || errors.Is(err, ErrFold) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrStopped, err)
}

// pendingCommit is one commit: decided, hashed, nothing written.
type pendingCommit[V any] struct {
	started    time.Time
	batch      *batch[V]
	end        int // tickets below it are decided once this is done
	draft      Draft[V]
	extension  Extension
	ids        map[ID]uint64 // what it admits
	tree       *treeSnapshot
	refused    int
	duplicates int
	admitted   time.Time
	done       chan error // gets what advanceFold returns
}

// prepareCommit judges a batch, or as much of it as one commit takes, and builds the
// extension. On an error only the filter has changed: it may hold IDs that were not
// admitted, which costs a look-up and nothing else.
func (l *Ledger[V]) prepareCommit(b *batch[V], from int) (*pendingCommit[V], error) {
	p := &pendingCommit[V]{started: time.Now(), batch: b, end: from, admitted: admissionTime(), done: make(chan error, 1)}
	if err := l.clockErr(p.started); err != nil {
		return nil, err
	}
	if err := l.notBeforeNewest(p); err != nil {
		return nil, err
	}
	if err := l.judgeItems(p); err != nil {
		return nil, err
	}
	if len(p.extension.Entries) == 0 {
		return p, nil
	}
	for _, e := range p.extension.Entries {
		if err := l.edge.Append(proof.LeafHash(e)); err != nil {
			return nil, l.stop(err)
		}
	}
	s, err := l.edge.Snapshot()
	if err != nil {
		return nil, l.stop(err)
	}
	p.tree = &treeSnapshot{s, p.admitted}
	p.extension.Old, p.extension.New, p.extension.Tiles = l.head, s.Tree, l.edge.TakeTiles()
	return p, nil
}

// notBeforeNewest uses the newest entry's admission time where the clock is behind it,
// because admission times never decrease. A clock further behind than verifiers
// tolerate is a [ClockError].
func (l *Ledger[V]) notBeforeNewest(p *pendingCommit[V]) error {
	by := l.newestAdmitted.Sub(p.admitted)
	if by <= 0 {
		return nil
	}
	if err := checkNotBehind(p.admitted, l.newestAdmitted); err != nil {
		return err
	}
	if l.behindLog.allow() {
		l.config.Log.Warn("the clock is behind the newest entry; records are admitted at that one's time until it has caught up", "origin", l.config.Origin, "size", l.head.Size, "behind", by.String())
	}
	p.admitted = l.newestAdmitted
	return nil
}

// judgeItems decides on items from the batch in order until it is through, or one
// commit is full.
func (l *Ledger[V]) judgeItems(p *pendingCommit[V]) error {
	todo := p.batch.items[p.end:]
	if l.inFlight == nil {
		p.draft = l.fold.Begin(p.admitted)
	} else {
		p.draft = l.inFlight.draft.Next(p.admitted)
	}
	p.ids = make(map[ID]uint64, len(todo))
	p.extension.Entries = make([][]byte, 0, len(todo))
	size := 0
	for _, w := range todo {
		if size >= l.config.MaxBatchBytes {
			break
		}
		p.end++
		id := l.fold.ID(w.item)
		index, ok, err := l.findAdmitted(p, id)
		if err != nil {
			return l.spoilt(fmt.Errorf("looking up %x: %w", id, err))
		}
		if ok {
			w.ticket.admission = Admission{Index: index, Duplicate: true}
			p.duplicates++
			continue
		}
		entry, err := p.draft.Judge(w.item)
		if refusal := Refusal(nil); errors.As(err, &refusal) {
			w.ticket.err = err
			p.refused++
			continue
		}
		if err != nil {
			return l.spoilt(fmt.Errorf("judging %x: %w", id, err))
		}
		w.ticket.admission = Admission{Index: l.head.Size + uint64(len(p.extension.Entries))}
		p.ids[id] = w.ticket.admission.Index
		l.admittedIDs.add(id)
		p.extension.Entries = append(p.extension.Entries, entry)
		size += len(entry)
	}
	return nil
}

// spoilt is the error for a commit of which nothing is written. A fold that is rebuilt
// judges again then; after any other error its state is unknown.
func (l *Ledger[V]) spoilt(err error) error {
	if errors.Is(err, ErrFold) {
		return err
	}
	return l.stop(err)
}

// findAdmitted is exact for everything admitted so far, this commit included. Whoever is
// found in a commit learns of it only once that is durable. Only what was
// admitted is found: an item that was refused is judged again each time, since
// another submission of it may bear more signatures.
func (l *Ledger[V]) findAdmitted(p *pendingCommit[V], id ID) (uint64, bool, error) {
	if !l.admittedIDs.has(id) {
		return 0, false, nil
	}
	if index, ok := p.ids[id]; ok {
		return index, true, nil
	}
	if l.inFlight != nil {
		if index, ok := l.inFlight.ids[id]; ok {
			return index, true, nil
		}
	}
	return l.fold.Lookup(id)
}

// extendStore makes p durable.
func (l *Ledger[V]) extendStore(ctx context.Context, p *pendingCommit[V]) error {
	if len(p.extension.Entries) == 0 {
		return nil
	}
	if err := l.store.Extend(ctx, p.extension); err != nil { // unknown, or another writer who is not supposed to be there
		return l.stop(fmt.Errorf("extending to %d: %w", p.extension.New.Size, err))
	}
	l.head, l.newestAdmitted = p.extension.New, p.admitted
	return nil
}

// advanceFold advances the fold over p, shows the new tree and answers the tickets.
func (l *Ledger[V]) advanceFold(p *pendingCommit[V]) error {
	if len(p.extension.Entries) > 0 {
		if err := p.draft.Advance(p.extension.New); err != nil {
			// The entries are durable, and seen only after the reopening.
			err = l.stop(fmt.Errorf("advancing to %d: %w: %w", p.extension.New.Size, ErrUnknown, err))
			p.batch.fail(err)
			return err
		}
		l.owner.Commit(p.tree.Snapshot, p.extension.Tiles)
		l.tree.Store(p.tree)
		l.notifyCommit()
	}
	p.batch.decided = p.end
	if p.end == len(p.batch.items) {
		close(p.batch.done)
	}
	if f := l.config.Hooks.Committed; f != nil {
		f(len(p.extension.Entries), p.refused, p.duplicates, time.Since(p.started))
	}
	return nil
}

func (l *Ledger[V]) notifyCommit() {
	select {
	case l.commitWake <- struct{}{}:
	default:
	}
}

// bloomFilter says of an item's ID that it is surely new, or perhaps known, so that
// exact deduplication costs an admitted item no look-up in the fold's index
// (one there was measured at 10–30 µs, ten times the rest of a commit).
//
// It is a split block Bloom filter (Putze, Sanders, Singler, "Cache-, Hash- and
// Space-Efficient Bloom Filters", 2007): one cache line a key, one bit in each
// of its eight words. IDs are SHA-256 already, so their bytes are the
// hash functions. It grows by adding a segment as large as all before it; at 16
// bits a key, about one new key in 500 is looked up in vain. Memory: 2–4 bytes
// for each entry of the ledger. A library would have to be lockless for readers
// beside the one writer and grow; those at hand do one or the other.
//
// Only the sequencer adds. Any goroutine may ask meanwhile.
type bloomFilter struct {
	segments  atomic.Pointer[[]*segment]
	remaining int // keys that the newest segment still takes; the sequencer's
}

// segment is a block filter of fixed size.
type segment [][8]atomic.Uint64

const (
	bitsPerKey    = 16
	minFilterKeys = 1 << 17 // keys: 256 KiB
)

// newBloomFilter makes a filter with room for n keys before it has to grow.
func newBloomFilter(n uint64) *bloomFilter {
	f := &bloomFilter{}
	f.segments.Store(new([]*segment))
	f.grow(max(minFilterKeys, int(2*n)))
	return f
}

func (f *bloomFilter) grow(keys int) {
	s := make(segment, (keys*bitsPerKey+511)/512)
	all := append(append([]*segment(nil), *f.segments.Load()...), &s)
	f.segments.Store(&all)
	f.remaining = keys
}

// add makes the filter know id.
func (f *bloomFilter) add(id ID) {
	all := *f.segments.Load()
	if f.remaining == 0 {
		total := 0
		for _, s := range all {
			total += len(*s) * 512 / bitsPerKey
		}
		f.grow(total)
		all = *f.segments.Load()
	}
	f.remaining--
	block, mask := all[len(all)-1].at(id), id[8:16]
	for i := range block {
		block[i].Or(1 << (mask[i] & 63))
	}
}

// has is false only for an ID that was never added.
func (f *bloomFilter) has(id ID) bool {
	for _, s := range *f.segments.Load() {
		if s.has(id) {
			return true
		}
	}
	return false
}

func (s *segment) has(id ID) bool {
	block, mask := s.at(id), id[8:16]
	for i := range block {
		if block[i].Load()&(1<<(mask[i]&63)) == 0 {
			return false
		}
	}
	return true
}

// at is the one block that id falls into.
func (s *segment) at(id ID) *[8]atomic.Uint64 {
	hi, _ := bits.Mul64(binary.BigEndian.Uint64(id[:8]), uint64(len(*s)))
	return &(*s)[hi]
}
