// Package register folds a ledger's entries into its state: which keys may sign, which
// designations are in force, which duties are open. The register is derived data: the
// same entries give the same register, byte for byte, on every machine, so it can be
// deleted and replayed. What depends on the current time is computed when asked for a
// time, and never stored (RECORDS.md "The register").
//
// Writing is [Register.Begin], then [Draft.Judge] or [Draft.Apply], then
// [Register.Advance]. Rows are versioned by log index and never updated in place, so
// that a [Snapshot] reads them as of any size. Nothing is synced: after a crash the
// cursor is behind the log, and the owner of the log replays the rest.
//
// # Contract
//
//	v, err := record.Open(env, r.CandidateKeys) // the signatures verify; by whom, the register says
//	draft := r.Begin(now)                       // on top of the newest state; writes nothing
//	entry, err := draft.Judge(v)                // the leaf, or a *record.Refusal that concerns v alone
//	err := r.Advance(draft, [32]byte{})         // after the log made the entry durable; with the log's root
//
// A draft that is dropped leaves no trace. One goroutine advances; all else may be
// called from any. Questions go to the package view, which answers them from a
// [Snapshot] of the register. What a replay does with
// entries that are on a log already is a [Replayer]'s; with a chain's, between which
// others are missing, a [SparseReplay].
//
// Which record is admitted: ledger/record/RECORDS.md, whose parts the judging functions name.
package register

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/record"
)

const (
	// RulesVersion is the newest version of the admission rules that this binary has.
	RulesVersion = 1
	// FormatVersion is the register's own format number: an earlier one on disk means
	// delete and replay, a later one [ErrLaterVersion]. The tables of rules1 are part of it.
	FormatVersion = 7
)

// Options of a register. The zero value is ready for use.
type Options struct {
	// CheckPolicy judges the tlog-policy text of a charter with this origin, nil
	// meaning that any text will do.
	CheckPolicy func(text, origin string) error
	// PolicyKeys gives the raw public keys that a policy names, nil meaning that
	// none is known: log and witness keys may not be party or root keys.
	PolicyKeys func(text string) ([][]byte, error)

	CacheBytes        int64        // Pebble's block cache; 0 = 256 MiB
	MemTableBytes     uint64       // one memtable of at most two; 0 = 64 MiB
	CachedThreads     int          // threads kept in memory, parties apart; 0 = 16,384 to twice as many
	ReadOnly          bool         // nothing is written, locked or healed: for a directory that is no longer written to
	CachedThreadBytes int          // bytes of their rows, parties' half as many and apart; 0 = 64 MiB to twice as much
	Health            *disk.Health // is told of damage and of a full disk; nil: a new one
}

// Cursor says how far a register has come. The ledger compares it with its own
// head: ahead of the log, or another root at its size, means that the log's store has
// lost something.
type Cursor struct {
	Size uint64
	Root [32]byte // of the log at Size, as it was given to Advance
}

// tip is the state that every next record is judged against, on whatever thread it
// stands.
type tip struct {
	next         uint64     // index of the next record
	ledger       record.ID  // of index 0; zero while there is none
	lastAdmitted time.Time  // admission time of the newest entry; zero while there is none
	charter      *ThreadRow // the newest, which is below next; nil while there is none
}

// Register holds the folded state. Its methods may be called from any goroutine;
// drafts are advanced by one.
type Register struct {
	fs  vfs.FS
	dir string
	o   Options
	rowReader
	wasEarlier bool
	withheld   atomic.Pointer[withheldRecords] // by [Register.Withhold]; nil: nothing is
	retired    []*disk.DB                      // whose place another has taken, for who still reads in them; guarded by mu

	mu          sync.Mutex // guards what follows
	tip         tip
	root        [32]byte       // of the log at tip.next
	terms       []CharterTerms // of every charter below tip.next, oldest first; only appended to
	partyCache  *rowCache      // hot: every record asks for one
	threadCache *rowCache

	iterMu     sync.Mutex       // guards what follows
	threadIter *pebble.Iterator // over the threads as of the cursor; nil after each Advance
	seekKey    []byte
}

// Name is that of a register among the databases of a process.
const Name = "register"

// IsDamaged reports whether an error of any method means that the files are damaged.
// Replaying restores the register.
func IsDamaged(err error) bool { return errors.Is(err, ErrDamaged) || disk.Damaged(err) }

