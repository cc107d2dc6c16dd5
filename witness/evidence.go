package witness

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

// charge stores which trees are in stored evidence. The write may be lost.
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
		if id, ok := strings.CutSuffix(name, proof.EvidenceSuffix); ok && isEvidenceID(id) {
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
	if !isEvidenceID(id) {
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

func isEvidenceID(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == sha256.Size && s == hex.EncodeToString(raw)
}

// ErrPendingFull: too many checkpoints wait to be compared; hand it in again later.
var ErrPendingFull = errors.New("too many checkpoints of this log wait to be compared; try again later")

// ComparisonResult is what became of a checkpoint that was handed in.
type ComparisonResult string

const (
	Consistent      ComparisonResult = "on the history that this witness cosigned"
	CoveredByLarger ComparisonResult = "what a larger checkpoint begins with, which waits to be compared"
	NotYetCompared  ComparisonResult = "kept, to be compared in the next round"
	AheadOfKnown    ComparisonResult = "larger than all that is known here; kept while there is room"
	Forked          ComparisonResult = "not on one history with other checkpoints; see /v1/evidence"
)

// AddSeenCheckpoint takes a checkpoint that a client or an auditor was shown. It is compared with
// what this witness cosigned at that size at once, and with everything else by the
// next [Witness.Gossip]; or now, if there is no room to wait and it can be compared.
// One that bears a key of this witness and is larger than all that it knows to have
// cosigned is the newest from then on: its state is an old copy, or was lost.
// Errors: [ErrMalformed], [ErrUnknownLog], [ErrUntrusted], [ErrPendingFull],
// [RateError] if there are too many that say nothing new, or have to be compared now.
func (w *Witness) AddSeenCheckpoint(ctx context.Context, note []byte) (ComparisonResult, error) {
	v, signed, err := w.openNote(note)
	if err != nil {
		return "", err
	}
	s := v.servedConfig()
	if s == nil {
		return "", ErrUnknownLog
	}
	if c, err := w.newComparison(v); err != nil {
		return "", err
	} else if err := c.recoverNewest(ctx, []*proof.Signed{signed}); err != nil {
		return "", err
	}
	result, found, err := w.compareOrEnqueue(ctx, v, signed)
	switch {
	case errors.Is(err, ErrPendingFull):
		return w.compareSynchronously(ctx, v, s, signed)
	case err == nil && found == 0 && result != NotYetCompared && result != AheadOfKnown:
		err = allow(s.redundant)
	}
	return result, err
}

// compareOrEnqueue takes a checkpoint that was handed in, without a look at the log. found is how
// much evidence it made.
func (w *Witness) compareOrEnqueue(ctx context.Context, v *logState, signed *proof.Signed) (result ComparisonResult, found int, err error) {
	if err := v.lock(ctx); err != nil {
		return "", 0, err
	}
	defer v.unlock()
	if found, err = w.compareSameSize(v, signed); err != nil {
		return "", found, err
	}
	t := signed.Checkpoint().Tree()
	switch {
	case t.Size == 0 && t.Root == proof.EmptyRoot(), w.knownConsistent(v, t):
		return Consistent, found, nil
	case v.evidenceID(t) != "":
		return Forked, found, nil
	case !w.addPending(v, signed, fromClient):
		return "", found, ErrPendingFull
	case t.Size > v.maxComparable():
		return AheadOfKnown, found, nil
	}
	return NotYetCompared, found, nil
}

// compareTimeout is how long a client waits for a comparison.
const compareTimeout = 10 * time.Second

// compareSynchronously compares a client's checkpoint for which there is no space to
// wait, while the client waits. If it is larger than maxComparable, the log is asked
// for its newest checkpoint first. A checkpoint larger than ours that cannot be
// compared yet replaces a larger pending one.
func (w *Witness) compareSynchronously(ctx context.Context, v *logState, s *logConfig, signed *proof.Signed) (ComparisonResult, error) {
	ctx, cancel := context.WithTimeout(ctx, compareTimeout)
	defer cancel()
	c, err := w.newComparison(v)
	if err != nil {
		return "", err
	}
	t := signed.Checkpoint().Tree()
	if t.Size > v.maxComparable() && allow(s.sourceFetches) == nil {
		if _, err := c.addObserved(ctx, c.fetchFromSources(ctx)); err != nil && !canceled(err) {
			return "", err
		}
		if err := c.findLargestConsistent(ctx); err != nil && !canceled(err) {
			return "", err
		}
	}
	result := AheadOfKnown
	if t.Size <= v.maxComparable() {
		if err := allow(s.comparisons); err != nil {
			return "", err
		}
		if result, err = c.compareTree(ctx, noteAndTree{t, signed.Note()}); canceled(err) {
			result, err = NotYetCompared, nil
		}
	}
	switch {
	case result != AheadOfKnown && result != NotYetCompared:
		return result, err
	case t.Size > c.ours.tree.Size && w.replaceLargestPending(v, signed):
		return result, nil
	}
	v.countDropped()
	return "", ErrPendingFull
}

// AcceptEvidence judges evidence from elsewhere under the keys of the log, keeps it and
// halts the log. isNew is false if it was covered already. Errors: [ErrUnknownLog], it
// is no evidence, or [RateError] if there is too much that says nothing new.
func (w *Witness) AcceptEvidence(ctx context.Context, e proof.Evidence) (id string, isNew bool, err error) {
	if err := e.CheckSameLog(); err != nil {
		return "", false, err // its checkpoints are not of one log
	}
	v := w.logState(e.Origin())
	if v == nil {
		return "", false, ErrUnknownLog
	}
	if err := v.lock(ctx); err != nil {
		return "", false, err
	}
	defer v.unlock()
	if id, isNew, err = w.haltWithEvidence(v, e); isNew {
		return id, isNew, err
	}
	if s := v.servedConfig(); s != nil {
		err = cmp.Or(allow(s.redundant), err)
	}
	return id, isNew, err
}

// haltWithEvidence keeps evidence, if it verifies, and halts the log. What is stored
// has the log's own signatures alone, so that added lines make no second piece of it.
// updateLock is held, so that nothing is signed meanwhile.
func (w *Witness) haltWithEvidence(v *logState, e proof.Evidence) (id string, isNew bool, err error) {
	s := v.servedConfig()
	if s == nil {
		return "", false, ErrUnknownLog
	}
	view, err := e.Verify(s.Keys...)
	if err != nil {
		return "", false, err
	}
	if e, err = withoutOtherSignatures(view, e.Nodes); err != nil {
		return "", false, err
	}
	if known := w.knownEvidenceID(v, viewTrees(view)); known != "" {
		return known, false, nil
	}
	// Stop first: should the disk fail, nothing is signed all the same.
	v.halted.Store(true)
	if id, err = w.evidence.add(e); err != nil {
		return "", true, w.markBroken(err)
	}
	v.addEvidence(id, viewTrees(view)...)
	w.evidenceIndex.add(id)
	w.log.Error("this log signed two histories; it is halted until a person acknowledges the evidence",
		"origin", v.origin, "evidence", id, "finding", view.String())
	w.metrics.countEvidence(v.origin)
	// What it shows of the log stays: no checkpoint comes that would take it along.
	if err := errors.Join(w.state.charge(v.origin, id, viewTrees(view)), w.state.putCosignatures(v.origin, v.lastCosignatures.Load(), true)); err != nil {
		return id, true, w.markBroken(fmt.Errorf("keeping what is held against %s: %w", v.origin, err))
	}
	return id, true, nil
}

// withoutOtherSignatures is the same evidence without signatures of others.
func withoutOtherSignatures(view *proof.SplitView, nodes []proof.Hash) (proof.Evidence, error) {
	var second []byte
	if view.Second() != nil {
		second = view.Second().WithoutCosignatures()
	}
	return proof.NewEvidence(view.First().WithoutCosignatures(), second, nodes...)
}

func viewTrees(view *proof.SplitView) []proof.Tree {
	t := []proof.Tree{view.First().Checkpoint().Tree()}
	if view.Second() != nil {
		t = append(t, view.Second().Checkpoint().Tree())
	}
	return t
}

// knownEvidenceID returns the ID of stored evidence that already covers these trees:
// one of them is in it and was not cosigned here. Otherwise each honest step of a log
// with an acknowledged fork would halt it again. A further step of the fork is new when
// it conflicts with a tree cosigned here.
func (w *Witness) knownEvidenceID(v *logState, shown []proof.Tree) (id string) {
	for _, t := range shown {
		if known := v.evidenceID(t); known != "" && !w.hasCosigned(v, t) {
			return known
		}
	}
	for _, t := range shown {
		if v.evidenceID(t) == "" {
			return v.cappedEvidenceID()
		}
	}
	return v.evidenceID(shown[0])
}

// hasCosigned tells whether the witness has cosigned, or was about to cosign, that
// tree. A tree so old that it was forgotten is not on it.
func (w *Witness) hasCosigned(v *logState, t proof.Tree) bool {
	note, err := w.state.checkpointAt(v.origin, t.Size)
	if err != nil || note == nil {
		return false
	}
	cp, _, err := proof.ParseCheckpoint(note)
	return err == nil && cp.Tree() == t
}

// knownConsistent tells whether a tree is known to be on the history that the witness
// cosigned.
func (w *Witness) knownConsistent(v *logState, t proof.Tree) bool {
	return v.hasConsistent(t) || w.hasCosigned(v, t)
}

// isHalted reports whether a log is halted. An acknowledgement is a file that an
// operator adds, so it is looked for whenever it would make a difference.
func (w *Witness) isHalted(v *logState) bool {
	if !v.halted.Load() {
		return false
	}
	for _, id := range v.evidenceIDs() {
		decided, err := w.evidence.Acknowledgement(id)
		if err != nil {
			w.log.Error("an acknowledgement cannot be read; the log stays halted", "origin", v.origin, "evidence", id, "err", err)
		}
		if decided == nil {
			return true
		}
	}
	w.log.Warn("all evidence against this log is acknowledged; it is served again", "origin", v.origin)
	v.halted.Store(false)
	return false
}

// noticeAcknowledgement looks for one at each round: a log that nobody asks to be cosigned
// would be called halted in the metrics for ever.
func (w *Witness) noticeAcknowledgement(ctx context.Context, v *logState) {
	if !v.halted.Load() || v.lock(ctx) != nil {
		return
	}
	defer v.unlock()
	w.isHalted(v)
}

// compareSameSize looks for evidence that needs no more than what is at hand: an empty
// tree with a wrong root, or another tree of the same size. found is how much of it was
// new. An error means that the state could not be read or written. updateLock is held.
func (w *Witness) compareSameSize(v *logState, signed *proof.Signed) (found int, err error) {
	cp := signed.Checkpoint()
	if cp.Size == 0 {
		if cp.Root != proof.EmptyRoot() {
			return w.haltWithNotes(v, signed.Note(), nil)
		}
		return 0, nil
	}
	conflicting := v.conflicting(cp.Tree())
	var ours []byte
	if cp.Size <= v.newestSize.Load() { // of what is larger nothing was cosigned
		if ours, err = w.state.checkpointAt(v.origin, cp.Size); err != nil {
			return 0, fmt.Errorf("reading the checkpoint of %s at %d: %w", v.origin, cp.Size, err)
		}
	}
	if ours != nil && !w.hasCosigned(v, cp.Tree()) {
		conflicting = append(conflicting, ours)
	}
	for _, other := range conflicting {
		n, err := w.haltWithNotes(v, signed.Note(), other)
		if err != nil {
			return found, err
		}
		found += n
	}
	return found, nil
}

// haltWithNotes makes evidence of one or two notes of which the signatures were verified,
// and convicts. If the keys have left the list since, it is nothing.
func (w *Witness) haltWithNotes(v *logState, a, b []byte) (found int, err error) {
	e, err := proof.NewEvidence(a, b)
	if err != nil {
		return 0, fmt.Errorf("making evidence: %w", err)
	}
	_, isNew, err := w.haltWithEvidence(v, e)
	var unsigned *proof.LogSignatureError
	switch {
	case errors.As(err, &unsigned), errors.Is(err, ErrUnknownLog):
		return 0, nil
	case err == nil && isNew:
		return 1, nil
	}
	return 0, err
}

// logAnomaly notes what is odd and proves nothing: it is logged and counted, never
// passed on, and halts nothing.
func (w *Witness) logAnomaly(origin, what string, err error) {
	w.log.Warn("suspicion: "+what, "origin", origin, "err", err)
	w.metrics.countAnomaly(origin)
}
