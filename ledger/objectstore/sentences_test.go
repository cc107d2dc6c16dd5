package objectstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/objectstore"
	"github.com/seed-53cf897a/docket/ledger/objectstore/objectstoretest"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

// What ledger/DESIGN.md section 6, "The object store" says, sentence by sentence.

const origin = "log.example/bucket"

// signedLog is a log with a key.
type signedLog struct {
	storetest.ReferenceLog
	t      testing.TB
	signer *proof.Signer
	note   []byte // the newest
	size   int
}

func newSignedLog(t testing.TB) *signedLog {
	signer, _ := storetest.NewLogKey(t, origin)
	return &signedLog{t: t, signer: signer}
}

func (l *signedLog) commit(s ledger.Store, n int) {
	l.t.Helper()
	if err := s.Extend(l.t.Context(), l.Grow(n)); err != nil {
		l.t.Fatal(err)
	}
	l.size += n
}

func (l *signedLog) sign(size int) []byte {
	l.t.Helper()
	tree := l.Head(size)
	signed, err := proof.SignCheckpoint(proof.Checkpoint{Origin: origin, Size: tree.Size, Root: tree.Root}, l.signer)
	if err != nil {
		l.t.Fatal(err)
	}
	return signed.Note()
}

func (l *signedLog) publish(s ledger.Store, size int) {
	l.t.Helper()
	next := l.sign(size)
	if err := s.Publish(l.t.Context(), l.note, next); err != nil {
		l.t.Fatal(err)
	}
	l.note = next
}

