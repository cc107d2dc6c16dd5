package witness

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// EvidenceStore is the directory on which a witness keeps evidence: ID.split-view is what
// was found, ID.acknowledged beside it what a person decided. They are plain files,
// so that a person can look, copy and decide while the witness runs: it takes notice
// of an acknowledgement by the next request or round.
type EvidenceStore struct {
	fs  vfs.FS
	dir string
}

const acknowledgedSuffix = ".acknowledged"

// ErrNoSuchEvidence: nothing of that ID is on the shelf.
var ErrNoSuchEvidence = errors.New("no such evidence")

// StoredEvidence is one piece of evidence on the shelf. It verified under the log's keys when
// it was put there.
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
	if err := makeDir(fs, dir); err != nil {
		return nil, fmt.Errorf("opening the evidence in %s: %w", dir, err)
	}
	return &EvidenceStore{fs: fs, dir: dir}, nil
}

// IDs are those of everything on the shelf, in order. No file is read.
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

// List reads everything on the shelf, by ID: for whoever wants to see all of it, however
// much there is.
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

// Acknowledgement is what a person decided about one piece, nil if nobody has.
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

// write makes a file appear whole, or not at all.
func (s *EvidenceStore) write(name string, data []byte) error {
	if err := s.writeAtomically(name, data); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

func (s *EvidenceStore) writeAtomically(name string, data []byte) error {
	part := s.fs.PathJoin(s.dir, name+".part")
	f, err := s.fs.Create(part, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := s.fs.Rename(part, s.fs.PathJoin(s.dir, name)); err != nil {
		return err
	}
	return syncDir(s.fs, s.dir)
}

func (s *EvidenceStore) read(name string) ([]byte, error) {
	f, err := s.fs.Open(s.fs.PathJoin(s.dir, name))
	if err != nil {
		return nil, fmt.Errorf("reading evidence: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
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
