// Package auditors keeps, for a ledger, the newest cosignature of each auditor that is
// named: by which a reader learns who judged every entry up to where.
//
// It takes a cosignature on any checkpoint that the ledger published once, and only of
// auditors that are named. It promises that what it has taken is durable and verified,
// and that the newest of an auditor is replaced by a newer one only. It counts to no
// quorum, holds nothing up, and asks nobody: callers bring the notes.
//
//	DIR/<SHA-256 of the vkey>.checkpoint    the note, with the auditor's cosignature
package auditors

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Named is an auditor whose cosignatures are taken.
type Named struct {
	Key       proof.Key
	URL       string // prefix at which it shows what it cosigned last (tlog-witness, "Monitor Retrieval Mechanism"); "" if it brings that itself
	Statement string // what its cosignature states, as it says; "" if it says nothing
	By        string // who names it: record ID of its assessment, or "" for the operator
}

// Word is an auditor's newest cosignature.
type Word struct {
	Named
	Published *proof.Published // the checkpoint; its note has the cosignature
	At        time.Time        // of the cosignature, by the auditor's clock
}

// Config is what Words stand on.
type Config struct {
	Files vfs.FS
	Dir   string

	// Named are those whose cosignatures are taken, as of now.
	Named func() ([]Named, error)

	// Checkpoint is the ledger's own checkpoint that a note is of, as it was published.
	Checkpoint func(ctx context.Context, note []byte) (*proof.Published, error)

	Log *slog.Logger // nil discards
}

// Words are the newest cosignatures of all auditors. It is safe for concurrent use.
type Words struct {
	config Config

	mu     sync.Mutex       // guards what follows, and the files while one is written
	newest map[string]*Word // by vkey; nil: there is no file, or none that counts
}

// New keeps them in a directory, which is made when the first comes.
func New(c Config) *Words {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Words{config: c, newest: make(map[string]*Word)}
}

var (
	// ErrMalformed: what came is no signed checkpoint.
	ErrMalformed = errors.New("no signed checkpoint")

	// ErrNotNamed: no auditor that is named has cosigned it.
	ErrNotNamed = errors.New("no auditor that this ledger names has cosigned it")

	// ErrOtherRole: the key, or its name, is somebody else's: a log's or a witness's of the policy, a party's.
	ErrOtherRole = errors.New("an auditor cosigns by a key, and under a name, of its own")
)

// Take takes a note with the cosignatures of auditors, and returns what is the newest of
// each of them then; taken tells whether one is new. Other errors than those above: a
// cosignature does not verify ([proof.SignatureError], [proof.ErrNotCosigned]), the
// checkpoint is not the ledger's (as Checkpoint says), or what is to be kept was not written.
func (w *Words) Take(ctx context.Context, note []byte) (words []*Word, taken bool, err error) {
	signers, err := w.signers(note)
	if err != nil {
		return nil, false, err
	}
	if len(signers) == 0 {
		return nil, false, ErrNotNamed
	}
	published, err := w.config.Checkpoint(ctx, note)
	if err != nil {
		return nil, false, err
	}
	var other error
	for _, by := range signers {
		if role := published.Policy().InRole(by.Key); role != "" { // as a witness it may have cosigned beside an auditor
			other = fmt.Errorf("%w: %s is of the %s", ErrOtherRole, by.Key.Label(), role)
			continue
		}
		next, err := makeWord(by, published, note)
		if err != nil {
			return nil, false, err
		}
		newest, replaced, err := w.keep(ctx, next)
		if err != nil {
			return nil, false, err
		}
		words, taken = append(words, newest), taken || replaced
	}
	if len(words) == 0 {
		return nil, false, other
	}
	return words, taken, nil
}

// signers are the named auditors of whom the note has a signature line.
func (w *Words) signers(note []byte) (signers []Named, err error) {
	_, lines, err := proof.ParseCheckpoint(note)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	named, err := w.config.Named()
	if err != nil {
		return nil, err
	}
	for _, n := range named {
		for _, s := range lines {
			if s.Name == n.Key.Name() && s.ID == n.Key.ID() {
				signers = append(signers, n)
				break
			}
		}
	}
	return signers, nil
}

