package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/server"
)

// WithheldFile is where a ledger's directory says which entries are withheld, by whom, since
// when and why. It is no part of the log: whoever serves the same log elsewhere decides by
// himself.
const WithheldFile = "withheld.json"

// What the file may hold: serve keeps it in memory, and looks it up with every request.
const (
	MaxWithheld      = 4096
	MaxWithheldWords = 1000 // bytes of a reason, and of an order
)

// Withheld is one entry that is withheld.
type Withheld struct {
	server.Withheld
	By string `json:"by"` // who said so, on this machine; not served
}

// withheldList is the file.
type withheldList struct {
	Format   int        `json:"docketWithheld"`
	Withheld []Withheld `json:"withheld"` // by index
}

const withheldFormat = 1

var (
	// ErrWithheldAlready: the entry is withheld, for the reason that the error says.
	ErrWithheldAlready = errors.New("is withheld already")

	// ErrNotWithheld: the entry is not withheld.
	ErrNotWithheld = errors.New("is not withheld")

	// ErrWithheldDamaged: the file cannot be read. What is withheld is not known then, and
	// nothing is served.
	ErrWithheldDamaged = errors.New("what is withheld cannot be read")
)

// CheckWithheldWords refuses a reason or an order that is not one line of plain text.
func CheckWithheldWords(text string) error {
	switch {
	case len(text) > MaxWithheldWords:
		return fmt.Errorf("%d bytes, limit %d", len(text), MaxWithheldWords)
	case strings.TrimSpace(text) == "":
		return errors.New("no words")
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return errors.New("want one line of plain text")
	}
	return nil
}

// ReadWithheld reads what is withheld in a directory, by index; nothing where there is no
// file. [ErrWithheldDamaged].
func ReadWithheld(files vfs.FS, dir string) ([]Withheld, error) {
	text, err := disk.ReadFile(files, files.PathJoin(dir, WithheldFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrWithheldDamaged, err)
	}
	list, err := parseWithheld(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrWithheldDamaged, files.PathJoin(dir, WithheldFile), err)
	}
	return list, nil
}

// CopyWithheld copies what is withheld in one directory to another, and returns how many
// entries that are; without a file nothing is copied. [ErrWithheldDamaged].
func CopyWithheld(files vfs.FS, from, to string) (n int, err error) {
	list, err := ReadWithheld(files, from)
	if err != nil || list == nil {
		return 0, err
	}
	return len(list), writeWithheld(files, to, list)
}

func parseWithheld(text []byte) ([]Withheld, error) {
	var list withheldList
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&list); err != nil {
		return nil, err
	}
	switch {
	case list.Format > withheldFormat:
		return nil, fmt.Errorf("format %d is of a later version of docket: upgrade docket", list.Format)
	case list.Format != withheldFormat:
		return nil, errors.New("docketWithheld is missing: this is something else")
	case len(list.Withheld) > MaxWithheld:
		return nil, fmt.Errorf("%d entries, limit %d", len(list.Withheld), MaxWithheld)
	}
	for i, w := range list.Withheld {
		if i > 0 && w.Index <= list.Withheld[i-1].Index {
			return nil, fmt.Errorf("entry %d after entry %d", w.Index, list.Withheld[i-1].Index)
		}
		if w.Thread == "" || w.Kind == "" || CheckWithheldWords(w.Reason) != nil {
			return nil, fmt.Errorf("entry %d: its kind, its thread or the reason is missing", w.Index)
		}
	}
	return list.Withheld, nil
}

// Withhold withholds one more entry, durably: whatever serves the directory stops serving it
// then. [ErrWithheldAlready], [ErrWithheldDamaged], [disk.ErrLocked].
func Withhold(files vfs.FS, dir string, w Withheld) error {
	return changeWithheld(files, dir, func(list []Withheld) ([]Withheld, error) {
		at, is := slices.BinarySearchFunc(list, w.Index, compareIndex)
		if is {
			return nil, fmt.Errorf("entry %d %w, since %s: %s", w.Index, ErrWithheldAlready, list[at].Since.Format(time.DateOnly), list[at].Reason)
		}
		if len(list) == MaxWithheld {
			return nil, fmt.Errorf("%d entries are withheld, as many as there may be", MaxWithheld)
		}
		return slices.Insert(list, at, w), nil
	})
}

