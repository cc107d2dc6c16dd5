package node_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/cosignatures"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/stores"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/objectstore"
	"github.com/seed-53cf897a/docket/ledger/objectstore/objectstoretest"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/server"
)

// openIn opens a ledger's directory on one machine, whose log is in a bucket.
func (p *testNode) openIn(files vfs.FS, s *objectstoretest.Server) (*node.Node, *objectstore.Store, error) {
	store, err := objectstore.Open(p.t.Context(), objectstoretest.Config(objectstoretest.NewLink(s)))
	check(p.t, err)
	p.t.Cleanup(func() { store.Close() })
	n, err := node.Open(p.t.Context(), node.Config{Files: files, Dir: "d/ledger", Keys: p.keys, Store: store, Cosignatures: cosignatures.Config{Transport: p}})
	return n, store, err
}

// Of two machines with the same keys the one that opened the ledger last writes. The other
// ends, and loses nothing that was acknowledged.
func TestTakenOver(t *testing.T) {
	p := newTestNode(t, "none")
	bucket := objectstoretest.NewServer()
	first, _, err := p.openIn(vfs.NewMem(), bucket)
	check(t, err)
	defer first.Close()
	_, _, err = first.Admit(t.Context(), p.charter)
	check(t, err)
	p.admit(first, p.world.Authority())
	ended := make(chan error, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	go func() { ended <- first.Serve(t.Context(), l, server.Config{}) }()

	second, _, err := p.openIn(vfs.NewMem(), bucket)
	check(t, err)
	defer second.Close()
	if second.Ledger.Head().Size != 2 || second.Register.Size() != 2 {
		t.Fatalf("the second opens at %v", second.Ledger.Head())
	}
	_, _, err = second.Admit(t.Context(), p.world.Designate("2026-800", p.world.NewDesignation("Orlop Data")))
	check(t, err)
	late := p.world.Designate("2026-900", p.world.NewDesignation("Lumen Resale"))
	v, err := record.Open(late, first.Register.CandidateKeysFor(late))
	check(t, err)
	ticket, err := first.Ledger.Append(t.Context(), v)
	check(t, err)
	if _, err := ticket.AwaitCommitted(t.Context()); !errors.Is(err, ledger.ErrTakenOver) {
		t.Errorf("a record that the first has accepted after it was taken over: %v", err)
	}
	if err := <-ended; !errors.Is(err, ledger.ErrTakenOver) {
		t.Errorf("it serves to its end: %v", err)
	}
}

// A bucket that was lost, or brought back older than what was derived from it, is found out
// before anything is signed.
func TestLostBucket(t *testing.T) {
	p := newTestNode(t, "none")
	bucket, files := objectstoretest.NewServer(), vfs.NewMem()
	n, store, err := p.openIn(files, bucket)
	check(t, err)
	_, _, err = n.Admit(t.Context(), p.charter)
	check(t, err)
	p.admit(n, p.world.Authority())
	check(t, store.FanOut(t.Context()))
	older := bucket.Clone()
	_, _, err = n.Admit(t.Context(), p.world.Designate("2026-800", p.world.NewDesignation("Orlop Data")))
	check(t, err)
	check(t, n.Register.Flush())
	check(t, errors.Join(n.Close(), store.Close()))
	for name, s := range map[string]*objectstoretest.Server{"empty": objectstoretest.NewServer(), "older": older} {
		if _, _, err := p.openIn(files, s); !errors.Is(err, ledger.ErrRollback) {
			t.Errorf("%s: %v", name, err)
		}
		if name == "empty" && len(s.Objects()) > 0 {
			t.Errorf("something was made in an empty bucket: %d objects", len(s.Objects()))
		}
	}
	n, _, err = p.openIn(files, bucket)
	check(t, err)
	check(t, n.Close())
}

// A store that falls silent once it was found is waited for, but not for ever.
func TestStoreThatFallsSilent(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	at, err := stores.Parse("s3://" + objectstoretest.Bucket + "/some/log?endpoint=http://s3.example&path-style&region=us-east-1")
	check(t, err)
	for name, open := range map[string]struct {
		reads int // of the head that are answered
		do    func(context.Context, vfs.FS, stores.Options) error
	}{
		"to write": {2, func(ctx context.Context, files vfs.FS, o stores.Options) error {
			_, err := node.OpenStore(ctx, files, "d/ledger", stores.URL{}, o)
			return err
		}},
		"to leave it": {1, func(ctx context.Context, files vfs.FS, o stores.Options) error {
			other, err := stores.Parse("s3://elsewhere/log")
			check(t, err)
			_, err = node.OpenStore(ctx, files, "d/ledger", other, o)
			return err
		}},
	} {
		synctest.Test(t, func(t *testing.T) {
			files, link := vfs.NewMem(), objectstoretest.NewLink(objectstoretest.NewServer())
			check(t, node.NoteStore(files, "d/ledger", at))
			writer, err := objectstore.Open(t.Context(), objectstoretest.Config(link))
			check(t, err)
			check(t, errors.Join(writer.Take(t.Context()), writer.Close()))
			link.Set(func(r objectstoretest.Request) objectstoretest.Fault {
				if r.Method == "GET" && strings.HasSuffix(r.Key, "private/head") {
					if open.reads--; open.reads < 0 {
						return objectstoretest.Hang
					}
				}
				return objectstoretest.None
			})
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			if err := open.do(ctx, files, stores.Options{Transport: link}); !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// A directory that notes a store is not opened without it.
func TestNotedStore(t *testing.T) {
	p, files := newTestNode(t, "none"), vfs.NewMem()
	at, err := stores.Parse("s3://records/cip")
	check(t, err)
	check(t, node.NoteStore(files, "d/ledger", at))
	if _, err := p.open(files); err == nil || !strings.Contains(err.Error(), "kept in s3://records/cip") {
		t.Errorf("opened without its store: %v", err)
	}
	if _, err := files.Stat("d/ledger/store"); err == nil {
		t.Error("a store was made in the directory")
	}
	check(t, node.NoteStore(files, "d/ledger", stores.URL{Directory: "d/ledger"}))
	n, err := p.open(files)
	check(t, err)
	check(t, n.Close())
}

// What fsck makes anew of a sealed store is sealed too: a ledger that has moved does not come
// to life again.
func TestFsckOfASealedLedger(t *testing.T) {
	p, files := newTestNode(t, "none"), vfs.NewCrashableMem()
	p.ledgerWith(files, 5)
	head := fsck(t, clone(t, files)).Head
	tile := proof.Tile{ID: proof.TileID{Width: int(head.Size)}, Hashes: make([]byte, head.Size*32)}
	check(t, node.Extend(files, "d/ledger/store", ledger.Extension{Old: head, New: head, Tiles: []proof.Tile{tile}}))
	s, err := pebblestore.Open(files, "d/ledger/store", pebblestore.Options{})
	check(t, err)
	check(t, errors.Join(s.Seal(t.Context(), "moved to s3://records/cip"), s.Close()))
	if r := fsck(t, files); len(r.Repaired) == 0 || len(r.Lost) > 0 || r.Sealed != "moved to s3://records/cip" {
		t.Fatalf("repaired %v, lost %v, sealed %q", r.Repaired, r.Lost, r.Sealed)
	}
	var sealed *ledger.SealedError
	if _, err := p.open(files); !errors.As(err, &sealed) {
		t.Errorf("it opens: %v", err)
	}
}