func fanOut(t testing.TB, s *objectstore.Store) {
	t.Helper()
	if err := s.FanOut(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// check reads all of the log.
func (l *signedLog) check(s ledger.Store) {
	l.t.Helper()
	if h, err := s.Head(l.t.Context()); err != nil || h != l.Head(l.size) {
		l.t.Fatalf("head %v, %v; want %v", h, err, l.Head(l.size))
	}
	entries, err := s.Entries(l.t.Context(), 0, uint64(l.size))
	if err != nil {
		l.t.Fatal(err)
	}
	if again := storetest.NewReferenceLog(entries); again.Head(l.size) != l.Head(l.size) {
		l.t.Fatal("the entries are others")
	}
	var ids []proof.TileID
	for id := range storetest.Tiles(0, uint64(l.size)) {
		ids = append(ids, id)
		if id.Width > 1 {
			id.Width /= 2
			ids = append(ids, id)
		}
	}
	rows, err := s.Tiles(l.t.Context(), ids)
	if err != nil {
		l.t.Fatal(err)
	}
	for i, id := range ids {
		if !bytes.Equal(rows[i], l.Tile(id)) {
			l.t.Fatalf("%s is another", id)
		}
	}
}

const (
	publicPrefix = "some/log/public/"
	stagesPrefix = "some/log/private/stages/"
)

func stages(w *world) (names []string) {
	for key := range w.server.Objects() {
		if name, ok := strings.CutPrefix(key, stagesPrefix); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func publicCheckpoint(t testing.TB, w *world) (size uint64) {
	t.Helper()
	note, ok := w.server.Objects()[publicPrefix+"checkpoint"]
	if !ok {
		return 0
	}
	cp, _, err := proof.ParseCheckpoint(note)
	if err != nil {
		t.Fatal(err)
	}
	return cp.Size
}

// The public prefix, as any static server serves it, is a whole C2SP tlog-tiles log: at each
// published size all tiles and bundles are there before the checkpoint is, the partial ones too.
func TestStaticServer(t *testing.T) {
	w := newWorld()
	w.config = manual
	s, link := taken(t, w)
	log := newSignedLog(t)
	dir := t.TempDir()
	static := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer static.Close()
	reader, err := wire.NewLog(static.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	written := map[string]bool{}
	link.Set(func(r objectstoretest.Request) objectstoretest.Fault {
		if strings.HasPrefix(r.Key, publicPrefix) && r.Method == "PUT" {
			if strings.HasSuffix(r.Key, "checkpoint") {
				written = map[string]bool{}
			} else if written[r.Key] {
				t.Errorf("%s was written twice", r.Key)
			}
			written[r.Key] = true
		}
		return objectstoretest.None
	})
	for _, n := range []int{1, 1, 254, 1, 1, 300, 41, 1, 700, 9, 256} {
		log.commit(s, n)
		if n != 41 { // a published size need not be that of each commit
			log.publish(s, log.size)
		}
		log.commit(s, 1)
		fanOut(t, s)
		for key, data := range w.server.Objects() {
			if path, ok := strings.CutPrefix(key, publicPrefix); ok {
				write(t, filepath.Join(dir, filepath.FromSlash(path)), data)
			}
		}
		note, err := reader.Checkpoint(t.Context())
		if err != nil || !bytes.Equal(note, log.note) {
			t.Fatalf("the checkpoint is %q, %v; want %q", note, err, log.note)
		}
		cp, _, err := proof.ParseCheckpoint(note)
		if err != nil {
			t.Fatal(err)
		}
		var entries [][]byte
		for id := range proof.EntryBundles(0, cp.Size) {
			bundle, err := reader.Bundle(t.Context(), id)
			if err != nil {
				t.Fatalf("size %d: %v", cp.Size, err)
			}
			entries = append(entries, bundle...)
		}
		if again := storetest.NewReferenceLog(entries); again.Head(int(cp.Size)) != cp.Tree() {
			t.Fatalf("size %d: the entries have another root", cp.Size)
		}
		for id := range storetest.Tiles(0, cp.Size) {
			rows, err := reader.Tiles(t.Context(), []proof.TileID{id})
			if err != nil || !bytes.Equal(rows[0], log.Tile(id)) {
				t.Fatalf("size %d: %s: %v", cp.Size, id, err)
			}
		}
	}
	// Who reads the bucket reads the same, also once the partial tiles are deleted of which the full
	// ones are there.
	for key := range w.server.Objects() {
		if full, _, partial := strings.Cut(key, ".p/"); partial && w.server.Objects()[full] != nil {
			w.server.Delete(key)
		}
	}
	log.check(w.Handle(t))
	after, _ := taken(t, w)
	log.check(after)
	log.commit(after, 300)
	log.publish(after, log.size)
	fanOut(t, after)
	log.check(w.Handle(t))
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// A head that was there and is missing is loss, never a beginning, for whoever opens the store.
func TestHeadThatVanished(t *testing.T) {
	for _, gone := range [][]string{{"private/head"}, {"private/published"}, {"private/head", "private/published"}} {
		w := newWorld()
		w.config = manual
		s, _ := taken(t, w)
		log := newSignedLog(t)
		log.commit(s, 300)
		log.publish(s, 300)
		fanOut(t, s)
		if len(gone) == 2 {
			gone = append(gone, "public/checkpoint")
			for _, name := range stages(w) {
				gone = append(gone, strings.TrimPrefix(stagesPrefix, "some/log/")+name)
			}
		}
		for _, name := range gone {
			w.server.Delete("some/log/" + name)
		}
		before := w.server.Objects()
		for what, h := range map[string]ledger.Store{"who wrote": s, "another": w.Handle(t)} {
			_, headErr := h.Head(t.Context())
			_, publishedErr := h.Published(t.Context())
			if slices.Contains(gone, "private/head") && !errors.Is(headErr, objectstore.ErrLost) || slices.Contains(gone, "private/published") && !errors.Is(publishedErr, objectstore.ErrLost) {
				t.Errorf("without %v %s reads the head: %v, and what is published: %v; want ErrLost", gone[:1], what, headErr, publishedErr)
			}
			x := log.Clone().Grow(3)
			if err := h.Extend(t.Context(), x); slices.Contains(gone, "private/head") && (err == nil || h == ledger.Store(s) && !errors.Is(err, objectstore.ErrLost)) {
				t.Errorf("without %v %s extended it: %v", gone[:1], what, err)
			}
		}
		if err := w.Handle(t).Take(t.Context()); !errors.Is(err, objectstore.ErrLost) || !errors.Is(err, ledger.ErrCorrupt) {
			t.Errorf("without %v it was taken: %v", gone[:1], err)
		}
		if !slices.Contains(gone, "private/head") {
			if err := s.Extend(t.Context(), log.Clone().Grow(4)); err == nil || errors.Is(err, ledger.ErrTakenOver) {
				t.Errorf("without %v, which nobody could take, its writer is told: %v", gone[:1], err)
			}
		}
		if after := w.server.Objects(); slices.Contains(gone, "private/head") && after["some/log/private/head"] != nil || len(gone) > 1 && len(after) > len(before)+2 {
			t.Errorf("without %v a log began", gone[:1])
		}
	}
}

// The public checkpoint never goes to a smaller size, whoever comes late; and a publication that
// comes late, after another has taken the store, is none.
func TestCheckpointNeverGoesBack(t *testing.T) {
	w := newWorld()
	w.config = manual
	zombie, link := taken(t, w)
	log := newSignedLog(t)
	log.commit(zombie, 10)
	log.publish(zombie, 10)

	// It fans out, and its checkpoint gets stuck.
	link.Set(func(r objectstoretest.Request) objectstoretest.Fault {
		if r.Method == "PUT" && strings.HasSuffix(r.Key, "public/checkpoint") {
			return objectstoretest.HangLater
		}
		return objectstoretest.None
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := zombie.FanOut(ctx); err == nil {
		t.Fatal("what got stuck was told as done")
	}
	after, _ := taken(t, w)
	log.commit(after, 10)
	log.publish(after, 20)
	fanOut(t, after)
	link.Release()
	if size := publicCheckpoint(t, w); size != 20 {
		t.Errorf("a late checkpoint: size %d is public, 20 was", size)
	}
	link.Set(nil)
	fanOut(t, zombie) // from what it knows
	if size := publicCheckpoint(t, w); size != 20 {
		t.Errorf("a zombie's fan-out: size %d is public, 20 was", size)
	}
	if err := zombie.Publish(t.Context(), log.sign(10), log.sign(5)); !errors.Is(err, ledger.ErrTakenOver) {
		t.Errorf("a zombie's publication: %v", err)
	}
	log.check(w.Handle(t))
}

// A zombie that cannot read the public checkpoint does not take its place; who publishes does,
// where it was spoilt.
func TestCheckpointThatCannotBeRead(t *testing.T) {
	w := newWorld()
	w.config = manual
	zombie, link := taken(t, w)
	log := newSignedLog(t)
	log.commit(zombie, 10)
	log.publish(zombie, 10)
	after, _ := taken(t, w)
	log.commit(after, 10)
	log.publish(after, 20)
	fanOut(t, after)
	link.Set(func(r objectstoretest.Request) objectstoretest.Fault {
		if r.Method == "GET" && strings.HasSuffix(r.Key, "public/checkpoint") {
			return objectstoretest.Cut
		}
		return objectstoretest.None
	})
	fanOut(t, zombie)
	if size := publicCheckpoint(t, w); size != 20 {
		t.Errorf("a zombie's fan-out: size %d is public, 20 was", size)
	}
	w.server.Put(publicPrefix+"checkpoint", []byte("spoilt"))
	log.commit(after, 5)
	log.publish(after, 25)
	fanOut(t, after)
	if size := publicCheckpoint(t, w); size != 25 {
		t.Errorf("size %d is public, 25 is published", size)
	}
}

// A checkpoint that was cosigned again is of the same size: the one that was published last stays.
func TestCheckpointOfTheSameSize(t *testing.T) {
	w := newWorld()
	w.config = manual
	zombie, _ := taken(t, w)
	log := newSignedLog(t)
	log.commit(zombie, 10)
	log.publish(zombie, 10)
	after, _ := taken(t, w)
	key, _, err := proof.GenerateKey(proof.Ed25519, origin)
	if err != nil {
		t.Fatal(err)
	}
	other, err := proof.ParseSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	tree := log.Head(10)
	again, err := proof.SignCheckpoint(proof.Checkpoint{Origin: origin, Size: tree.Size, Root: tree.Root}, log.signer, other)
	if err != nil {
		t.Fatal(err)
	}
	if err := after.Publish(t.Context(), log.note, again.Note()); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*objectstore.Store{after, zombie, after} {
		fanOut(t, s)
		if got := w.server.Objects()[publicPrefix+"checkpoint"]; !bytes.Equal(got, again.Note()) {
			t.Errorf("what is public is\n%s\nand the newest is\n%s", got, again.Note())
		}
	}
}

// A checkpoint is public only after all below it is: what cannot be written holds it back, and
// nothing else.
func TestCheckpointComesLast(t *testing.T) {
	for _, held := range []string{"public/tile/0/000", "public/tile/entries/000", "public/tile/0/001.p/44", "public/tile/entries/001.p/44", "public/tile/1/000.p/1"} {
		w := newWorld()
		w.config = manual
		s, link := taken(t, w)
		log := newSignedLog(t)
		log.commit(s, 300)
		log.publish(s, 300)
		link.Set(func(r objectstoretest.Request) objectstoretest.Fault {
			if r.Method == "PUT" && strings.HasSuffix(r.Key, held) {
				return objectstoretest.Lost
			}
			return objectstoretest.None
		})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if err := s.FanOut(ctx); err == nil || publicCheckpoint(t, w) != 0 {
			t.Errorf("without %s: %v, and the checkpoint of size %d is public", held, err, publicCheckpoint(t, w))
		}
		cancel()
		log.commit(s, 3) // which is not held back
		link.Set(nil)
		fanOut(t, s)
		if size := publicCheckpoint(t, w); size != 300 {
			t.Errorf("and then: size %d is public, want 300", size)
		}
		log.check(w.Handle(t))
	}
}

// Stages that no head will ever name are deleted, whoever staged them, and those that are public, an
// hour after they were seen so; one that was taken over deletes nothing that is needed.
func TestCleanUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.config = manual
		zombie, link := taken(t, w)
		log := newSignedLog(t)
		log.commit(zombie, 10)
		cleanUp := func(s *objectstore.Store) {
			t.Helper()
			if err := s.CleanUp(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		// It stages, and cannot swap.
		link.Set(func(r objectstoretest.Request) objectstoretest.Fault {
			if r.Method == "PUT" && strings.HasSuffix(r.Key, "private/head") {
				return objectstoretest.Lost
			}
			return objectstoretest.None
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		other := log.Clone()
		other.Salt = "of a zombie"
		if err := zombie.Extend(ctx, other.Grow(5)); err == nil {
			t.Fatal("an extension that could not be swapped")
		}
		link.Set(nil)
		if got := stages(w); len(got) != 2 {
			t.Fatalf("stages %q", got)
		}
		// The head is still at its old size: it might be named yet.
		after, _ := taken(t, w)
		for range 3 {
			cleanUp(after)
			cleanUp(zombie)
			time.Sleep(2 * time.Hour)
		}
		if got := stages(w); len(got) != 2 {
			t.Fatalf("stages %q", got)
		}
		w.server.Put(stagesPrefix+".stage.tmp.17", []byte("none of ours"))
		log.commit(after, 10)
		log.commit(after, 10)
		for range 3 {
			cleanUp(zombie) // which knows of none of this
			time.Sleep(2 * time.Hour)
		}
		log.check(w.Handle(t))
		if got := stages(w); len(got) != 5 {
			t.Fatalf("a zombie deleted of its 5: %q", got)
		}
		cleanUp(after)
		time.Sleep(59 * time.Minute)
		cleanUp(after)
		if got := stages(w); len(got) != 5 {
			t.Fatalf("before an hour was over: %q", got)
		}
		time.Sleep(2 * time.Minute)
		cleanUp(after)
		if got := stages(w); len(got) != 4 || slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, fmt.Sprintf("%020d-%020d", 10, 15)) }) {
			t.Fatalf("what was never named is still there: %q", got)
		}
		// Public ones go, an hour after a head leaves them out; who reads by an older head goes on.
		reader := w.Handle(t)
		if _, err := reader.Head(t.Context()); err != nil {
			t.Fatal(err)
		}
		log.publish(after, 30)
		fanOut(t, after)
		cleanUp(after)
		time.Sleep(2 * time.Hour)
		cleanUp(after)
		if got := stages(w); len(got) != 4 {
			t.Fatalf("stages that the head names are gone: %q", got)
		}
		log.commit(after, 1)
		for range 3 {
			cleanUp(after)
			time.Sleep(31 * time.Minute)
		}
		if got := stages(w); len(got) != 2 {
			t.Fatalf("want the newest stage and what is none of ours: %q", got)
		}
		if got, err := reader.Entries(t.Context(), 0, 30); err != nil || len(got) != 30 {
			t.Errorf("who misses a stage: %d entries, %v", len(got), err)
		}
		log.check(reader)
	})
}

// A store that deletes nothing keeps nobody from committing, and once it does again, what is due goes.
func TestCleanUpHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.config = func(c *objectstore.Config) { c.KeepStages = time.Hour }
		s, link := taken(t, w)
		log := newSignedLog(t)
		commit := func(n int) {
			t.Helper()
			for range n {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				err := s.Extend(ctx, log.Grow(10))
				cancel()
				if log.size += 10; err != nil {
					t.Fatal(err)
				}
			}
			log.publish(s, log.size)
			synctest.Wait()
		}
		commit(5)
		link.Set(func(r objectstoretest.Request) objectstoretest.Fault {
			if r.Method == "LIST" || r.Method == "DELETE" {
				return objectstoretest.SlowDown
			}
			return objectstoretest.None
		})
		time.Sleep(10*time.Minute + time.Second) // it looks for what is due
		commit(40)
		link.Set(nil)
		commit(1) // whose head names no other stage
		time.Sleep(2 * time.Hour)
		if left := stages(w); len(left) > 2 {
			t.Errorf("%d stages are left", len(left))
		}
	})
}

// Who closes the store leaves the public log at what was published last.
func TestCloseFansOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 5 {
			w := newWorld()
			w.faults = func(l *objectstoretest.Link) { l.Delay = 50 * time.Millisecond }
			s, _ := taken(t, w)
			log := newSignedLog(t)
			log.commit(s, 300)
			log.publish(s, 300)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if size := publicCheckpoint(t, w); size != 300 {
				t.Errorf("size %d is public, want 300", size)
			}
		}
	})
}

