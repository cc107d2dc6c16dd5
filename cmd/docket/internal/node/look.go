package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/stores"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// Seen is what a ledger's directory holds that nobody has open, as far as a look shows it:
// [Fsck] reads all of it.
type Seen struct {
	Head      ledger.Head
	Published []byte        // the note; nil if nothing is published
	Policy    *proof.Policy // of the newest charter; nil without one, or without a register
	Sealed    string        // why no writer may open it; empty if one may
	Epoch     uint64        // of its newest writer, where several machines reach the store
}

// Look reads that, and changes nothing. [ErrInUse] if another process has the directory
// open, [ErrNoLedger] if there is no store; any other error says what is wrong with it.
func Look(ctx context.Context, files vfs.FS, dir string) (seen Seen, err error) {
	if err := HasStore(files, dir); errors.Is(err, fs.ErrNotExist) {
		return seen, fmt.Errorf("%s: %w", dir, ErrNoLedger)
	} else if err != nil {
		return seen, err
	}
	lock, err := Lock(files, dir)
	if err != nil {
		return seen, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	store, err := openToRead(ctx, files, dir, stores.Options{}, nil)
	if err != nil {
		return seen, err
	}
	defer store.Close() // it was only read
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	if seen.Sealed, err = store.Sealed(ctx); err != nil {
		return seen, err
	}
	if shared, ok := store.(ledger.Shared); ok {
		if seen.Epoch, err = shared.Epoch(ctx); err != nil {
			return seen, err
		}
	}
	if seen.Published, err = store.Published(ctx); err != nil {
		return seen, err
	}
	if seen.Head, err = store.Head(ctx); err != nil { // after it: a writer elsewhere goes on
		return seen, err
	}
	all, err := disk.Generations(files, files.PathJoin(dir, "register"))
	if err != nil || len(all) == 0 {
		return seen, err
	}
	o := client.RegisterOptions()
	o.ReadOnly = true
	reg, err := register.Open(files, files.PathJoin(files.PathJoin(dir, "register"), strconv.Itoa(all[0])), o)
	if errors.Is(err, register.ErrLaterVersion) {
		return seen, err
	} else if err != nil {
		return seen, nil // it comes back by itself
	}
	defer reg.Close() // it was only read
	if reg.Size() == 0 {
		return seen, nil
	}
	era, err := reg.PolicyEpochAt(reg.Size())
	if err != nil {
		return seen, nil
	}
	seen.Policy, err = proof.ParsePolicy([]byte(era.Policy))
	return seen, err
}

// Agree compares the keys with a policy: those that it names and that are not here, and
// those that are here and that it does not name, as people tell them apart.
func (k Keys) Agree(policy *proof.Policy) (missing, unnamed []string) {
	m, u := k.diffPolicy(policy)
	for _, key := range m {
		missing = append(missing, keyText(key))
	}
	for _, key := range u {
		unnamed = append(unnamed, keyText(key))
	}
	return missing, unnamed
}

// HaveSigned says whether one of the keys bears the mark of having signed entries.
func (k Keys) HaveSigned(files vfs.FS, dir string) (bool, error) {
	return signedMarks{files, files.PathJoin(dir, "keys")}.anyMarked(k.Signers)
}
