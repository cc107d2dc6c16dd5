package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-53cf897a/docket/ledger/disk"
)

// Erase destroys customers' keys and all rows that lead to them. Once it has returned, their
// bytes lie in no file of the store. For a few customers it rewrites the tables in which they
// are; for more all of them, which costs as much for a thousand as for ten. Refs without a
// key are fine, and so are none: then it only finishes what was cut off.
//
// After an error, such as that of ctx, customers are gone and bytes may be left. The next
// call, or [OpenStore], sees to them.
func (s *Store) Erase(ctx context.Context, refs ...Ref) error {
	s.maintaining.Lock()
	defer s.maintaining.Unlock()
	before, err := s.get(metaErasing)
	if err != nil {
		return err
	}
	gone, err := s.drop(refs)
	switch {
	case err != nil:
		return fmt.Errorf("erasing %d customers: %w", len(refs), err)
	case before != nil:
		return s.scrub(ctx, everything) // nobody knows which rows were deleted
	case len(gone.rows) == 0:
		return nil
	}
	return s.scrub(ctx, spansOf(gone.rows))
}

// span is a range of keys, [from, to).
type span struct{ from, to []byte }

// everything are all keys.
var everything = []span{{[]byte{0}, []byte{0xff}}}

// maxSpans is how many spans are compacted one by one: those of a few customers. Of more, all
// tables are, since they would be in most of them.
const maxSpans = 400

// spansOf are the ranges in which rows lie. Those of one customer that begin with the ref are
// beside each other, with nothing between.
func spansOf(rows [][]byte) (spans []span) {
	slices.SortFunc(rows, bytes.Compare)
	var owner []byte
	for _, row := range rows {
		past := append(bytes.Clone(row), 0)
		if owner != nil && bytes.HasPrefix(row, owner) {
			spans[len(spans)-1].to = past
			continue
		}
		spans = append(spans, span{row, past})
		if owner = nil; row[0] == tableTerm || row[0] == tableNamed {
			owner = row[:1+len(Ref{})]
		}
	}
	if len(spans) > maxSpans {
		return everything
	}
	return spans
}

// dropped is what was deleted.
type dropped struct {
	rows      [][]byte
	customers uint64
}

// drop deletes the rows of customers, durably, and marks the store as one whose files hold
// deleted rows.
func (s *Store) drop(refs []Ref) (gone dropped, err error) {
	if len(refs) == 0 {
		return gone, nil
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	wanted := make(map[Ref]bool, len(refs))
	err = s.apply(pebble.Sync, func(b *pebble.Batch) error {
		for _, ref := range refs {
			if wanted[ref] {
				continue
			}
			wanted[ref] = true
			delete(s.fresh, ref)
			one, err := s.dropRows(b, ref)
			if err != nil {
				return err
			}
			gone.rows, gone.customers = append(gone.rows, one.rows...), gone.customers+one.customers
		}
		if len(gone.rows) == 0 {
			return nil
		}
		return errors.Join(s.addCount(b, -gone.customers), b.Set(metaErasing, nil, nil))
	})
	for _, one := range s.lately.Keys() {
		if wanted[one.ref] {
			s.lately.Remove(one)
		}
	}
	return gone, err
}

// dropRows puts into a batch that all rows of a customer are deleted.
func (s *Store) dropRows(b *pebble.Batch, ref Ref) (gone dropped, err error) {
	put := func(key []byte) {
		gone.rows = append(gone.rows, key)
		err = errors.Join(err, b.Delete(key, nil))
	}
	key, err := s.db.Row(keyRow(ref))
	if err != nil {
		return gone, err
	}
	if key != nil {
		gone.customers = 1
		put(keyRow(ref))
	}
	terms := scan(s.db, termRows(ref), func(key, hashes []byte) (bool, error) {
		if len(key) != 1+16+shortHash || len(hashes)%shortHash != 0 {
			return false, fmt.Errorf("%w: the rows of a term", disk.ErrDamaged)
		}
		for hash := range slices.Chunk(hashes, shortHash) {
			put(searchRow(hash, ref))
		}
		put(bytes.Clone(key))
		return true, nil
	})
	names := scan(s.db, namedRows(ref), func(key, _ []byte) (bool, error) {
		if len(key) != 1+16+1+longHash {
			return false, fmt.Errorf("%w: the rows of a name", disk.ErrDamaged)
		}
		table := byte(tableHandle)
		if key[1+16] == hashOwner {
			table = tableAccount
		}
		row := append([]byte{table}, key[1+16+1:]...)
		if whose, err := s.db.Row(row); err != nil {
			return false, err
		} else if bytes.Equal(whose, ref[:]) { // and not somebody who has the account now
			put(row)
		}
		put(bytes.Clone(key))
		return true, nil
	})
	return gone, errors.Join(err, terms, names)
}

// scrub sees to it that what rows held that were deleted or written over lies in no file: it
// writes out what is in memory, compacts the tables that hold them, and opens the database
// anew until no manifest names them as the ends of a table and no write-ahead log has them.
// Only then it takes away the mark, [metaErasing], that has it done again.
func (s *Store) scrub(ctx context.Context, spans []span) error {
	err := s.read(func(db *disk.DB) error { return compact(ctx, db, spans) })
	// Pebble keeps the manifest before the current one, and write-ahead logs to use again, as
	// long as a database is open. Opening removes the logs and begins a manifest, a second time
	// the manifest of before; a third one waits, in the closing between, until that is done, and
	// syncs the directory, or else a crash would bring back what was removed.
	for i := 0; i < 3 && err == nil; i++ {
		err = s.reopen()
	}
	if err != nil {
		return fmt.Errorf("clearing away what was erased: %w", err)
	}
	return s.apply(pebble.Sync, func(b *pebble.Batch) error { return b.Delete(metaErasing, nil) })
}

// compact writes out what is in memory, and rewrites the tables that overlap the spans, from the
// first level to the last, so that a deleted row meets its deletion and both go.
func compact(ctx context.Context, db *disk.DB, spans []span) error {
	if err := db.Flush(); err != nil {
		return err
	}
	// The first one takes with it what lies in the first level, which overlaps the others.
	if err := db.Compact(ctx, spans[0].from, spans[0].to, len(spans) == 1); err != nil {
		return err
	}
	var each sync.WaitGroup
	errs := make([]error, compactors)
	rest := spans[1:]
	for w := range errs {
		each.Go(func() {
			for _, one := range rest[w*len(rest)/compactors : (w+1)*len(rest)/compactors] {
				if errs[w] = db.Compact(ctx, one.from, one.to, false); errs[w] != nil {
					return
				}
			}
		})
	}
	each.Wait()
	return errors.Join(errs...)
}

// compactors is how many spans are compacted at once: as many as the database does.
const compactors = 2

// reopen closes the database and opens it anew.
func (s *Store) reopen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return errClosed
	}
	err := s.db.Close()
	s.db = nil
	if err != nil {
		return err
	}
	s.db, err = s.openDB()
	return err
}