// Whatever part of the fan-out a writer came to, the next one takes it up.
func TestFanOutGoesOn(t *testing.T) {
	puts := 0
	for most := 0; ; most++ {
		w := newWorld()
		w.config = manual
		s, link := taken(t, w)
		log := newSignedLog(t)
		log.commit(s, 200)
		log.publish(s, 200)
		fanOut(t, s)
		log.commit(s, 400)
		log.publish(s, 600)
		log.commit(s, 50)
		puts = 0
		ctx, cancel := context.WithCancel(t.Context())
		link.Set(func(r objectstoretest.Request) objectstoretest.Fault {
			if r.Method == "PUT" {
				if puts++; puts > most {
					cancel()
					return objectstoretest.Lost
				}
			}
			return objectstoretest.None
		})
		err := s.FanOut(ctx)
		cancel()
		if size := publicCheckpoint(t, w); err == nil && size != 600 || err != nil && size != 200 {
			t.Fatalf("after %d PUTs: %v, and size %d is public", most, err, size)
		}
		after, _ := taken(t, w)
		log.check(w.Handle(t))
		fanOut(t, after)
		if size := publicCheckpoint(t, w); size != 600 {
			t.Fatalf("after %d PUTs, and then all: size %d is public", most, size)
		}
		log.commit(after, 1)
		log.check(w.Handle(t))
		if err == nil {
			break
		}
	}
	if puts < 8 {
		t.Errorf("%d PUTs were interrupted, want one for each tile, bundle and checkpoint", puts)
	}
}

