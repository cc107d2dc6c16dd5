package gossip

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// evidenceIDs are the IDs of all stored evidence, in order. An operator may remove or
// add a file while the witness runs: it is noticed at the next start.
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

// indexEvidence updates the state's rows of evidence to the files of the
// [EvidenceStore]: only a file that has no row is read, as after a crash, or where an
// operator put it there.
func (g *Gossip) indexEvidence() error {
	ids, err := g.store.IDs()
	if err != nil {
		return err
	}
	unread := make(map[string]bool, len(ids))
	for _, id := range ids {
		unread[id] = true
	}
	err = g.evidenceRows("", func(origin, id string, _ []proof.Tree) error {
		if unread[id] {
			delete(unread, id)
			return nil
		}
		return g.db.Delete(evidenceKey(origin, id), pebble.NoSync) // the file was taken away
	})
	if err != nil {
		return fmt.Errorf("reading what the state knows of evidence: %w", err)
	}
	for _, id := range ids {
		if !unread[id] {
			continue
		}
		k, err := g.store.Load(id)
		if err == nil {
			err = g.putEvidenceRow(k.Evidence.Origin(), id, k.trees())
		}
		if err != nil {
			return err
		}
	}
	g.index.ids = ids
	return nil
}

// keyEvidence begins the rows of evidence: its ID → the trees in it.
const keyEvidence = 'e'

func evidenceKey(origin, id string) []byte {
	raw, err := hex.DecodeString(id)
	if err != nil {
		panic(err) // IsEvidenceID has read it
	}
	return append(rowKey(keyEvidence, origin), raw...)
}

// putEvidenceRow stores which trees are in stored evidence. The write may be lost.
func (g *Gossip) putEvidenceRow(origin, id string, trees []proof.Tree) error {
	var row []byte
	for _, t := range trees {
		row = append(binary.BigEndian.AppendUint64(row, t.Size), t.Root[:]...)
	}
	return g.db.Set(evidenceKey(origin, id), row, pebble.NoSync)
}

// evidenceRows visits the rows of evidence against one log, or all logs.
func (g *Gossip) evidenceRows(origin string, visit func(origin, id string, trees []proof.Tree) error) error {
	lower := []byte{keyEvidence}
	if origin != "" {
		lower = rowKey(keyEvidence, origin)
	}
	it, err := g.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: rowsEnd(lower)})
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

// EvidenceStore is the directory of a witness's evidence: ID.split-view is the
// evidence, ID.acknowledged beside it an operator's decision. They are plain files, so
// an operator can read, copy and decide while the witness runs; it reads an
// acknowledgement at the next request or round.
type EvidenceStore struct {
	fs  vfs.FS
	dir string
}

const acknowledgedSuffix = ".acknowledged"

// ErrNoSuchEvidence: no stored evidence has that ID.
var ErrNoSuchEvidence = errors.New("no such evidence")

// StoredEvidence is one piece of stored evidence. It verified under the log's keys when
// it was stored.
type StoredEvidence struct {
	ID           string // lower-case hex SHA-256 of File
	File         []byte // as proof.ParseEvidence reads it
	Evidence     proof.Evidence
	Acknowledged *Acknowledgement // nil: the log is halted
}