// Open opens the register in dir, or begins an empty one. One that is damaged, of
// an earlier format or of earlier rules is deleted first: replaying brings it back. Where
// it is to be read only, it is [ErrDamaged] instead, as is one that is not there; an earlier
// one is [ErrEarlierVersion] too. One of a later format or of later rules is left as it is:
// [ErrLaterVersion].
func Open(files vfs.FS, dir string, o Options) (*Register, error) {
	r := &Register{fs: files, dir: dir, o: o, rowReader: rowReader{db: new(database), rowsRead: new(atomic.Uint64)}}
	if r.o.CacheBytes == 0 {
		r.o.CacheBytes = 256 << 20
	}
	if r.o.MemTableBytes == 0 {
		r.o.MemTableBytes = 64 << 20
	}
	if r.o.CachedThreads == 0 {
		r.o.CachedThreads = 16 << 10
	}
	if r.o.CachedThreadBytes == 0 {
		r.o.CachedThreadBytes = 64 << 20
	}
	if r.o.Health == nil {
		r.o.Health = disk.NewHealth(disk.Config{})
	}
	err := r.open()
	switch {
	case o.ReadOnly && (IsDamaged(err) || errors.Is(err, pebble.ErrDBDoesNotExist)):
		return nil, errors.Join(ErrDamaged, err)
	case IsDamaged(err): // as good as deleted
		if err := files.RemoveAll(dir); err != nil {
			return nil, fmt.Errorf("deleting damaged register in %s: %w", dir, err)
		}
		if err = r.open(); err == nil {
			r.o.Health.Mended(Name)
		}
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Register) open() error {
	db, err := disk.Open(disk.Options{
		FS: r.fs, Dir: r.dir, Name: Name, ReadOnly: r.o.ReadOnly, Health: r.o.Health,
		Remedy: "nothing: the register is derived, and is made anew from the entries",
		Tune: func(p *pebble.Options) {
			p.Comparer, p.CacheSize, p.MemTableSize = comparer, r.o.CacheBytes, r.o.MemTableBytes
			for i := range p.Levels {
				p.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
			}
		},
	})
	if err != nil {
		return fmt.Errorf("opening register in %s: %w", r.dir, err)
	}
	r.db.Store(db)
	r.partyCache, r.threadCache = newRowCache(max(2, r.o.CachedThreads/8), r.o.CachedThreadBytes/2), newRowCache(r.o.CachedThreads, r.o.CachedThreadBytes)
	err = r.load()
	if errors.Is(err, ErrLaterVersion) {
		return errors.Join(err, db.Close())
	}
	if err := disk.AsDamaged(err); err != nil {
		if IsDamaged(err) {
			db.Damaged(err)
		}
		return errors.Join(err, db.Close())
	}
	return nil
}

// ErrLaterVersion is a register that a later version of docket wrote.
var ErrLaterVersion = errors.New("upgrade docket")

// ErrEarlierVersion is a register that an earlier version of docket wrote.
var ErrEarlierVersion = errors.New("the register is of an earlier version of docket")

// WasEarlier reports whether [Open] found a register of an earlier version, in whose place
// this one begins.
func (r *Register) WasEarlier() bool { return r.wasEarlier }

// load reads the cursor and what is always kept in memory.
func (r *Register) load() error {
	r.tip, r.root, r.terms = tip{}, [32]byte{}, nil
	b, err := r.get(cursorKey)
	if err != nil || b == nil {
		return err
	}
	cursor, rules, format, err := decodeCursor(b)
	switch {
	case err != nil:
		return err
	case format > FormatVersion:
		return fmt.Errorf("%s is of format %d, and this version of docket reads no later one than %d: %w", r.dir, format, FormatVersion, ErrLaterVersion)
	case rules > RulesVersion:
		return fmt.Errorf("%s is of rules %d, and this version of docket has none later than %d: %w", r.dir, rules, RulesVersion, ErrLaterVersion)
	case format == FormatVersion && rules == RulesVersion:
	case r.o.ReadOnly:
		return fmt.Errorf("%w: %w", ErrEarlierVersion, ErrDamaged)
	default:
		r.wasEarlier = true
		return r.wipe()
	}
	first, err := r.recordRow(0)
	if err != nil {
		return err
	}
	newest, err := r.recordRow(cursor.Size - 1)
	if err != nil {
		return err
	}
	charter, err := r.newestVersion(ownerRoot, cursor.Size)
	if err != nil {
		return err
	}
	if r.terms, err = r.readTerms(cursor.Size); err != nil {
		return err
	}
	if charter == nil {
		return fmt.Errorf("no charter below %d: %w", cursor.Size, ErrDamaged)
	}
	r.tip, r.root = tip{next: cursor.Size, ledger: first.ID, lastAdmitted: newest.Admitted, charter: charter}, cursor.Root
	return nil
}

// wipe empties a register whose format or rules are earlier ones.
func (r *Register) wipe() error {
	if err := r.db.Load().DeleteRange([]byte{0}, []byte{0xff}, pebble.NoSync); err != nil {
		return fmt.Errorf("emptying register in %s: %w", r.dir, err)
	}
	return nil
}

var cursorKey = appendPlain(nil, tableCursor, nil)

// encode is the one row whose form never changes: it says which the others have.
func (c Cursor) encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, c.Size)
	b = append(b, c.Root[:]...)
	b = binary.BigEndian.AppendUint64(b, RulesVersion)
	return binary.BigEndian.AppendUint64(b, FormatVersion)
}