// Where nothing is published for long, the head does not grow with every commit, a new writer goes on from
// there, and once it is published all is public.
func TestPublishingStandsStill(t *testing.T) {
	for _, n := range []int{1, 17} {
		w := newWorld()
		w.config = manual
		s, _ := taken(t, w)
		log := newSignedLog(t)
		log.commit(s, 100)
		log.publish(s, 100)
		fanOut(t, s)
		log.commit(s, 200) // so that one stands in from 256 on, where a tile of level 1 begins
		largest := 0
		for i := range 160 {
			log.commit(s, n)
			largest = max(largest, len(w.server.Objects()["some/log/private/head"]))
			if i%40 == 39 {
				log.check(w.Handle(t))
				s, _ = taken(t, w)
			}
		}
		if largest > 20_000 {
			t.Errorf("the head has %d bytes", largest)
		}
		log.publish(s, log.size-3)
		fanOut(t, s)
		if size := publicCheckpoint(t, w); size != uint64(log.size-3) {
			t.Errorf("size %d is public, want %d", size, log.size-3)
		}
		log.commit(s, 1)
		log.check(w.Handle(t))
		s, _ = taken(t, w)
		log.commit(s, 300)
		log.publish(s, log.size)
		fanOut(t, s)
		log.commit(s, 1)
		log.check(w.Handle(t))
	}
}

