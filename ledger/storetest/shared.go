package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
)

// SharedMedium is where a store lies that several machines reach.
type SharedMedium interface {
	Medium

	// Handle is one more handle on the store, as another machine has it, beside all that are
	// open. It is not taken.
	Handle(t testing.TB) SharedHandle

	// Delay has whatever this handle sends from now on get stuck on its way, so that its calls
	// end with their contexts. What gets stuck, a request or the end of a transaction, is the
	// medium's to say. release lets it arrive, and waits until it has; the handle stays cut
	// off, as a machine that never came back.
	Delay(t testing.TB, h SharedHandle) (release func())
}

// SharedHandle is a [ledger.Shared] that can be closed. What a SharedMedium opens is one.
type SharedHandle interface {
	ledger.Shared
	Close() error
}

// sharedLaws are what [ledger.Shared] promises beyond [ledger.Store].
var sharedLaws = []struct {
	name  string
	check func(t *testing.T, w SharedMedium)
}{
	{"who has not taken the store writes nothing", lawNotTaken},
	{"a taking ends the writer before", lawTakenOver},
	{"a taking conflicts what is in flight", lawTakingConflictsLateWrites},
	{"a taking beside what arrives", lawTakingBesideLateWrites},
	{"of many takers one stays", lawOneTakerStays},
	{"a taking after another", lawTakeAfter},
	{"a sealing conflicts what is in flight", lawSealingConflictsLateWrites},
	{"blobs beside the log", lawBlobs},
}

func openHandle(t testing.TB, w SharedMedium) SharedHandle {
	t.Helper()
	h := w.Handle(t)
	t.Cleanup(func() { h.Close() })
	return h
}

func takenHandle(t testing.TB, w SharedMedium) SharedHandle {
	t.Helper()
	h := openHandle(t, w)
	if err := h.Take(t.Context()); err != nil {
		t.Fatalf("taking: %v", err)
	}
	return h
}

func wantEpoch(t testing.TB, h ledger.Shared, want uint64) {
	t.Helper()
	if got, err := h.Epoch(t.Context()); err != nil || got != want {
		t.Fatalf("epoch %d, %v; want %d", got, err, want)
	}
}

// sharedLog is a log with something of everything that a store keeps.
type sharedLog struct {
	*ReferenceLog
	note     []byte
	archived [][]byte
}

func newSharedLog(t testing.TB, s ledger.Store) *sharedLog {
	t.Helper()
	l := &sharedLog{&ReferenceLog{}, []byte("checkpoint"), [][]byte{[]byte("archived")}}
	extend(t, s, l.Grow(300))
	if err := errors.Join(s.Archive(t.Context(), 0, l.archived[0]), s.Publish(t.Context(), nil, l.note)); err != nil {
		t.Fatal(err)
	}
	return l
}

// growAs grows the log by what a writer of that name appends.
func (l *sharedLog) growAs(writer string, n int) ledger.Extension {
	l.Salt = writer
	defer func() { l.Salt = "" }()
	return l.Grow(n)
}

func (l *sharedLog) clone() *sharedLog {
	return &sharedLog{l.Clone(), l.note, slices.Clone(l.archived)}
}

func (l *sharedLog) check(t testing.TB, s ledger.Store) {
	t.Helper()
	checkStore(t, s, l.ReferenceLog)
	if p, err := s.Published(t.Context()); err != nil || !bytes.Equal(p, l.note) {
		t.Fatalf("published %q, %v; want %q", p, err, l.note)
	}
	if n, err := s.ArchivedCount(t.Context()); err != nil || n != uint64(len(l.archived)) {
		t.Fatalf("%d are archived, %v; want %d", n, err, len(l.archived))
	}
	for i, want := range l.archived {
		if b, err := s.Archived(t.Context(), uint64(i)); err != nil || !bytes.Equal(b, want) {
			t.Fatalf("archived %q, %v; want %q", b, err, want)
		}
	}
}

// write is a write to a store that holds the log, and what the log is once it is applied.
type write struct {
	name    string
	do      func(ctx context.Context, s ledger.Shared) error
	applied func()
}