// makeWord verifies the cosignature, and leaves out what others may have added to the note.
func makeWord(by Named, published *proof.Published, note []byte) (*Word, error) {
	now := time.Now()
	at, err := proof.CosignedBy(note, by.Key, now)
	if err != nil {
		return nil, err
	}
	text, err := published.WithCosignatureOf(by.Key, note)
	if err != nil {
		return nil, err
	}
	with, err := published.Policy().Verify(text, now.Add(proof.MaxClockSkew))
	if err != nil {
		return nil, err
	}
	return &Word{Named: by, Published: with, At: at}, nil
}

// keep makes a word the newest of its auditor, if it is, durably.
func (w *Words) keep(ctx context.Context, next *Word) (newest *Word, replaced bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := w.load(ctx, next.Named)
	if last != nil && cmp.Or(cmp.Compare(next.Published.Checkpoint().Size, last.Published.Checkpoint().Size), next.At.Compare(last.At)) <= 0 {
		return last, false, nil
	}
	if err := disk.MakeDir(w.config.Files, w.config.Dir, 0o755); err != nil {
		return nil, false, fmt.Errorf("making %s: %w", w.config.Dir, err)
	}
	if err := disk.WriteFile(w.config.Files, w.file(next.Key), next.Published.Note(), 0o644, disk.SyncNow); err != nil {
		return nil, false, fmt.Errorf("keeping the cosignature of %s: %w", next.Key.Label(), err)
	}
	w.newest[next.Key.String()] = next
	return next, true, nil
}

// load is the newest of an auditor, read once; nil if there is none. A file that does not
// count is as good as none, since the auditor has it too. mu is held.
func (w *Words) load(ctx context.Context, by Named) *Word {
	vkey := by.Key.String()
	if word, known := w.newest[vkey]; known && word != nil {
		as := *word
		as.Named = by // who names it, and how, may have changed
		return &as
	} else if known {
		return nil
	}
	note, err := disk.ReadFile(w.config.Files, w.file(by.Key))
	var word *Word
	if err == nil {
		var published *proof.Published
		if published, err = w.config.Checkpoint(ctx, note); err == nil {
			word, err = makeWord(by, published, note)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.config.Log.Warn("the kept cosignature of an auditor does not count; it is taken anew when it comes", "auditor", by.Key.Label(), "err", err)
	}
	if ctx.Err() == nil {
		w.newest[vkey] = word
	}
	return word
}

// fileSuffix ends the names of the files.
const fileSuffix = ".checkpoint"

func (w *Words) file(k proof.Key) string {
	sum := sha256.Sum256([]byte(k.String()))
	return w.config.Files.PathJoin(w.config.Dir, hex.EncodeToString(sum[:])+fileSuffix)
}

// Copy copies what is kept in one directory to another, durably, beside what is there of other
// auditors, and returns how many files there are. Nothing is verified: that is done where they
// are read.
func Copy(files vfs.FS, from, to string) (n int, err error) {
	names, err := files.List(from)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	for _, name := range names {
		id, ok := strings.CutSuffix(name, fileSuffix)
		if sum, err := hex.DecodeString(id); !ok || err != nil || len(sum) != sha256.Size {
			continue
		}
		note, err := disk.ReadFile(files, files.PathJoin(from, name))
		if err != nil {
			return n, err
		}
		if err := disk.MakeDir(files, to, 0o755); err != nil {
			return n, fmt.Errorf("making %s: %w", to, err)
		}
		if err := disk.WriteFile(files, files.PathJoin(to, name), note, 0o644, disk.SyncNow); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// All are the named auditors in the order in which they are named, each with its newest word;
// Published is nil where there is none.
func (w *Words) All(ctx context.Context) ([]Word, error) {
	named, err := w.config.Named()
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]Word, len(named))
	for i, n := range named {
		all[i] = Word{Named: n}
		if word := w.load(ctx, n); word != nil {
			all[i] = *word
		}
	}
	return all, nil
}

// Newest is the newest word of the auditor whose key has that label ([proof.Key.Label]); its
// Published is nil if there is none. [ErrNotNamed].
func (w *Words) Newest(ctx context.Context, label string) (Word, error) {
	named, err := w.config.Named()
	if err != nil {
		return Word{}, err
	}
	for _, n := range named {
		if n.Key.Label() != label {
			continue
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if word := w.load(ctx, n); word != nil {
			return *word, nil
		}
		return Word{Named: n}, nil
	}
	return Word{}, ErrNotNamed
}
