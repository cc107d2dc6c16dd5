package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// Trust is a trust directory: what a verifier keeps of one ledger (DESIGN.md
// section 2). It holds
//
//	trust.json             the pinned charter's record ID and the ledger's URL
//	charters.tlog-proof    the chain of charters, hence the policies by log index; as of the
//	                       first sync or refresh
//	checkpoint             the newest checkpoint that satisfied its policy
//	tile/…, register/N/    after a sync: the replayed copy (copy.go)
//	sync.lock              held by the process that syncs
//	withheld.json          the entry from which on the copy cannot judge, where a server withholds one
//	quorum-times           and when a quorum had cosigned how much of it
//
// A checkpoint is trusted only if it satisfies the policy of the newest charter below
// its size and extends the checkpoint trusted before.
type Trust struct {
	// Fatal ends the process after a write to the copy whose outcome is unknown, as
	// disk.Config says. It is set before the copy is asked for or synced.
	Fatal func(reason string)

	// Health is told what happens to the databases of the copy, instead of Fatal, by who
	// serves it for long. It is set as that is.
	Health *disk.Health

	// Snapshots are the keys of nodes with whose snapshots a live copy may begin, and Remote
	// where what such a copy lacks is read until it is whole. They are set before it is opened.
	Snapshots SnapshotKeys
	Remote    *Client

	// With are sources that a sync asks for entries that the ledger's server withholds. What
	// they give is held against the tree that the log signed, as everything is.
	With []Source

	// MaxAge is how old, by its quorum's clocks, the newest checkpoint of one of several servers may be
	// ([CheckAge]) before a sync goes on with the next one. 0: any age.
	MaxAge time.Duration

	files vfs.FS
	dir   string
	pin   pinFileContent
	now   func() time.Time

	charters   charters
	checkpoint *proof.Published // nil before the first
	copy       *generation      // opened when first asked for
	live       *Live            // the copy is read while it is synced; nil: a sync makes its next generation
	nextDir    string           // of the register that a sync makes; "" is nextGenerationDir
	timesErr   error            // why the last sync learnt no quorum times
}

// pinFileContent is what trust.json holds.
type pinFileContent struct {
	Format  int       `json:"docketTrust"`
	Charter record.ID `json:"charter"`
	URL     string    `json:"url"`
	Also    []string  `json:"also,omitempty"` // where else it is served
}

const trustFormat = 1

// Names in a trust directory.
const (
	pinFile        = "trust.json"
	chartersFile   = "charters" + proof.ReceiptSuffix
	checkpointFile = "checkpoint"
	timesFile      = "quorum-times"
	withheldFile   = "withheld.json"
)

// ErrNoTrust: the directory is not a trust directory.
var ErrNoTrust = errors.New("not a trust directory")

// OpenTrust opens a trust directory and checks again all that it holds.
func OpenTrust(files vfs.FS, dir string) (*Trust, error) {
	t := &Trust{files: files, dir: dir, now: time.Now}
	raw, err := disk.ReadFile(files, t.path(pinFile))
	if missing(err) || errors.Is(err, syscall.ENOTDIR) {
		return nil, fmt.Errorf("%s: %w: no %s in it", dir, ErrNoTrust, pinFile)
	} else if err != nil {
		return nil, t.unread(pinFile, err)
	}
	if err := json.Unmarshal(raw, &t.pin); err != nil {
		return nil, &PinError{Dir: dir, File: pinFile, Err: err}
	} else if t.pin.Format > trustFormat {
		return nil, fmt.Errorf("%s: %s is of format %d, and this version of docket reads no later one than %d: %w", dir, pinFile, t.pin.Format, trustFormat, register.ErrLaterVersion)
	} else if t.pin.Format != trustFormat {
		return nil, fmt.Errorf("%s: %w: %s is not of a format that this binary knows", dir, ErrNoTrust, pinFile)
	}
	note, noNote := disk.ReadFile(files, t.path(checkpointFile))
	raw, err = disk.ReadFile(files, t.path(chartersFile))
	if missing(err) && missing(noNote) {
		return t, nil // pinned, and nothing believed yet
	} else if err != nil {
		return nil, t.unread(chartersFile, err)
	}
	if err := t.setCharters(raw); err != nil {
		return nil, t.unread(chartersFile, err)
	}
	if missing(noNote) {
		return t, nil
	} else if noNote != nil {
		return nil, t.unread(checkpointFile, noNote)
	}
	if t.checkpoint, err = t.verify(note); err != nil {
		return nil, t.unread(checkpointFile, err)
	}
	return t, nil
}

