package registertest

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// zone is the time zone of the standard charter.
var zone = func() *time.Location {
	z, err := rules1.Location("America/New_York")
	if err != nil {
		panic(err)
	}
	return z
}()

// Fixture is a world whose records go straight into a register. Root hashes are a
// chain over the entries: there is no tree.
type Fixture struct {
	*World
	Register *register.Register
	Entries  []record.Entry
	Root     [32]byte
}

// Health panics where the process would end.
func Health() *disk.Health {
	return disk.NewHealth(disk.Config{Fatal: func(reason string) { panic(reason) }})
}

// SmallOptions are options of a register that a test can open many of, and that forgets
// its threads soon.
func SmallOptions() register.Options {
	return register.Options{CacheBytes: 1 << 20, MemTableBytes: 1 << 20, CachedThreads: 8, Health: Health()}
}

// NewFixture opens a register in memory, with the charter, the authority and these
// providers admitted.
func NewFixture(now time.Time, providers ...string) *Fixture {
	r, err := register.Open(vfs.NewMem(), "register", SmallOptions())
	if err != nil {
		panic(err)
	}
	b := &Fixture{World: New(now, "docket.example/test", "any"), Register: r}
	b.Must(b.Charter())
	b.Must(b.Authority())
	for _, id := range providers {
		b.Must(b.Provider(id))
	}
	return b
}

// Submit opens, judges and admits one record at the world's time.
func (b *Fixture) Submit(env record.Envelope) (record.Entry, error) {
	v, err := record.Open(env, b.Register.CandidateKeys)
	if err != nil {
		return record.Entry{}, err
	}
	d := b.Register.Begin(b.Now)
	e, err := d.Judge(v)
	if err != nil {
		return record.Entry{}, err
	}
	root := NextRoot(b.Root, e)
	if err := b.Register.Advance(d, root); err != nil {
		return record.Entry{}, err
	}
	b.Root, b.Entries = root, append(b.Entries, e)
	b.NoteAdmitted(env)
	return e, nil
}

// Must is Submit of a record that is admitted.
func (b *Fixture) Must(env record.Envelope) record.Entry {
	e, err := b.Submit(env)
	if err != nil {
		panic(fmt.Sprintf("registertest: index %d: %v", b.Register.Size(), err))
	}
	return e
}

// NextRoot is the stand-in for a root hash after one more entry.
func NextRoot(root [32]byte, e record.Entry) [32]byte {
	return sha256.Sum256(append(root[:], e.Marshal()...))
}
