package node

import (
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
)

// Rehearsals is what Serve runs beside the ledger.
func (n *Node) Rehearsals(ctx context.Context) { n.rehearsals(ctx) }

// Rehearsed is how the last one went.
func (n *Node) Rehearsed() Rehearsed { return n.collector.Rehearsed() }

// Extend extends a store that nobody has open, whatever the rules say.
func Extend(files vfs.FS, dir string, x ledger.Extension) error {
	s, err := pebblestore.Open(files, dir, pebblestore.Options{})
	if err != nil {
		return err
	}
	return errors.Join(s.Extend(context.Background(), x), s.Close())
}