// PinError is a trust directory one of whose own files does not hold any more what was
// believed. Nothing else there brings that back; and it says nothing about the ledger.
type PinError struct {
	Dir, File string
	URL       string    // of the ledger, as trust.json has it; "" if that is the file
	Charter   record.ID // likewise
	Err       error
}

func (e *PinError) Unwrap() error { return e.Err }

func (e *PinError) Error() string {
	return fmt.Sprintf("the trust directory %s is damaged in its file %s: %v", e.Dir, e.File, e.Err)
}

// unread is what a file of the directory that cannot be read, or believed, is: damaged,
// unless the machine does not let it be read.
func (t *Trust) unread(name string, err error) error {
	if !disk.Damaged(disk.AsDamaged(err)) {
		return err
	}
	return &PinError{Dir: t.dir, File: name, URL: t.pin.URL, Charter: t.pin.Charter, Err: err}
}

// ErrNotEmpty: the directory is not a trust directory, and not empty either.
var ErrNotEmpty = errors.New("not a trust directory, and has other files in it")

// ErrOtherCharter: the directory is one, of another ledger.
var ErrOtherCharter = errors.New("pins another charter")

// CreateTrust pins the charter with that record ID at the ledger that url names: it looks
// whether the log there begins with it, and writes the directory, in which nothing is
// believed before the first [Trust.Sync] or [Trust.Refresh]. It asks for the checkpoint and
// for entries alone, which any mirror has.
//
// A directory that pins the same charter already is opened; one that pins another
// is [ErrOtherCharter], and [ErrNotEmpty] one that holds something else.
func CreateTrust(ctx context.Context, files vfs.FS, dir string, c *Client, id record.ID) (*Trust, error) {
	if old, err := OpenTrust(files, dir); err == nil {
		if old.pin.Charter != id {
			return nil, fmt.Errorf("%s %w, %s", dir, ErrOtherCharter, old.pin.Charter)
		}
		return old, nil
	} else if !errors.Is(err, ErrNoTrust) {
		return nil, err
	}
	if err := requireEmpty(files, dir); err != nil {
		return nil, err
	}
	urls := c.servers.URLs()
	t := &Trust{files: files, dir: dir, now: time.Now, pin: pinFileContent{trustFormat, id, urls[0], urls[1:]}}
	if _, err := ask(ctx, c, func(c *Client) (newestCheckpoint, error) { return t.fetchCheckpoint(ctx, c) }); err != nil {
		return nil, err
	}
	if err := disk.MakeDir(files, dir, 0o755); err != nil {
		return nil, err
	}
	text, err := json.Marshal(t.pin)
	if err != nil {
		return nil, err
	}
	return t, disk.WriteFile(files, t.path(pinFile), append(text, '\n'), 0o644, disk.SyncNow)
}

// fetchFirstCharter reads the charter that a log begins with, which must be the pinned one. That
// its entry is in the tree which a checkpoint signs is left to show.
func (t *Trust) fetchFirstCharter(ctx context.Context, c *Client, cp proof.Checkpoint) (charter, error) {
	if cp.Size == 0 {
		return charter{}, fmt.Errorf("%w: the checkpoint of %s is of a log without entries", ErrUnpublished, c.URL())
	}
	entry, err := firstEntry(ctx, c.log.Bundle, cp.Size)
	if err != nil {
		return charter{}, err
	}
	if _, err := record.ParseEntry(entry); err != nil {
		return charter{}, &NoLedgerError{URL: c.URL(), What: "entry 0 of the log there is no record", Err: err}
	}
	first, err := charters(nil).next(t.pin.Charter, proof.Receipt{Entry: entry})
	if err != nil {
		return charter{}, err
	}
	if first.content.Origin != cp.Origin {
		return charter{}, fmt.Errorf("charter %s is of the log %s, and the checkpoint of %s", first.id, first.content.Origin, cp.Origin)
	}
	return first, nil
}

