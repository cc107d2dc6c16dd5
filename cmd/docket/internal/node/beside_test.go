package node_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Another process reads what is committed, beside the one that writes; where nothing runs it
// holds the directory itself.
func TestReadBeside(t *testing.T) {
	t.Chdir(t.TempDir())
	const dir = "d/ledger"
	p := newTestNode(t, "none")
	p.ledgerWith(vfs.Default, 3)
	check(t, os.WriteFile(dir+"/backup.sock", nil, 0o644)) // which a crash has left
	s := p.serve(vfs.Default, nil)
	c, closer, err := node.OpenCommitted(t.Context(), vfs.Default, dir, nil)
	check(t, err)
	if mode, err := os.Stat(dir + "/backup.sock"); err != nil || mode.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", mode, err)
	}
	same := func() {
		t.Helper()
		head, err := c.Head(t.Context())
		check(t, err)
		entries, err := c.Entries(t.Context(), 0, head.Size)
		check(t, err)
		own, err := s.node.Ledger.Entries(t.Context(), 0, head.Size)
		check(t, err)
		for i := range own {
			if !bytes.Equal(own[i], entries[i]) {
				t.Errorf("entry %d is another one", i)
			}
		}
		tiles, err := c.Tiles(t.Context(), []proof.TileID{{Width: int(head.Size)}})
		check(t, err)
		leaf := proof.LeafHash(entries[0])
		note, err := c.Published(t.Context())
		check(t, err)
		if head.Size != uint64(len(own)) || !bytes.HasPrefix(tiles[0], leaf[:]) || !bytes.Equal(note, s.node.Ledger.Published().Note()) {
			t.Errorf("size %d of %d, checkpoint %q", head.Size, len(own), note)
		}
	}
	same()
	if status, body := s.post(p.world.Provider("acme-cloud")); status != 201 {
		t.Fatalf("%d %s", status, body)
	}
	same()
	if _, err := c.Entries(t.Context(), 0, node.MaxRead+1); err == nil {
		t.Error("any number of entries is read at once")
	}
	if count, err := c.ArchivedCount(t.Context()); err != nil {
		t.Error(err)
	} else if blobs, err := c.Archived(t.Context(), 0, count); err != nil || uint64(len(blobs)) != count {
		t.Errorf("%d of %d blobs, %v", len(blobs), count, err)
	}
	check(t, s.end()) // it does not wait for who is connected
	if _, err := c.Head(t.Context()); !errors.Is(err, node.ErrSilent) {
		t.Errorf("after its end: %v", err)
	}
	check(t, errors.Join(closer.Close(), s.node.Close()))
	if _, err := os.Stat(dir + "/backup.sock"); err == nil {
		t.Error("the socket is left")
	}

	c, closer, err = node.OpenCommitted(t.Context(), vfs.Default, dir, nil)
	check(t, err)
	if head, err := c.Head(t.Context()); err != nil || head.Size != 6 {
		t.Errorf("size %d, %v", head.Size, err)
	}
	if _, err := p.open(vfs.Default); !errors.Is(err, node.ErrInUse) {
		t.Errorf("it is opened meanwhile: %v", err)
	}
	n := errors.Join(closer.Close(), closer.Close())
	check(t, n)
	again, err := p.open(vfs.Default)
	check(t, err)
	if _, _, err := node.OpenCommitted(t.Context(), vfs.Default, dir, nil); !errors.Is(err, node.ErrSilent) || !strings.Contains(err.Error(), "backup.sock") {
		t.Errorf("beside one that does not serve: %v", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, _, err := node.OpenCommitted(ended, vfs.Default, dir, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("whoever asked does not wait any more: %v", err)
	}
	check(t, again.Close())
	if _, _, err := node.OpenCommitted(t.Context(), vfs.Default, "nothing", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no ledger: %v", err)
	}
}