func decodeCursor(b []byte) (c Cursor, rules, format uint64, err error) {
	if len(b) != 8+32+8+8 {
		return Cursor{}, 0, 0, fmt.Errorf("the cursor has %d bytes: %w", len(b), ErrDamaged)
	}
	c.Size = binary.BigEndian.Uint64(b)
	copy(c.Root[:], b[8:])
	return c, binary.BigEndian.Uint64(b[40:]), binary.BigEndian.Uint64(b[48:]), nil
}

// Cursor is the size and root that the register has reached.
func (r *Register) Cursor() Cursor {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Cursor{Size: r.tip.next, Root: r.root}
}

// Size is the number of entries folded so far.
func (r *Register) Size() uint64 { return r.Cursor().Size }

// Ledger is the record ID of the charter at index 0, zero while the register is empty.
func (r *Register) Ledger() record.ID {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tip.ledger
}

// LastAdmitted is the admission time of the newest entry, zero while the
// register is empty: no later entry may be admitted earlier.
func (r *Register) LastAdmitted() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tip.lastAdmitted
}

// Reset deletes everything, so that a replay can begin at index 0. Drafts begun
// earlier are void.
func (r *Register) Reset() error {
	if err := r.Close(); err != nil {
		return err
	}
	if err := r.fs.RemoveAll(r.dir); err != nil {
		return fmt.Errorf("deleting register in %s: %w", r.dir, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open()
}

// Flush makes durable what was advanced, and leaves it in a form that is opened without
// replaying a write-ahead log.
func (r *Register) Flush() error {
	if err := r.db.Load().Flush(); err != nil {
		return fmt.Errorf("flushing register in %s: %w", r.dir, err)
	}
	return nil
}

// Adopt puts another register in the place of this one, whose rows are damaged: one
// that has come as far over the same log; of an empty one, any. Readers of this one read the other one
// from now on, and queries that were begun go on. next is not to be used any more, nor are
// drafts begun earlier to be advanced.
func (r *Register) Adopt(next *Register) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tip.next == 0 {
		r.tip, r.root, r.terms = next.tip, next.root, next.terms
	}
	if next.tip.next != r.tip.next || next.root != r.root {
		return fmt.Errorf("a register of %d entries cannot take the place of one of %d", next.tip.next, r.tip.next)
	}
	r.closeIter() // what its iterator has met is of no interest any more
	old := r.db.Swap(next.db.Load())
	old.Retire()
	r.retired = append(r.retired, old)
	r.dir, r.partyCache, r.threadCache = next.dir, next.partyCache, next.threadCache
	r.o.Health.Mended(Name)
	return nil
}

// Close releases the directory. Nothing is lost that a replay would not bring back.
func (r *Register) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, db := range r.retired {
		db.Close() // it is damaged, and nothing of it is kept
	}
	r.retired = nil
	err := r.closeIter()
	if err := errors.Join(err, r.db.Load().Close()); err != nil {
		return fmt.Errorf("closing register in %s: %w", r.dir, err)
	}
	return nil
}

// Dump writes every row of the register as one line, in the order of their keys:
// two registers of the same entries give the same bytes, however they came about.
// It is what tests compare, and no format to read.
func (r *Register) Dump(w io.Writer) error {
	b := bufio.NewWriter(w)
	err := r.scan([]byte{0}, []byte{0xff}, func(key, value []byte) (bool, error) {
		_, err := fmt.Fprintf(b, "%q %q\n", key, value)
		return err == nil, err
	})
	if err != nil {
		return fmt.Errorf("dumping register: %w", err)
	}
	return b.Flush()
}

// Compare holds every row of another register of the same size against this one's. It
// returns how many rows this one has, and how many of the other are missing there, too
// many, or others. An error is of reading one of the two.
func (r *Register) Compare(other *Register) (rows, wrong uint64, err error) {
	nextOwn, stop := iter.Pull2(r.rows())
	defer stop()
	nextOther, stop := iter.Pull2(other.rows())
	defer stop()
	own, errOwn, more := nextOwn()
	its, errIts, itsMore := nextOther()
	for more || itsMore {
		if err := errors.Join(errOwn, errIts); err != nil {
			return rows, wrong, fmt.Errorf("comparing registers: %w", err)
		}
		order := bytes.Compare(own.key, its.key)
		switch {
		case !itsMore:
			order = -1
		case !more:
			order = 1
		}
		if order != 0 || !bytes.Equal(own.value, its.value) {
			wrong++
		}
		if order >= 0 {
			its, errIts, itsMore = nextOther()
		}
		if order <= 0 {
			rows++
			own, errOwn, more = nextOwn()
		}
	}
	return rows, wrong, nil
}

type rawRow struct{ key, value []byte }

// rows are all rows in the order of their keys, each good until the next; an error is the last.
func (r rowReader) rows() iter.Seq2[rawRow, error] {
	return func(yield func(rawRow, error) bool) {
		more := true
		err := r.scan([]byte{0}, []byte{0xff}, func(key, value []byte) (bool, error) {
			more = yield(rawRow{key, value}, nil)
			return more, nil
		})
		if err != nil && more {
			yield(rawRow{}, err)
		}
	}
}