// writes are all there are, of who believes that the store is as the log has it.
func (l *sharedLog) writes() []write {
	x := l.clone().growAs("another writer", 7)
	none := func() {}
	return []write{
		{"extending", func(ctx context.Context, s ledger.Shared) error { return s.Extend(ctx, x) }, func() { l.growAs("another writer", 7) }},
		{"publishing", func(ctx context.Context, s ledger.Shared) error { return s.Publish(ctx, l.note, []byte("another")) }, func() { l.note = []byte("another") }},
		{"archiving", func(ctx context.Context, s ledger.Shared) error {
			return s.Archive(ctx, uint64(len(l.archived)), []byte("another"))
		}, func() { l.archived = append(l.archived, []byte("another")) }},
		{"archiving the newest again", func(ctx context.Context, s ledger.Shared) error {
			return s.Archive(ctx, uint64(len(l.archived))-1, l.archived[len(l.archived)-1])
		}, none},
		{"unsealing", func(ctx context.Context, s ledger.Shared) error { return s.Unseal(ctx) }, none},
		{"sealing", func(ctx context.Context, s ledger.Shared) error { return s.Seal(ctx, "for no reason") }, none},
	}
}

func lawNotTaken(t *testing.T, w SharedMedium) {
	h := openHandle(t, w)
	wantEpoch(t, h, 0)
	x := (&ReferenceLog{}).Grow(3)
	for what, err := range map[string]error{
		"extending":  h.Extend(t.Context(), x),
		"publishing": h.Publish(t.Context(), nil, []byte("checkpoint")),
		"archiving":  h.Archive(t.Context(), 0, []byte("blob")),
		"sealing":    h.Seal(t.Context(), "for no reason"),
		"unsealing":  h.Unseal(t.Context()),
	} {
		if !errors.Is(err, ledger.ErrNotTaken) {
			t.Errorf("%s a new store that was not taken: %v, want ErrNotTaken", what, err)
		}
	}
	lawNewStoreIsEmpty(t, w) // which takes it
	wantEpoch(t, h, 1)
	writer := takenHandle(t, w)
	log := newSharedLog(t, writer)
	reader := openHandle(t, w)
	wantEpoch(t, reader, 2)
	for _, write := range log.writes() {
		if err := write.do(t.Context(), reader); !errors.Is(err, ledger.ErrNotTaken) {
			t.Errorf("%s a store that was not taken: %v, want ErrNotTaken", write.name, err)
		}
	}
	log.check(t, reader)
	for range 2 { // taking again is harmless
		if err := writer.Take(t.Context()); err != nil {
			t.Fatal(err)
		}
		log.check(t, writer)
	}
	extend(t, writer, log.Grow(3))
	log.check(t, reader)
}

func lawTakenOver(t *testing.T, w SharedMedium) {
	first := takenHandle(t, w)
	log := newSharedLog(t, first)
	for epoch := uint64(2); epoch < 5; epoch++ {
		second := takenHandle(t, w)
		wantEpoch(t, second, epoch)
		wantEpoch(t, first, epoch)
		for range 2 { // also when it knows
			for _, write := range log.writes() {
				if err := write.do(t.Context(), first); !errors.Is(err, ledger.ErrTakenOver) || !errors.Is(err, ledger.ErrConflict) {
					t.Errorf("%s after another has taken the store: %v, want ErrTakenOver", write.name, err)
				}
			}
		}
		log.check(t, second)
		extend(t, second, log.Grow(20))
		log.check(t, second)
		log.check(t, first) // which goes on reading
		first = second
	}
}

// lawTakingConflictsLateWrites is law 6: what an earlier handle has in flight when another
// takes the store comes too late.
func lawTakingConflictsLateWrites(t *testing.T, w SharedMedium) {
	first := takenHandle(t, w)
	log := newSharedLog(t, first)
	for i := range log.writes() {
		second := openHandle(t, w)
		write := log.writes()[i]
		release := getStuck(t, w, first, write)
		if err := second.Take(t.Context()); err != nil {
			t.Fatalf("taking while %s: %v", write.name, err)
		}
		log.check(t, second)
		release()
		log.check(t, second)
		extend(t, second, log.Grow(20))
		log.check(t, second)
		first = second
	}
}

// lawTakingBesideLateWrites has what an earlier handle has in flight arrive while another takes
// the store: it is then there, or is not, and stays so.
func lawTakingBesideLateWrites(t *testing.T, w SharedMedium) {
	first := takenHandle(t, w)
	log := newSharedLog(t, first)
	for i := range log.writes() {
		second := openHandle(t, w)
		write := log.writes()[i]
		release := getStuck(t, w, first, write)
		var arriving sync.WaitGroup
		arriving.Go(release)
		err := second.Take(t.Context())
		seen := []any{}
		see := func(v any, err error) {
			if err != nil {
				t.Fatalf("%s, and reading: %v", write.name, err)
			}
			seen = append(seen, v)
		}
		if err == nil {
			h, err := second.Head(t.Context())
			see(h.Size != uint64(len(log.entries)), err)
			p, err := second.Published(t.Context())
			see(!bytes.Equal(p, log.note), err)
			n, err := second.ArchivedCount(t.Context())
			see(n != uint64(len(log.archived)), err)
		}
		arriving.Wait()
		var sealed *ledger.SealedError
		if write.name == "sealing" && errors.As(err, &sealed) {
			return // nobody may take it any more; it is the last of the writes
		}
		if err != nil {
			t.Fatalf("taking while %s: %v", write.name, err)
		}
		if slices.Contains(seen, any(true)) {
			write.applied()
		}
		log.check(t, second)
		extend(t, second, log.Grow(20))
		log.check(t, second)
		first = second
	}
}

