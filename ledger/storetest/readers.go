package storetest

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/reader"
)

// The laws of who reads a store, while another one writes to it and beside a [reader.Reader].

// NewLogKey makes a log key and the policy that wants it and no witness.
func NewLogKey(t testing.TB, origin string) (*proof.Signer, *proof.Policy) {
	t.Helper()
	skey, vkey, err := proof.GenerateKey(proof.Ed25519, origin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := proof.ParseSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	policy, err := proof.ParsePolicy([]byte("log " + vkey + "\nquorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	return signer, policy
}

// lawReaderFollows has a Reader on a second handle show what is published by the first, no
// more and no less, whatever is committed meanwhile.
func lawReaderFollows(t *testing.T, w Medium) {
	const origin = "log.example/followed"
	signer, policy := NewLogKey(t, origin)
	writer := openStore(t, w)
	r := reader.New(w.Second(t, writer.ClosableStore), reader.Config{
		Verify: func(note []byte) (*proof.Published, error) { return policy.Verify(note, time.Now()) },
	})
	refresh := func(want uint64) {
		t.Helper()
		if err := r.Refresh(t.Context()); err != nil || r.PublishedSize() != want {
			t.Fatalf("the reader is at %d, %v; want %d", r.PublishedSize(), err, want)
		}
	}
	var note []byte
	publish := func(tree proof.Tree) {
		t.Helper()
		signed, err := proof.SignCheckpoint(proof.Checkpoint{Origin: origin, Size: tree.Size, Root: tree.Root}, signer)
		if err != nil {
			t.Fatal(err)
		}
		if err := writer.Publish(t.Context(), note, signed.Note()); err != nil {
			t.Fatal(err)
		}
		note = signed.Note()
	}
	refresh(0)
	log := &ReferenceLog{}
	for _, n := range []int{1, 3, 251, 1, 44, 300, manyEntries(w) + 464} {
		before := r.PublishedSize()
		extend(t, writer, log.Grow(n))
		size := len(log.entries)
		refresh(before) // committed is not published
		if _, err := r.Entry(t.Context(), uint64(size-1)); !errors.Is(err, reader.ErrUnpublished) {
			t.Errorf("entry %d, not published: %v", size-1, err)
		}
		_, changed := r.Next()
		at := log.Head(size)
		publish(at)
		extend(t, writer, log.Grow(2)) // the store goes on
		refresh(uint64(size))
		select {
		case <-changed:
		default:
			t.Error("nobody was told of the next checkpoint")
		}
		for _, i := range []int{0, size / 2, size - 1} {
			receipt, err := r.Receipt(t.Context(), uint64(i))
			if err != nil {
				t.Fatalf("receipt of %d of %d: %v", i, size, err)
			}
			if v, err := receipt.Verify(policy, time.Now()); err != nil || !bytes.Equal(v.Entry(), log.entries[i]) || v.Published().Checkpoint().Tree() != at {
				t.Fatalf("receipt of %d of %d: %v", i, size, err)
			}
		}
		for id := range Tiles(before, uint64(size)) {
			if got, err := r.Tile(t.Context(), id); err != nil || !bytes.Equal(got, log.Tile(id)) {
				t.Fatalf("%v of %d: %v", id, size, err)
			}
		}
		got, err := r.Entries(t.Context(), before, uint64(size))
		if err != nil || !slices.EqualFunc(got, log.entries[before:size], bytes.Equal) {
			t.Fatalf("entries [%d, %d): %v", before, size, err)
		}
		path, err := r.ConsistencyProof(t.Context(), before, uint64(size))
		if err != nil {
			t.Fatal(err)
		}
		if err := proof.VerifyConsistency(log.Head(int(before)), at, path); err != nil {
			t.Fatal(err)
		}
	}
	// What does not continue it is not shown, and what was shown stays.
	last := r.PublishedSize()
	for what, tree := range map[string]proof.Tree{
		"smaller":             log.Head(5),
		"of another history":  {Size: last + 1, Root: proof.LeafHash(nil)},
		"another of its size": {Size: last, Root: proof.LeafHash(nil)},
	} {
		publish(tree)
		if err := r.Refresh(t.Context()); what != "of another history" && !errors.Is(err, proof.ErrInconsistent) || err == nil || r.PublishedSize() != last {
			t.Errorf("%s: the reader is at %d, %v", what, r.PublishedSize(), err)
		}
		if _, err := r.Receipt(t.Context(), 1); err != nil {
			t.Errorf("%s: and then: %v", what, err)
		}
	}
}

// lawNoSharedBuffers spoils what was given and what was returned.
func lawNoSharedBuffers(t *testing.T, w Medium) {
	s := openStore(t, w)
	log := &ReferenceLog{}
	overwritten := log.Clone().Grow(3)
	extend(t, s, overwritten)
	log.Grow(3)
	for _, e := range overwritten.Entries {
		clear(e)
	}
	for _, tile := range overwritten.Tiles {
		clear(tile.Hashes)
	}
	for range 2 {
		e, err := s.Entries(t.Context(), 0, 3)
		if err != nil {
			t.Fatal(err)
		}
		h, err := s.Tiles(t.Context(), []proof.TileID{{Width: 3}})
		if err != nil {
			t.Fatal(err)
		}
		checkStore(t, s, log)
		clear(e[1])
		clear(h[0])
	}
	checkStore(t, s, log)
}

// lawConcurrentReaders reads whatever the head says while it moves.
func lawConcurrentReaders(t *testing.T, w Medium) {
	s := openStore(t, w)
	full := &ReferenceLog{}
	full.Grow(2000)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for r := range uint64(3) {
		readers.Go(func() {
			rng := rand.New(rand.NewPCG(r, 0))
			for {
				select {
				case <-done:
					return
				default:
				}
				h, err := s.Head(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if h.Size == 0 {
					continue
				}
				if want := full.Head(int(h.Size)); h != want {
					t.Errorf("head %v, want %v", h, want)
					return
				}
				i := rng.Uint64N(h.Size)
				e, err := s.Entries(t.Context(), i, h.Size)
				if err != nil || !bytes.Equal(e[0], full.entries[i]) || uint64(len(e)) != h.Size-i {
					t.Errorf("entries [%d, %d): %d of them, %v", i, h.Size, len(e), err)
					return
				}
			}
		})
	}
	log := &ReferenceLog{}
	for len(log.entries) < len(full.entries) {
		extend(t, s, log.Grow(20))
	}
	close(done)
	readers.Wait()
	checkStore(t, s, log)
}