// firstEntry reads entry 0 of a log of a size, unverified: of the bundle as wide as a mirror
// has it, or where another entry of that is withheld, of the narrowest.
func firstEntry(ctx context.Context, read readBundle, size uint64) ([]byte, error) {
	entries, err := read(ctx, proof.EntryBundleID{Width: int(min(size, proof.TileWidth))})
	if w := (*wire.WithheldError)(nil); errors.As(err, &w) {
		entries, err = read(ctx, proof.EntryBundleID{Width: 1})
	}
	if err != nil {
		return nil, err
	}
	return entries[0], nil
}

// NoLedgerError is an answer that no ledger gives: something else is at that URL.
type NoLedgerError struct {
	URL, What string
	Err       error
}

func (e *NoLedgerError) Error() string {
	return fmt.Sprintf("%s is no ledger's: %s: %v", e.URL, e.What, e.Err)
}

func (e *NoLedgerError) Unwrap() error { return e.Err }

// OtherLedgerError is a log that begins with another charter than the pinned one.
type OtherLedgerError struct {
	Charter record.ID // that stands first
	Index   uint64    // of it
	Pinned  record.ID
}

func (e *OtherLedgerError) Error() string {
	return fmt.Sprintf("the ledger begins with charter %s at index %d, not with the pinned %s at index 0: it is another ledger, or the pin is wrong", e.Charter, e.Index, e.Pinned)
}

// requireEmpty refuses a directory that holds other files. Files that an interrupted
// CreateTrust left are ignored.
func requireEmpty(files vfs.FS, dir string) error {
	names, err := files.List(dir)
	if missing(err) {
		return nil
	} else if err != nil {
		return err
	}
	for _, name := range names {
		if !disk.Unfinished(name, pinFile) {
			return fmt.Errorf("%s: %w: %s", dir, ErrNotEmpty, name)
		}
	}
	return nil
}

// Close closes the copy's register if it was opened.
func (t *Trust) Close() error {
	if t.copy == nil {
		return nil
	}
	err := t.copy.close()
	t.copy = nil
	return err
}

func (t *Trust) path(name string) string { return t.files.PathJoin(t.dir, name) }

// setCharters takes the charters out of a chain and judges them. After an error those
// that were known are known still.
func (t *Trust) setCharters(raw []byte) error {
	read, err := chartersInChain(raw, t.pin.Charter, t.now())
	if err != nil {
		return err
	}
	t.charters = read
	return nil
}

// writeCharters stores the verified charters. The other receipts of the chain are not
// verified, and every command would parse them again.
func (t *Trust) writeCharters() error {
	chain, err := t.charters.format()
	if err != nil {
		return err
	}
	return disk.WriteFile(t.files, t.path(chartersFile), chain, 0o644, disk.SyncNow)
}

// chartersInChain takes the charters out of a chain that begins with the pinned one, and
// judges them. Other records in the chain are left aside: a chain file brings more than
// charters. The record that it is of stands last, and may be the oldest charter.
func chartersInChain(raw []byte, pin record.ID, now time.Time) (charters, error) {
	chain, err := proof.ParseChain(raw)
	if err != nil {
		return nil, err
	}
	var own []proof.Receipt
	for _, r := range chain {
		if kindOf(r) == record.KindCharter {
			own = append(own, r)
		}
	}
	slices.SortStableFunc(own, func(a, b proof.Receipt) int { return cmp.Compare(a.Index, b.Index) })
	return checkCharters(pin, own, now)
}