// getStuck has a write of a handle get stuck on its way.
func getStuck(t testing.TB, w SharedMedium, h SharedHandle, write write) (release func()) {
	t.Helper()
	release = w.Delay(t, h)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	switch err := write.do(ctx, h); write.name {
	case "extending", "publishing", "archiving", "sealing":
		if err == nil || errors.Is(err, ledger.ErrConflict) {
			t.Fatalf("%s, and it got stuck: %v", write.name, err)
		}
	}
	return release
}

// lawSealingConflictsLateWrites: what is in flight when the store is sealed comes too late, and who took it before
// is told of the seal.
func lawSealingConflictsLateWrites(t *testing.T, w SharedMedium) {
	writer, before := takenHandle(t, w), SharedHandle(nil)
	log := newSharedLog(t, writer)
	var releases []func()
	for _, write := range log.writes()[:3] {
		releases = append(releases, getStuck(t, w, writer, write))
		before, writer = takenHandle(t, w), takenHandle(t, w)
	}
	if err := writer.Seal(t.Context(), "moved"); err != nil {
		t.Fatal(err)
	}
	for _, release := range releases {
		release()
	}
	log.check(t, writer)
	log.check(t, openHandle(t, w))
	epoch, err := writer.Epoch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, after := range []uint64{0, epoch, epoch + 1} {
		if err := openHandle(t, w).TakeAfter(t.Context(), after); !isSealed(err, "moved") {
			t.Errorf("taking a sealed store of epoch %d after %d: %v", epoch, after, err)
		}
	}
	if err := openHandle(t, w).Take(t.Context()); !isSealed(err, "moved") {
		t.Errorf("taking a sealed store: %v", err)
	}
	for range 2 { // also when they know
		for _, write := range log.writes() {
			for what, h := range map[string]SharedHandle{"who sealed it": writer, "who took it before": before} {
				if err := write.do(t.Context(), h); !isSealed(err, "moved") {
					t.Errorf("%s a sealed store, by %s: %v", write.name, what, err)
				}
			}
		}
	}
	log.check(t, openHandle(t, w))
}

// lawOneTakerStays has many take at once: each gets an epoch of its own, and all but the
// last are told.
func lawOneTakerStays(t *testing.T, w SharedMedium) {
	log := newSharedLog(t, takenHandle(t, w))
	const takers = 8
	handles, errs := make([]SharedHandle, takers), make([]error, takers)
	for i := range handles {
		handles[i] = openHandle(t, w)
	}
	var all sync.WaitGroup
	for i, h := range handles {
		all.Go(func() {
			if errs[i] = h.Take(t.Context()); errs[i] == nil {
				errs[i] = h.Extend(t.Context(), log.clone().growAs(fmt.Sprint("taker ", i), 5+i))
			}
		})
	}
	all.Wait()
	won := -1
	for i, err := range errs {
		if err == nil && won < 0 {
			won = i
		} else if !errors.Is(err, ledger.ErrConflict) {
			t.Errorf("taker %d: %v, and taker %d extended", i, err, won)
		}
	}
	if won < 0 {
		t.Fatalf("of %d takers none stayed", takers)
	}
	reader := openHandle(t, w)
	log.growAs(fmt.Sprint("taker ", won), 5+won)
	log.check(t, reader)
	if n, err := reader.Epoch(t.Context()); err != nil || n < 1+takers {
		t.Errorf("epoch %d, %v; want one for each of %d takers", n, err, takers)
	}
}

