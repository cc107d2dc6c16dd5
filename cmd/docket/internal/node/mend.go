package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"time"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/public"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/server"
)

// The register is derived, and comes back by itself. It stands in generations: the one
// with the largest number is in use, whole or not, since what it lacks is replayed. One
// that is found to be damaged is replaced by the next, beside it, while it is still read.

// openRegister opens the register with the largest number, or one after it.
func (n *Node) openRegister(next bool) (*register.Register, error) {
	files, dir := n.config.Files, n.config.Files.PathJoin(n.config.Dir, "register")
	all, err := disk.Generations(files, dir)
	if err != nil {
		return nil, fmt.Errorf("looking for the register: %w", err)
	}
	all = append(all, 0)
	number := max(all[0], 1)
	if next {
		number = all[0] + 1
	}
	if err := disk.MakeDir(files, dir, 0o755); err != nil {
		return nil, fmt.Errorf("making %s: %w", dir, err)
	}
	o := client.RegisterOptions()
	o.CacheBytes, o.Health = 256<<20, n.health
	r, err := register.Open(files, files.PathJoin(dir, strconv.Itoa(number)), o)
	if err == nil && r.WasEarlier() {
		n.config.Log.Warn("the register is of an earlier version of docket, and is made anew from the entries", "origin", n.config.Keys.Origin)
	}
	return r, err
}

// dropRegisters removes the registers whose place another has taken, and what an earlier
// version kept there. None of them is open.
func (n *Node) dropRegisters() error {
	files, dir := n.config.Files, n.config.Files.PathJoin(n.config.Dir, "register")
	all, err := disk.Generations(files, dir)
	if err != nil {
		return err
	}
	names, err := files.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, name := range names {
		if len(all) == 0 || name != strconv.Itoa(all[0]) {
			err = errors.Join(err, files.RemoveAll(files.PathJoin(dir, name)))
		}
	}
	return err
}

// mendAgain is how long the next try waits after one that failed.
const mendAgain = time.Minute

// mend makes the register anew whenever a read finds it damaged, until ctx ends.
func (n *Node) mend(ctx context.Context) {
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.health.News():
		case <-again:
		}
		again = nil
		if !slices.ContainsFunc(n.health.Damage(), func(d disk.Damage) bool { return d.Name == register.Name }) {
			continue
		}
		if err := n.mendRegister(ctx); err != nil && ctx.Err() == nil {
			n.config.Log.Error("the register was not made anew; it is tried again", "origin", n.config.Keys.Origin, "in", mendAgain.String(), "err", err)
			again = time.After(mendAgain)
		}
	}
}

func (n *Node) mendRegister(ctx context.Context) error {
	begun := time.Now()
	next, err := n.openRegister(true)
	if err != nil {
		return err
	}
	if err := n.Ledger.Refold(ctx, public.Fold(next), func() error { return n.Register.Adopt(next) }); err != nil {
		return errors.Join(err, next.Reset(), next.Close())
	}
	n.config.Log.Warn("the register was damaged, and was made anew from the entries", "origin", n.config.Keys.Origin, "size", n.Register.Size(), "took", time.Since(begun).Round(time.Millisecond).String())
	return nil
}

// damage is what the server tells of.
func (n *Node) damage() []server.Damage {
	words := make(map[string]string)
	for _, d := range n.health.Damage() {
		words[d.Name] = d.String()
	}
	var all []server.Damage
	databases := []string{register.Name}
	if n.pebble != nil {
		databases = []string{pebblestore.Name, register.Name}
	}
	for _, name := range databases {
		all = append(all, server.Damage{Database: name, Words: words[name], Events: n.health.Events(name)})
	}
	return all
}
