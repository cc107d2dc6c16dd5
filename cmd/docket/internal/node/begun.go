package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/replica"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/public"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/snapshot"
)

// Who stands by for a large ledger need not replay it before it answers: its register may begin with a
// snapshot that another node of the operator has signed, fetched and judged as a replica's is, in a trust
// directory in the ledger's. The log is replayed behind it into another register. As long as the
// snapshot is there, nobody has done that to the end, and no ledger is opened over the register.

// begunName is that directory's name.
const begunName = "begun"

func (n *Node) begunPath() string { return n.config.Files.PathJoin(n.config.Dir, begunName) }

// begun is the snapshot that a register began with.
type begun struct {
	trust    *client.Trust
	snapshot *snapshot.Verified
}

// openBegun opens what the register began with; nil where there is nothing, or the log was replayed
// behind it. What was fetched of a snapshot stays for beginWithSnapshot. Without the key of who signed it
// the register goes.
func (n *Node) openBegun(keys []proof.Key) (*begun, error) {
	trust, err := client.OpenTrust(n.config.Files, n.begunPath())
	if errors.Is(err, client.ErrNoTrust) {
		return nil, n.config.Files.RemoveAll(n.begunPath())
	} else if err != nil {
		return nil, n.dropUnreplayed()
	}
	b, err := n.beginOf(trust, keys)
	if err != nil {
		return nil, n.dropUnreplayed()
	}
	return b, nil
}

func (n *Node) beginOf(trust *client.Trust, keys []proof.Key) (*begun, error) {
	trust.Snapshots, trust.Health = client.SnapshotKeys{Own: keys}, n.health
	v, err := trust.Unreplayed()
	if err != nil || v == nil {
		return nil, err
	}
	return &begun{trust, v}, nil
}

// beginWithSnapshot has an empty register begin with the newest snapshot of the writer's. Whatever is
// wrong with that, the log is replayed; an error is of this directory.
func (f *Follower) beginWithSnapshot(ctx context.Context) error {
	n, c := f.n, f.config
	if len(c.Snapshots) == 0 || n.Register.Size() > 0 {
		if v, _ := f.unreplayed(); v == nil {
			return n.config.Files.RemoveAll(n.begunPath()) // what an earlier start has fetched
		}
		return nil
	}
	to, err := n.nextRegister()
	if err != nil {
		return err
	}
	var trust *client.Trust
	started := replica.Start(ctx, c.Source, n.config.Log, func(progress func(done, all uint64)) error {
		id, err := firstRecord(ctx, ledger.Bounded(n.store, c.Reads))
		if err != nil {
			return err
		}
		if trust, err = client.CreateTrust(ctx, n.config.Files, n.begunPath(), c.Source, id); err != nil {
			return err
		}
		trust.Health = n.health
		return trust.StartRegister(ctx, c.Source, client.SnapshotKeys{Own: c.Snapshots}, to, progress)
	})
	if ctx.Err() != nil {
		return ctx.Err() // what it has fetched the next start goes on with
	} else if !started {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.begun = nil
		if err := n.config.Files.RemoveAll(to); err != nil { // first: without what says so it would count as replayed
			return err
		}
		return n.config.Files.RemoveAll(n.begunPath())
	}
	b, err := n.beginOf(trust, c.Snapshots)
	if err != nil {
		return err
	}
	next, err := n.openRegister(false)
	if err != nil {
		return err
	}
	if err := n.Register.Adopt(next); err != nil {
		return errors.Join(err, next.Close())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begun = b
	return nil
}

// firstRecord is the ID of the record that the log begins with: the charter, by which others pin it.
func firstRecord(ctx context.Context, store ledger.Store) (id record.ID, err error) {
	entries, err := store.Entries(ctx, 0, 1)
	if err != nil {
		return id, fmt.Errorf("reading the first entry: %w", err)
	}
	e, err := record.ParseEntry(entries[0])
	if err != nil {
		return id, fmt.Errorf("the first entry: %w", err)
	}
	return record.IDOf(e.Envelope.Payload), nil
}

// replay replays the log up to the snapshot, and compares.
func (b *begun) replay(ctx context.Context, log *ledger.Follower[record.Verified]) error {
	return b.trust.ReplayBehind(b.snapshot, func(own *register.Register) error {
		return log.Replay(ctx, public.Fold(own), b.snapshot.Tree.Size)
	})
}

// nextRegister is where the register after the present one is made.
func (n *Node) nextRegister() (string, error) {
	dir := n.config.Files.PathJoin(n.config.Dir, "register")
	all, err := disk.Generations(n.config.Files, dir)
	if err != nil {
		return "", fmt.Errorf("looking for the register: %w", err)
	}
	return n.config.Files.PathJoin(dir, strconv.Itoa(append(all, 0)[0]+1)), disk.MakeDir(n.config.Files, dir, 0o755)
}

// dropUnreplayed puts what was replayed behind a snapshot, as far as that came, in the place of a register
// that began with it and that nobody has compared to the end. No register is open.
func (n *Node) dropUnreplayed() error {
	files := n.config.Files
	if _, err := files.Stat(n.begunPath()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	trust, err := client.OpenTrust(files, n.begunPath())
	if err == nil {
		if v, err := trust.Unreplayed(); v == nil && err == nil {
			return files.RemoveAll(n.begunPath())
		}
	} else if errors.Is(err, client.ErrNoTrust) {
		return files.RemoveAll(n.begunPath())
	}
	n.config.Log.Warn("the register began with a snapshot behind which the log was not replayed to the end: it is made anew from the entries", "origin", n.config.Keys.Origin)
	next, err := n.nextRegister()
	if err != nil {
		return err
	}
	err = fs.ErrNotExist
	if trust != nil {
		err = disk.Rename(files, trust.ReplayedBehind(), next)
	}
	if errors.Is(err, fs.ErrNotExist) { // nothing was replayed
		err = disk.MakeDir(files, next, 0o755)
	}
	if err != nil {
		return fmt.Errorf("putting what was replayed in the place of a register that began with a snapshot: %w", err) // which counts as unreplayed as long as that is there
	}
	return files.RemoveAll(n.begunPath())
}