func lawTakeAfter(t *testing.T, w SharedMedium) {
	first := openHandle(t, w)
	if err := first.TakeAfter(t.Context(), 1); !errors.Is(err, ledger.ErrTakenOver) {
		t.Errorf("after an epoch that there never was: %v, want ErrTakenOver", err)
	}
	if err := first.TakeAfter(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	wantEpoch(t, first, 1)
	log := newSharedLog(t, first)
	const takers = 6
	errs := make([]error, takers)
	var all sync.WaitGroup
	for i := range errs {
		h := openHandle(t, w)
		all.Go(func() {
			if errs[i] = h.TakeAfter(t.Context(), 1); errs[i] == nil {
				errs[i] = h.Extend(t.Context(), log.clone().growAs("who took it", 3))
			}
		})
	}
	all.Wait()
	won := 0
	for i, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, ledger.ErrTakenOver) {
			t.Errorf("taker %d: %v, want ErrTakenOver", i, err)
		}
	}
	if won != 1 {
		t.Errorf("%d took it after the same epoch", won)
	}
	wantEpoch(t, first, 2)
	for _, write := range log.writes() {
		if err := write.do(t.Context(), first); !errors.Is(err, ledger.ErrTakenOver) {
			t.Errorf("%s after another has taken the store: %v, want ErrTakenOver", write.name, err)
		}
	}
	log.growAs("who took it", 3)
	log.check(t, first)
}