// StopWithholding serves an entry again. [ErrNotWithheld], [ErrWithheldDamaged],
// [disk.ErrLocked].
func StopWithholding(files vfs.FS, dir string, index uint64) (was Withheld, err error) {
	return was, changeWithheld(files, dir, func(list []Withheld) ([]Withheld, error) {
		at, is := slices.BinarySearchFunc(list, index, compareIndex)
		if !is {
			return nil, fmt.Errorf("entry %d %w", index, ErrNotWithheld)
		}
		was = list[at]
		return slices.Delete(list, at, at+1), nil
	})
}

func compareIndex(w Withheld, index uint64) int {
	switch {
	case w.Index < index:
		return -1
	case w.Index > index:
		return 1
	}
	return 0
}

// changeWithheld reads, changes and writes the file, one process at a time.
func changeWithheld(files vfs.FS, dir string, change func([]Withheld) ([]Withheld, error)) (err error) {
	lock, err := disk.Lock(files, files.PathJoin(dir, "withheld.lock"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	list, err := ReadWithheld(files, dir)
	if err != nil {
		return err
	}
	if list, err = change(list); err != nil {
		return err
	}
	return writeWithheld(files, dir, list)
}

func writeWithheld(files vfs.FS, dir string, list []Withheld) error {
	text, err := json.MarshalIndent(withheldList{withheldFormat, list}, "", "  ")
	if err != nil {
		return err
	}
	return disk.WriteFile(files, files.PathJoin(dir, WithheldFile), append(text, '\n'), 0o600, disk.SyncNow)
}

// withheldReader reads the file anew when it changes. mu guards what is below it.
type withheldReader struct {
	files vfs.FS
	dir   string
	log   *slog.Logger

	mu       sync.Mutex
	stamp    withheldStamp
	read     time.Time
	text     []byte
	list     []server.Withheld
	reported bool
}

// withheldStamp is what tells a file from the one that was there.
type withheldStamp struct {
	modified time.Time
	size     int64
}

// File systems stamp files with clocks that stand still for some milliseconds. A file that
// was young when it was read may be another one with the same stamp by now: it is read again
// until it is not.
const (
	withheldYoung = 2 * time.Second
	withheldAgain = 20 * time.Millisecond
)

// newWithheldReader reads the file, which must be in order where it is there.
func newWithheldReader(files vfs.FS, dir string, log *slog.Logger) (*withheldReader, error) {
	r := &withheldReader{files: files, dir: dir, log: log}
	return r, r.refresh()
}

// current is what is withheld now, the same slice as long as it is the same. A file that
// cannot be read any more leaves what was withheld, and a line in the log.
func (r *withheldReader) current() []server.Withheld {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.refresh(); err != nil && !r.reported {
		r.log.Error("what is withheld cannot be read; what was withheld before is withheld still", "err", err)
		r.reported = true
	} else if err == nil {
		r.reported = false
	}
	return r.list
}

func (r *withheldReader) refresh() error {
	var stamp withheldStamp
	info, err := r.files.Stat(r.files.PathJoin(r.dir, WithheldFile))
	switch {
	case err == nil:
		stamp = withheldStamp{info.ModTime(), info.Size()}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	now := time.Now()
	young := r.read.Sub(stamp.modified) < withheldYoung && now.Sub(r.read) >= withheldAgain
	if !r.read.IsZero() && stamp == r.stamp && !young {
		return nil
	}
	list, err := ReadWithheld(r.files, r.dir)
	if err != nil {
		return err
	}
	r.stamp, r.read = stamp, now
	text, err := json.Marshal(list)
	if err != nil || bytes.Equal(text, r.text) {
		return err
	}
	r.text, r.list = text, make([]server.Withheld, len(list))
	for i, w := range list {
		r.list[i] = w.Withheld
	}
	r.log.Info("withheld", "entries", len(list))
	return nil
}
