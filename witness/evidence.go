package witness

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// evidenceIDs are those of what is on the shelf, in order. A person may take a file away,
// or add one, while the witness runs: it is noticed at the next start.
type evidenceIDs struct {
	mu  sync.Mutex
	ids []string // a slice that was handed out is never written to
}

func (e *evidenceIDs) add(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if i, known := slices.BinarySearch(e.ids, id); !known {
		e.ids = slices.Insert(slices.Clone(e.ids), i, id)
	}
}

// page is those behind one, at most limit, and whether there are more. It is read only.
func (e *evidenceIDs) page(after string, limit int) (ids []string, more bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	i, found := slices.BinarySearch(e.ids, after)
	if found {
		i++
	}
	rest := e.ids[i:]
	return rest[:min(limit, len(rest))], len(rest) > limit
}

// indexEvidence brings the state's rows of evidence to what is on the shelf: only a file
// that has no row is read, as after a crash, or where a person put it there.
func (w *Witness) indexEvidence() error {
	ids, err := w.evidence.IDs()
	if err != nil {
		return err
	}
	unread := make(map[string]bool, len(ids))
	for _, id := range ids {
		unread[id] = true
	}
	err = w.state.evidence("", func(origin, id string, _ []proof.Tree) error {
		if unread[id] {
			delete(unread, id)
			return nil
		}
		return w.state.db.Delete(evidenceKey(origin, id), pebble.NoSync) // the file was taken away
	})
	if err != nil {
		return fmt.Errorf("reading what the state knows of evidence: %w", err)
	}
	for _, id := range ids {
		if !unread[id] {
			continue
		}
		k, err := w.evidence.Load(id)
		if err == nil {
			err = w.state.charge(k.Evidence.Origin(), id, k.trees())
		}
		if err != nil {
			return err
		}
	}
	w.evidenceIndex.ids = ids
	return nil
}

func evidenceKey(origin, id string) []byte {
	raw, err := hex.DecodeString(id)
	if err != nil {
		panic(err) // isEvidenceID has read it
	}
	return append(stateKey(keyEvidence, origin), raw...)
}

// charge notes which trees stand in evidence on the shelf. It may be lost.
func (s *state) charge(origin, id string, trees []proof.Tree) error {
	var row []byte
	for _, t := range trees {
		row = append(binary.BigEndian.AppendUint64(row, t.Size), t.Root[:]...)
	}
	return s.db.Set(evidenceKey(origin, id), row, pebble.NoSync)
}

// evidence visits the rows of evidence against one log, or all logs.
func (s *state) evidence(origin string, visit func(origin, id string, trees []proof.Tree) error) error {
	lower, upper := []byte{keyEvidence}, []byte{keyEvidence + 1}
	if origin != "" {
		lower = stateKey(keyEvidence, origin)
		upper = append(lower[:len(lower)-1:len(lower)-1], 1)
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		of, id, _ := bytes.Cut(it.Key()[1:], []byte{0})
		var trees []proof.Tree
		for row := it.Value(); len(row) >= 8+len(proof.Hash{}); row = row[8+len(proof.Hash{}):] {
			trees = append(trees, proof.Tree{Size: binary.BigEndian.Uint64(row), Root: proof.Hash(row[8 : 8+len(proof.Hash{})])})
		}
		if err := visit(string(of), hex.EncodeToString(id), trees); err != nil {
			return err
		}
	}
	return it.Error()
}