func lawBlobs(t *testing.T, w SharedMedium) {
	ctx, other := t.Context(), openHandle(t, w)
	if names, err := other.ListBlobs(ctx, ""); err != nil || len(names) > 0 {
		t.Errorf("listing in a new store: %q, %v", names, err)
	}
	if b, err := other.Blob(ctx, "lease"); !errors.Is(err, ledger.ErrMissing) {
		t.Errorf("reading in a new store: %q, %v; want ErrMissing", b, err)
	}
	if err := other.DeleteBlob(ctx, "lease"); err != nil {
		t.Errorf("deleting in a new store: %v", err)
	}
	writer := takenHandle(t, w)
	log := newSharedLog(t, writer)
	if b, err := other.Blob(ctx, "lease"); !errors.Is(err, ledger.ErrMissing) {
		t.Errorf("a blob that nobody put: %q, %v; want ErrMissing", b, err)
	}
	if err := other.DeleteBlob(ctx, "lease"); err != nil {
		t.Errorf("deleting what is not there: %v", err)
	}
	large := bytes.Repeat([]byte{7, 0, 255}, ledger.MaxBlobBytes/3)
	names := []string{"lease", "snapshots/10/a", "snapshots/10/b", "snapshots/5", "snapshotsandmore"}
	for i, name := range names {
		h := []SharedHandle{writer, other}[i%2] // whether taken or not
		for _, blob := range [][]byte{[]byte("the first"), {}, fmt.Append(nil, "blob ", i)} {
			given := bytes.Clone(blob)
			if err := h.PutBlob(ctx, name, given); err != nil {
				t.Fatalf("putting %s: %v", name, err)
			}
			clear(given)
			if got, err := other.Blob(ctx, name); err != nil || !bytes.Equal(got, blob) {
				t.Fatalf("%s is %q, %v; want %q", name, got, err, blob)
			}
		}
	}
	for prefix, want := range map[string][]string{"": names, "snapshots/": names[1:4], "snapshots/10/": names[1:3], "none": nil} {
		if got, err := other.ListBlobs(ctx, prefix); err != nil || !slices.Equal(got, want) {
			t.Errorf("listing %q: %q, %v; want %q", prefix, got, err, want)
		}
	}
	if err := writer.PutBlob(ctx, names[3], large); err != nil {
		t.Fatalf("%d bytes: %v", len(large), err)
	}
	if got, err := other.Blob(ctx, names[3]); err != nil || !bytes.Equal(got, large) {
		t.Errorf("%d of %d bytes, %v", len(got), len(large), err)
	}
	if err := writer.PutBlob(ctx, "large", make([]byte, ledger.MaxBlobBytes+1)); err == nil {
		t.Error("a blob that is too large was put")
	}
	for _, name := range []string{"", "/", "/lease", "lease/", "a//b", ".", "..", "../head", "a/../b", ".hidden", "a/.b", "a b", "a\nb", "ä", `a\b`, strings.Repeat("a", 300)} {
		if err := writer.PutBlob(ctx, name, []byte("x")); err == nil {
			t.Errorf("a blob was put under the name %q", name)
		}
		if _, err := writer.Blob(ctx, name); err == nil || errors.Is(err, ledger.ErrMissing) {
			t.Errorf("reading the name %q: %v", name, err)
		}
		if err := writer.DeleteBlob(ctx, name); err == nil {
			t.Errorf("a blob was deleted under the name %q", name)
		}
	}
	if err := other.DeleteBlob(ctx, names[1]); err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Blob(ctx, names[1]); !errors.Is(err, ledger.ErrMissing) {
		t.Errorf("after it was deleted: %v", err)
	}
	if got, err := writer.ListBlobs(ctx, "snapshots/1"); err != nil || !slices.Equal(got, names[2:3]) {
		t.Errorf("after one was deleted: %q, %v", got, err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := writer.Blob(ended, "lease"); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
	wantEpoch(t, other, 1)
	log.check(t, other)
	extend(t, writer, log.Grow(5))
	log.check(t, other)
}

// sealedLaws are what [ledger.Sealer] promises, of a medium with one opener at a time too.
var sealedLaws = []struct {
	name  string
	check func(t *testing.T, w Medium)
}{
	{"a sealed store is not taken", lawSealed},
	{"a store that is taken sealed", lawTakenSealed},
}

// openSealer opens the store without taking it.
func openSealer(t testing.TB, w Medium) sealable {
	t.Helper()
	s, ok := w.Open(t).(sealable)
	if !ok {
		t.Skip("this store cannot be sealed")
	}
	return s
}

type sealable interface {
	ledger.Sealer
	Close() error
}

func wantSealed(t testing.TB, s ledger.Sealer, want string) {
	t.Helper()
	if why, err := s.Sealed(t.Context()); err != nil || why != want {
		t.Fatalf("sealed because %q, %v; want %q", why, err, want)
	}
}

func isSealed(err error, why string) bool {
	var sealed *ledger.SealedError
	return errors.As(err, &sealed) && sealed.Why == why && !errors.Is(err, ledger.ErrConflict)
}

func lawSealed(t *testing.T, w Medium) {
	s := openSealer(t, w)
	defer func() { s.Close() }()
	wantSealed(t, s, "")
	if err := s.Take(t.Context()); err != nil {
		t.Fatal(err)
	}
	log := newSharedLog(t, s)
	const why = "moved to s3://elsewhere/ledger \"quoted\""
	if err := s.Seal(t.Context(), why); err != nil {
		t.Fatal(err)
	}
	x := log.Clone().Grow(2)
	refused := func(s ledger.Sealer, of map[string]error) {
		t.Helper()
		for what, err := range of {
			if !isSealed(err, why) {
				t.Errorf("%s a sealed store: %v", what, err)
			}
		}
		wantSealed(t, s, why)
		log.check(t, s)
	}
	refused(s, map[string]error{
		"extending":  s.Extend(t.Context(), x),
		"publishing": s.Publish(t.Context(), log.note, []byte("another")),
		"archiving":  s.Archive(t.Context(), 1, []byte("another")),
	})
	survivor := w.Crash(rand.New(rand.NewPCG(8, 9)))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, medium := range []Medium{survivor, w} {
		s = openSealer(t, medium)
		refused(s, map[string]error{
			"taking":                     s.Take(t.Context()),
			"taking for another reason":  s.TakeSealed(t.Context(), "being copied from elsewhere"),
			"taking it again":            s.Take(t.Context()),
			"taking for no given reason": s.TakeSealed(t.Context(), "moved"),
		})
		if medium == survivor {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func lawTakenSealed(t *testing.T, w Medium) {
	const why = "being copied from /srv/docket"
	s := openSealer(t, w)
	defer func() { s.Close() }()
	if err := s.TakeSealed(t.Context(), ""); err == nil {
		t.Error("taken sealed for no reason")
	}
	if err := s.TakeSealed(t.Context(), why); err != nil {
		t.Fatal(err)
	}
	wantSealed(t, s, why)
	log := newSharedLog(t, s)
	log.check(t, s)
	for range 2 { // who copies begins anew
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openSealer(t, w)
		if err := s.Take(t.Context()); !isSealed(err, why) {
			t.Fatalf("taking a store that is being made: %v", err)
		}
		if err := s.TakeSealed(t.Context(), "for another reason"); !isSealed(err, why) {
			t.Fatalf("taking a store that is being made for another reason: %v", err)
		}
		if err := s.TakeSealed(t.Context(), why); err != nil {
			t.Fatal(err)
		}
		wantSealed(t, s, why)
		extend(t, s, log.Grow(100))
		log.check(t, s)
	}
	if err := s.Unseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantSealed(t, s, "")
	extend(t, s, log.Grow(3)) // as if taken
	log.check(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openSealer(t, w)
	if err := s.TakeSealed(t.Context(), why); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("taking sealed what is a ledger's already: %v, want ErrConflict", err)
	}
	if err := s.Take(t.Context()); err != nil {
		t.Fatal(err)
	}
	log.check(t, s)
	extend(t, s, log.Grow(3))
	log.check(t, s)
}