// What is committed is not kept in memory until it is published.
func TestUnpublishedIsNotKept(t *testing.T) {
	w := newWorld()
	w.config = manual
	s, _ := taken(t, w)
	log := newSignedLog(t)
	for range 200 {
		log.commit(s, 100)
	}
	fanOut(t, s)
	if entries, tiles := s.Behind(); entries >= 256 || tiles > 3 {
		t.Errorf("%d entries and %d tiles of %d entries are in memory", entries, tiles, log.size)
	}
	log.publish(s, 300) // of which tiles and entries are read where they are
	fanOut(t, s)
	if size := publicCheckpoint(t, w); size != 300 {
		t.Errorf("size %d is public, want 300", size)
	}
	log.publish(s, log.size)
	fanOut(t, s)
	if size := publicCheckpoint(t, w); size != uint64(log.size) {
		t.Errorf("size %d is public, want %d", size, log.size)
	}
	log.commit(s, 1)
	log.check(w.Handle(t))
}

// Extensions that are given at once go one after another, in their order. One that is given up while it waits
// changes nothing of those before and behind it.
func TestExtensionsGivenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.config = func(c *objectstore.Config) {
			manual(c)
			link := c.Transport
			c.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
				if r.Method == http.MethodPut {
					select {
					case <-r.Context().Done():
						return nil, r.Context().Err()
					case <-time.After(time.Second):
					}
				}
				return link.RoundTrip(r)
			})
		}
		s, _ := taken(t, w)
		log := newSignedLog(t)
		const n = 3
		errs := make(chan error, n)
		begin := func() {
			x := log.Grow(3)
			log.size += 3
			go func() { errs <- s.Extend(t.Context(), x) }()
			synctest.Wait()
		}
		begin()
		time.Sleep(1500 * time.Millisecond) // its head is being swapped
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := s.Extend(ctx, log.Clone().Grow(5)); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > 100*time.Millisecond {
			t.Errorf("given up while another one is under way: %v after %v", err, time.Since(begun))
		}
		begin()
		begin()
		for range n {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		log.commit(s, 4)
		log.check(s)
	})
}