// Acknowledgement is what a person decided: the witness may go on with the log.
type Acknowledgement struct {
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// trees are those of its checkpoints.
func (k StoredEvidence) trees() (trees []proof.Tree) {
	for _, note := range [][]byte{k.Evidence.First, k.Evidence.Second} {
		if note == nil {
			continue
		}
		if cp, _, err := proof.ParseCheckpoint(note); err == nil {
			trees = append(trees, cp.Tree())
		}
	}
	return trees
}

// OpenEvidenceStore opens the directory, and makes it if there is none. Several may have it
// open.
func OpenEvidenceStore(fs vfs.FS, dir string) (*EvidenceStore, error) {
	if err := disk.MakeDir(fs, dir, 0o755); err != nil {
		return nil, fmt.Errorf("opening the evidence in %s: %w", dir, err)
	}
	return &EvidenceStore{fs: fs, dir: dir}, nil
}

// IDs returns the IDs of all stored evidence, in order. No file is read.
func (s *EvidenceStore) IDs() ([]string, error) {
	names, err := s.fs.List(s.dir)
	if err != nil {
		return nil, fmt.Errorf("listing evidence: %w", err)
	}
	var ids []string
	for _, name := range names {
		if id, ok := strings.CutSuffix(name, proof.EvidenceSuffix); ok && IsEvidenceID(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// List reads all stored evidence, by ID, however much there is.
func (s *EvidenceStore) List() ([]StoredEvidence, error) {
	ids, err := s.IDs()
	if err != nil {
		return nil, err
	}
	var all []StoredEvidence
	for _, id := range ids {
		k, err := s.Load(id)
		if err != nil {
			return nil, err
		}
		all = append(all, k)
	}
	return all, nil
}

// Load reads one piece. Errors: [ErrNoSuchEvidence], or the file was damaged.
func (s *EvidenceStore) Load(id string) (StoredEvidence, error) {
	if !IsEvidenceID(id) {
		return StoredEvidence{}, fmt.Errorf("%w: %.80q is not 64 lower-case hex digits", ErrNoSuchEvidence, id)
	}
	file, err := s.read(id + proof.EvidenceSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return StoredEvidence{}, fmt.Errorf("%w: %s", ErrNoSuchEvidence, id)
	}
	if err != nil {
		return StoredEvidence{}, err
	}
	if evidenceIDOf(file) != id {
		return StoredEvidence{}, fmt.Errorf("evidence %s: the file was altered: its SHA-256 is %s", id, evidenceIDOf(file))
	}
	e, err := proof.ParseEvidence(file)
	if err != nil {
		return StoredEvidence{}, fmt.Errorf("evidence %s: %w", id, err)
	}
	k := StoredEvidence{ID: id, File: file, Evidence: e}
	k.Acknowledged, err = s.Acknowledgement(id)
	return k, err
}

// Acknowledge notes what a person decided about one piece of evidence, durably. When
// all that is held against a log is acknowledged, the witness goes on with it, on
// the history that it cosigned before. By and Reason are needed; At is now if zero.
func (s *EvidenceStore) Acknowledge(id string, a Acknowledgement) error {
	k, err := s.Load(id)
	switch {
	case err != nil:
		return err
	case k.Acknowledged != nil:
		return fmt.Errorf("evidence %s was acknowledged by %s at %s", id, k.Acknowledged.By, k.Acknowledged.At.Format(time.RFC3339))
	case strings.TrimSpace(a.By) == "" || strings.TrimSpace(a.Reason) == "":
		return errors.New("acknowledging evidence: say who decides, and why")
	}
	if a.At.IsZero() {
		a.At = time.Now().UTC().Truncate(time.Second)
	}
	text, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("acknowledging evidence: %w", err)
	}
	return s.write(id+acknowledgedSuffix, append(text, '\n'))
}

// Acknowledgement is what an operator decided about one piece, nil if none has.
func (s *EvidenceStore) Acknowledgement(id string) (*Acknowledgement, error) {
	text, err := s.read(id + acknowledgedSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var a Acknowledgement
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, fmt.Errorf("acknowledgement of evidence %s: %w", id, err)
	}
	return &a, nil
}

// add keeps a piece of evidence durably.
func (s *EvidenceStore) add(e proof.Evidence) (id string, err error) {
	file, err := e.Format()
	if err != nil {
		return "", err
	}
	id = evidenceIDOf(file)
	return id, s.write(id+proof.EvidenceSuffix, file)
}

func (s *EvidenceStore) write(name string, data []byte) error {
	return disk.WriteFile(s.fs, s.fs.PathJoin(s.dir, name), data, 0o644, disk.SyncNow)
}

func (s *EvidenceStore) read(name string) ([]byte, error) {
	data, err := disk.ReadFile(s.fs, s.fs.PathJoin(s.dir, name))
	if err != nil {
		return nil, fmt.Errorf("reading evidence: %w", err)
	}
	return data, nil
}

func evidenceIDOf(file []byte) string {
	sum := sha256.Sum256(file)
	return hex.EncodeToString(sum[:])
}

// IsEvidenceID tells whether a text is an ID of evidence: 64 lower-case hexadecimal digits.
func IsEvidenceID(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == sha256.Size && s == hex.EncodeToString(raw)
}

// Evidence is the store of the evidence that there is.
func (g *Gossip) Evidence() *EvidenceStore { return g.store }

// EvidenceIDs are the IDs of stored evidence behind one, in order and at most limit, and
// whether there are more. No file is read.
func (g *Gossip) EvidenceIDs(after string, limit int) (ids []string, more bool) {
	return g.index.page(after, limit)
}

// AcceptEvidence judges evidence from elsewhere under the keys of the log, keeps it and
// halts the log. isNew is false if it was covered already. Errors: it is no evidence, or
// [RateError] if there is too much that says nothing new.
func (l *Log) AcceptEvidence(ctx context.Context, e proof.Evidence) (id string, isNew bool, err error) {
	view, err := e.Verify(l.history.Keys()...) // before the Lock: no flood of it queues before the log
	if err == nil {
		if err := l.history.Lock(ctx); err != nil {
			return "", false, err
		}
		defer l.history.Unlock()
		id, isNew, err = l.haltBy(view, e.Nodes)
	}
	if !isNew {
		err = cmp.Or(Allow(l.redundant), err)
	}
	return id, isNew, err
}

// Compare looks for evidence that needs no more than what is at hand: an empty tree with a
// wrong root, or another tree of the same size. found is how much of it was new; then the
// log is halted. An error means that the state could not be read or written. The caller
// holds the history's Lock, so that nothing is signed meanwhile.
func (l *Log) Compare(s *proof.Signed) (found int, err error) {
	t := s.Checkpoint().Tree()
	if t.Size == 0 {
		if t.Root == proof.EmptyRoot() {
			return 0, nil
		}
		return l.haltWith(s.Note(), nil)
	}
	conflicting := l.conflicting(t)
	if t.Size <= l.history.NewestSize() { // of what is larger nothing was cosigned
		ours, err := l.cosignedAt(t.Size)
		if err != nil {
			return 0, fmt.Errorf("reading the checkpoint of %s at %d: %w", l.origin, t.Size, err)
		}
		if ours.note != nil && ours.tree != t {
			conflicting = append(conflicting, ours)
		}
	}
	for _, other := range conflicting {
		n, err := l.haltWith(s.Note(), other.note)
		if err != nil {
			return found, err
		}
		found += n
	}
	return found, nil
}

// haltWith makes evidence of one or two notes of which the signatures were verified, and
// halts the log. If the keys have left the list since, it is nothing.
func (l *Log) haltWith(a, b []byte) (found int, err error) {
	e, err := proof.NewEvidence(a, b)
	if err != nil {
		return 0, fmt.Errorf("making evidence: %w", err)
	}
	_, isNew, err := l.halt(e)
	if unsigned := new(proof.LogSignatureError); errors.As(err, &unsigned) {
		return 0, nil
	}
	if err == nil && isNew {
		found = 1
	}
	return found, err
}

// halt keeps evidence, if it verifies, and halts the log. The history's Lock is held.
func (l *Log) halt(e proof.Evidence) (id string, isNew bool, err error) {
	view, err := e.Verify(l.history.Keys()...)
	if err != nil {
		return "", false, err
	}
	return l.haltBy(view, e.Nodes)
}

// haltBy keeps evidence that was verified, and halts the log. What is stored has the log's own
// signatures alone, so that added lines make no second piece of it. The history's Lock is
// held.
func (l *Log) haltBy(view *proof.SplitView, nodes []proof.Hash) (id string, isNew bool, err error) {
	first, second, trees := view.First().WithoutCosignatures(), []byte(nil), []proof.Tree{view.First().Checkpoint().Tree()}
	if view.Second() != nil {
		second, trees = view.Second().WithoutCosignatures(), append(trees, view.Second().Checkpoint().Tree())
	}
	e, err := proof.NewEvidence(first, second, nodes...)
	if err != nil {
		return "", false, err
	}
	if known := l.covering(trees); known != "" {
		return known, false, nil
	}
	// Stop first: should the disk fail, nothing is signed all the same.
	l.halted.Store(true)
	if id, err = l.g.store.add(e); err != nil {
		return "", true, l.g.cfg.Broken(err)
	}
	l.addEvidence(id, trees)
	l.g.index.add(id)
	l.g.cfg.Log.Error("this log signed two histories; it is halted until a person acknowledges the evidence",
		"origin", l.origin, "evidence", id, "finding", view.String())
	l.g.cfg.Evidence(l.origin)
	// What it shows of the log stays: no checkpoint comes that would take it along.
	if err := errors.Join(l.g.putEvidenceRow(l.origin, id, trees), l.history.Sync()); err != nil {
		return id, true, l.g.cfg.Broken(fmt.Errorf("keeping what is held against %s: %w", l.origin, err))
	}
	return id, true, nil
}

// covering returns the ID of stored evidence that already covers these trees: one of them
// is in it and was not cosigned here. Otherwise each honest step of a log with an
// acknowledged fork would halt it again. A further step of the fork is new when it
// conflicts with a tree cosigned here, up to maxEvidenceTrees trees while the log is
// halted: without that a log could make the witness store evidence without limit.
func (l *Log) covering(trees []proof.Tree) (id string) {
	inEvidence := make([]string, len(trees))
	for i, t := range trees {
		if inEvidence[i] = l.evidenceID(t); inEvidence[i] != "" && !l.hasCosigned(t) {
			return inEvidence[i]
		}
	}
	if !slices.Contains(inEvidence, "") {
		return inEvidence[0]
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.evidence) >= maxEvidenceTrees && l.halted.Load() {
		for _, id := range l.evidence {
			return id
		}
	}
	return ""
}

// Halted tells whether evidence against the log was not acknowledged, as far as was looked.
func (l *Log) Halted() bool { return l.halted.Load() }

// StillHalted looks for acknowledgements too. One is a file that an operator adds, so it is
// looked for whenever it would make a difference. The caller holds the history's Lock.
func (l *Log) StillHalted() bool {
	if !l.halted.Load() {
		return false
	}
	for _, id := range l.evidenceIDs() {
		decided, err := l.g.store.Acknowledgement(id)
		if err != nil {
			l.g.cfg.Log.Error("an acknowledgement cannot be read; the log stays halted", "origin", l.origin, "evidence", id, "err", err)
		}
		if decided == nil {
			return true
		}
	}
	l.g.cfg.Log.Warn("all evidence against this log is acknowledged; it is served again", "origin", l.origin)
	l.halted.Store(false)
	return false
}

// noticeAcknowledgement looks for one at each round: a log that nobody asks to be cosigned
// would be called halted in the metrics for ever.
func (l *Log) noticeAcknowledgement(ctx context.Context) {
	if !l.halted.Load() || l.history.Lock(ctx) != nil {
		return
	}
	defer l.history.Unlock()
	l.StillHalted()
}