// ChainPolicies are the policies of the charters in a chain that begins with the pinned one,
// oldest first. Each is signed by the roots before it, and published under its own policy.
func ChainPolicies(raw []byte, pin record.ID, now time.Time) (policies []*proof.Policy, err error) {
	known, err := chartersInChain(raw, pin, now)
	for _, c := range known {
		policies = append(policies, c.policy)
	}
	return policies, err
}

// kindOf is the kind of a receipt's record, "" if it cannot be read.
func kindOf(r proof.Receipt) record.Kind {
	e, err := record.ParseEntry(r.Entry)
	if err != nil {
		return ""
	}
	st, err := record.ParseStatement(e.Envelope.Payload)
	if err != nil {
		return ""
	}
	return st.Kind
}

// Ledger is the pinned charter's record ID: the ledger's name in every record.
func (t *Trust) Ledger() record.ID { return t.pin.Charter }

// URL is where the ledger was when it was pinned.
func (t *Trust) URL() string { return t.pin.URL }

// URLs are where the ledger is: where it was when it was pinned, then where the policy of the newest
// charter known says its log is.
func (t *Trust) URLs() []string {
	urls := append([]string{t.pin.URL}, t.pin.Also...)
	if len(t.charters) > 0 {
		newest := t.charters.newest()
		urls = append(urls, newest.policy.LogURLs(newest.content.Origin)...)
	}
	return urls
}

// Dir is the directory.
func (t *Trust) Dir() string { return t.dir }

// Charter is the newest charter known, and its index. It may be asked once a sync or a
// refresh has succeeded.
func (t *Trust) Charter() (*record.Charter, uint64) {
	c := t.charters.newest()
	return c.content, c.index
}

// Policy is the policy that judges a checkpoint of that size; [ErrNoCopy] if nothing is
// believed yet.
func (t *Trust) Policy(size uint64) (*proof.Policy, error) {
	if len(t.charters) == 0 {
		return nil, fmt.Errorf("%s: %w", t.dir, ErrNoCopy)
	}
	return t.charters.policy(size), nil
}

// Checkpoint is the newest checkpoint that is trusted; nil before the first.
func (t *Trust) Checkpoint() *proof.Published { return t.checkpoint }

// size is the trusted checkpoint's; 0 before the first.
func (t *Trust) size() uint64 {
	if t.checkpoint == nil {
		return 0
	}
	return t.checkpoint.Checkpoint().Size
}

// verify judges a note by the policy that its size asks for.
func (t *Trust) verify(note []byte) (*proof.Published, error) { return verifyNote(t, note, t.now()) }

func verifyNote(p Policies, note []byte, now time.Time) (*proof.Published, error) {
	cp, _, err := proof.ParseCheckpoint(note)
	if err != nil {
		return nil, err
	}
	policy, err := p.Policy(cp.Size)
	if err != nil {
		return nil, err
	}
	return policy.Verify(note, now)
}

// Policies says under which policy a checkpoint of a size is judged: a [Trust]
// knows one for each charter, a [SinglePolicy] one knows one.
type Policies interface {
	Policy(size uint64) (*proof.Policy, error)
}

// SinglePolicy is one policy for every size, as --policy names it.
type SinglePolicy struct{ Only *proof.Policy }

// Policy is that one.
func (f SinglePolicy) Policy(uint64) (*proof.Policy, error) { return f.Only, nil }

// Register opens the replayed copy, to be read: it is the one that makes the trusted
// checkpoint. [ErrNoCopy] if nothing was synced yet, or what was cannot be read: then it is
// a *[DamageError] too.
func (t *Trust) Register() (*register.Register, error) {
	if t.copy == nil {
		g, err := t.openGeneration()
		if err != nil {
			return nil, err
		}
		t.copy = g
	}
	return t.copy.Register, nil
}

// ErrNoCopy: the trust directory has no replayed copy that matches its checkpoint.
var ErrNoCopy = errors.New("no replayed copy (docket sync makes one)")

// CoveredSize is the size of the replayed copy: it covers the indexes below.
func (t *Trust) CoveredSize() uint64 {
	r, err := t.Register()
	if err != nil {
		return 0
	}
	return r.Size()
}
