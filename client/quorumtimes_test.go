package client

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// Whatever is taken in, in whatever order and parts, the answer for every moment is
// that of the definition: the largest checkpoint that is stamped no later.
func TestQuorumTimes(t *testing.T) {
	const seeds = 500
	for seed := range uint64(seeds) {
		rng := rand.New(rand.NewPCG(seed, 0))
		var all []quorumTime
		var q quorumTimes
		for range rng.IntN(5) {
			var part []quorumTime
			for range rng.IntN(6) {
				part = append(part, quorumTime{size: 1 + rng.Uint64N(12), existedBy: noon.Add(time.Duration(rng.IntN(12)) * time.Second)})
			}
			all, q = append(all, part...), q.merged(part...)
		}
		q = q.merged(quorumTime{size: 99}) // of quorum none
		for s := -2; s < 14; s++ {
			at := noon.Add(time.Duration(s) * time.Second)
			var want quorumTime
			for _, c := range all {
				if !c.existedBy.After(at) && c.size > want.size {
					want = c
				}
			}
			got := q.newestBy(at)
			if want.size == 0 {
				if !got.existedBy.IsZero() || len(q) > 0 && got.size != q[0].size {
					t.Errorf("seed %d, second %d: %v before the first of %v", seed, s, got, q)
				}
			} else if got.size != want.size || got.existedBy.After(at) {
				t.Errorf("seed %d, second %d: got %v, want size %d", seed, s, got, want.size)
			}
		}
		for i, c := range q { // the earliest time of each size
			for _, o := range all {
				if o.size >= c.size && o.existedBy.Before(c.existedBy) || i > 0 && (q[i-1].size >= c.size || !q[i-1].existedBy.Before(c.existedBy)) {
					t.Errorf("seed %d: %v stands in %v beside %v", seed, c, q, o)
				}
			}
		}
		again, err := parseQuorumTimes(q.format())
		must(t, err)
		if !slices.Equal(again, q) {
			t.Errorf("seed %d: %v read back is %v", seed, q, again)
		}
	}
}

func FuzzQuorumTimes(f *testing.F) {
	f.Add(quorumTimes{}.format())
	f.Add(quorumTimes{{size: 3, existedBy: noon}, {size: 9, existedBy: noon.Add(time.Second)}, {size: 1 << 40, existedBy: noon.AddDate(50, 0, 0)}}.format())
	for _, text := range []string{
		"", timesHeader, "docket-quorum-times/v2\n",
		timesHeader + "\n9 2026-11-23T12:00:00Z", timesHeader + "\n\n", timesHeader + "\n09 2026-11-23T12:00:00Z\n",
		timesHeader + "\n9 2026-11-23T12:00:00.000Z\n", timesHeader + "\n9 2026-11-23T13:00:00+01:00\n", timesHeader + "\n0 2026-11-23T12:00:00Z\n",
		timesHeader + "\n9 0001-01-01T00:00:00Z\n", timesHeader + "\n9 2026-11-23T12:00:00Z\n8 2026-11-23T12:00:01Z\n",
		timesHeader + "\n9 2026-11-23T12:00:00Z\n10 2026-11-23T12:00:00Z\n", timesHeader + "\n9  2026-11-23T12:00:00Z\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		q, err := parseQuorumTimes(text)
		if err == nil && !bytes.Equal(q.format(), text) {
			t.Errorf("%q is read, and written as %q", text, q.format())
		}
		if err == nil && !slices.Equal(q, q.merged()) {
			t.Errorf("%q does not rise", text)
		}
	})
}

// newWitnessedWorld is a world with three witnesses since its fourth entry, at noon.
func newWitnessedWorld(t *testing.T) *witnessedWorld {
	t.Helper()
	w := newEmptyWitnessedWorld(t)
	w.advanceClock(12 * time.Hour)
	w.admit(w.amend(w.text("l1", "w1 w2 w3")))
	return w
}

// admitDesignation admits and publishes one more designation.
func (w *witnessedWorld) admitDesignation(id string) {
	w.t.Helper()
	w.admit(w.ImportListed(id, w.NewListedDesignation(id, "Entity "+id)))
}

// knowable is what a copy says of an imported designation at a moment.
func knowable(t *testing.T, trust *Trust, id string, at time.Time) (view.Status, view.Knowable) {
	t.Helper()
	v, err := trust.ViewAt(trust.CoveredSize())
	must(t, err)
	d, err := v.Designation(record.ImportThread("ofac-sdn", id), at)
	must(t, err)
	return d.Knowable, d.KnowableBy
}

// countRequests counts the questions for kept checkpoints since the last call.
func (n *network) countRequests() (count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, path := range n.paths {
		if path == "/v1/checkpoints" {
			count++
		}
	}
	n.paths = nil
	return count
}

// What no quorum has cosigned yet is not knowable, however long ago the ledger says
// that it admitted it.
func TestKnowableOnceCosigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWitnessedWorld(t)
		w.advanceClock(time.Hour)
		w.admitDesignation("0001")
		before := time.Now()
		w.advanceClock(time.Hour)
		w.observers["w2"].gone, w.observers["w3"].gone = true, true
		w.commit(w.ImportListed("0002", w.NewListedDesignation("0002", "Entity 2")))
		admitted := time.Now()
		if err := w.ledger.Publish(t.Context()); !errors.Is(err, ledger.ErrNoQuorum) {
			t.Fatalf("without a quorum: %v", err)
		}
		w.advanceClock(time.Hour)
		w.observers["w2"].gone = false
		must(t, w.ledger.Publish(t.Context()))
		cosigned := time.Now()
		w.advanceClock(time.Hour)
		w.admitDesignation("0003")

		trust := w.syncedTrust()
		for _, c := range []struct {
			at     time.Time
			status view.Status
			by     view.Knowable
		}{
			{before, view.StatusNone, view.Knowable{Size: 5, Cosigned: before.UTC()}},
			{admitted.Add(time.Minute), view.StatusNone, view.Knowable{Size: 5, Cosigned: before.UTC()}},
			{cosigned.Add(-time.Second), view.StatusNone, view.Knowable{Size: 5, Cosigned: before.UTC()}},
			{cosigned, view.StatusInForce, view.Knowable{Size: 6, Cosigned: cosigned.UTC()}},
			{time.Now().Add(year), view.StatusInForce, view.Knowable{Size: 7, Cosigned: time.Now().UTC()}},
		} {
			if status, by := knowable(t, trust, "0002", c.at); status != c.status || by != c.by {
				t.Errorf("at %s: knowable %s by %v, want %s by %v", c.at, status, by, c.status, c.by)
			}
		}
		// Before there were witnesses nothing proves a time.
		if status, by := knowable(t, trust, "0001", before.Add(-2*time.Hour)); status != view.StatusNone || by != (view.Knowable{Size: 3}) {
			t.Errorf("before the witnesses: %s by %v", status, by)
		}
	})
}

// A sync asks for what was kept since the last one; where nothing new is published,
// however often it is cosigned again, for nothing. Whoever comes late learns as much
// as whoever followed, and what was learnt is read again.
func TestKnowableIncremental(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWitnessedWorld(t)
		files := vfs.NewMem()
		follows := w.trust(files, "trust")
		w.trusts = append(w.trusts, follows)
		sync := func(most int) {
			t.Helper()
			w.net.countRequests()
			must(t, follows.Sync(t.Context(), w.client(), nil))
			if n := w.net.countRequests(); n > most {
				t.Errorf("size %d: asked %d times for kept checkpoints, want at most %d", follows.CoveredSize(), n, most)
			}
		}
		published := quorumTimes{{size: 4, existedBy: time.Now().UTC()}}
		sync(parallelWalks)
		for i := range 6 {
			w.advanceClock(3 * time.Hour)
			w.admitDesignation(fmt.Sprint(1000 + i))
			published = append(published, quorumTime{size: uint64(5 + i), existedBy: time.Now().UTC()})
			sync(parallelWalks)
			for range 5 { // idle
				w.advanceClock(10 * time.Minute)
				must(t, w.ledger.Recosign(t.Context()))
				sync(0)
			}
		}
		late := w.syncedTrust()
		must(t, follows.Close())
		again, err := OpenTrust(files, "trust")
		must(t, err)
		for name, trust := range map[string]*Trust{"who followed": follows, "who came late": late, "opened again": again} {
			times, err := trust.readTimes()
			must(t, err)
			if got, want := string(times.format()), string(published.format()); got != want {
				t.Errorf("%s: got\n%swant\n%s", name, got, want)
			}
		}
		must(t, disk.WriteFile(files, again.path(timesFile), published.format()[:60], 0o644, disk.SyncNow))
		v, err := again.ViewAt(again.CoveredSize())
		must(t, err)
		var damage *DamageError
		if _, err := v.Knowable(time.Now()); !errors.As(err, &damage) {
			t.Errorf("of a damaged file: %v", err)
		}
		must(t, again.Sync(t.Context(), w.client(), nil)) // learns them anew
		times, err := again.readTimes()
		if err != nil || times.last() != published.last() {
			t.Errorf("after a sync: %v, %v", times, err)
		}
		must(t, again.Close())
	})
}

// Where more is kept than a walk will fetch, it takes wider steps, and yet comes to
// the end.
func TestKnowableBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, _ := forgedClock(t, [4]time.Duration{})
		newest := source.archived[len(source.archived)-1]
		from := newest.ExistedBy()
		cp := newest.Checkpoint()
		for range 600 {
			time.Sleep(time.Minute)
			source.archived = append(source.archived, source.cosign(cp))
		}
		newest = source.archived[len(source.archived)-1]
		log := archiveReader{source: source, policies: SinglePolicy{newest.Policy()}, newest: newest, tiles: source.Source.Tiles, limit: 10}
		kept, faults, err := log.fetchBetween(t.Context(), quorumTime{existedBy: from}, newest.ExistedBy())
		must(t, errors.Join(append(faults, err)...))
		if n := int(source.asked.Load()); n > parallelWalks*2*(log.limit+1) || len(kept) < log.limit {
			t.Errorf("asked %d times for %d of 600 kept checkpoints", n, len(kept))
		}
		if first := (quorumTimes{}).merged(kept...)[0]; first.existedBy.After(from) {
			t.Errorf("it ended at %s, and not at %s", first.existedBy, from)
		}
	})
}

// forge signs and cosigns another history of that size, as a dishonest log with
// dishonest witnesses would.
func (w *witnessedWorld) forge(size uint64) []byte {
	w.t.Helper()
	return w.cosigned(proof.Checkpoint{Origin: origin, Size: size, Root: proof.Hash{1}})
}

// cosigned signs a checkpoint and has a quorum cosign it now, whatever they did before.
func (w *witnessedWorld) cosigned(cp proof.Checkpoint) []byte {
	w.t.Helper()
	signed, err := proof.SignCheckpoint(cp, w.logSigner("l1"))
	must(w.t, err)
	var sigs []proof.Signature
	for _, name := range []string{"w1", "w2"} {
		sig, err := w.observers[name].key.Cosign(cp)
		must(w.t, err)
		sigs = append(sigs, sig)
	}
	signed, err = signed.WithSignatures(sigs)
	must(w.t, err)
	return signed.Note()
}

// A kept checkpoint of another history is a fork, with evidence, each time anew. What
// proves nothing, or no answer, takes nobody's copy away: it is said, and asked again.
// Neither leaves a trace in what is known of times.
func TestKnowableFork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWitnessedWorld(t)
		trust := w.syncedTrust()
		before := trust.Checkpoint()
		w.trusts = append(w.trusts, trust)
		times, err := disk.ReadFile(trust.files, trust.path(timesFile))
		must(t, err)
		w.advanceClock(time.Hour)
		forged := w.forge(5)
		w.advanceClock(time.Hour)
		w.admitDesignation("0001")
		w.admitDesignation("0002")
		for name, kept := range map[string][]byte{
			"forged": forged, "forged still": forged, "below the quorum": before.Note()[:len(before.Note())-1], "of another time": w.ledger.Published().Note(),
			"a page": []byte("<html>200, whatever was asked</html>"), "no answer": nil,
		} {
			w.net.respond = func(r *http.Request) *http.Response {
				if r.URL.Path != "/v1/checkpoints" {
					return nil
				}
				status := http.StatusOK
				if kept == nil {
					status = http.StatusBadGateway
				}
				return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(kept))}
			}
			err = trust.Sync(t.Context(), w.client(), nil)
			var fork *InconsistencyError
			switch forged := strings.HasPrefix(name, "forged"); {
			case errors.As(err, &fork) != forged, !forged && (err != nil || trust.TimesErr() == nil):
				t.Errorf("%s: %v, %v", name, err, trust.TimesErr())
			case fork != nil:
				e, err := proof.ParseEvidence(fork.Evidence)
				must(t, err)
				if _, err := e.Verify(w.logSigner("l1").Key()); err != nil {
					t.Errorf("the evidence: %v", err)
				}
				wantRefused(t, fork, "fork")
				if fork.Shown.Size != 5 {
					t.Errorf("%v", fork)
				}
			}
			left, err := disk.ReadFile(trust.files, trust.path(timesFile))
			must(t, err)
			if string(left) != string(times) || trust.CoveredSize() != 6 {
				t.Errorf("%s: the copy covers %d now, and known are\n%s", name, trust.CoveredSize(), left)
			}
		}
		w.net.respond = nil
		must(t, trust.Sync(t.Context(), w.client(), nil))
		w.wantSameRegister(trust)
	})
}

// Whenever the power fails, the times known are those of before or of after the sync,
// whole; the next sync makes them those of after.
func TestKnowableAfterCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWitnessedWorld(t)
		mem := vfs.NewCrashableMem()
		rng := rand.New(rand.NewPCG(1, 0))
		var mu sync.Mutex // Pebble writes in the background too
		var left []*vfs.MemFS
		crashing := false
		files := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if crashing && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && !strings.Contains(op.Path, registerDir) {
				left = append(left, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(3) * 50, RNG: rng}))
			}
			return nil
		}))
		trust := w.trust(files, "trust")
		must(t, trust.Sync(t.Context(), w.client(), nil))
		w.trusts = append(w.trusts, trust)
		old, err := trust.readTimes()
		must(t, err)
		w.advanceClock(time.Hour)
		w.admitDesignation("0001")
		w.advanceClock(time.Hour)
		w.admitDesignation("0002")
		mu.Lock()
		crashing = true
		mu.Unlock()
		must(t, trust.Sync(t.Context(), w.client(), nil))
		mu.Lock()
		crashing = false
		left = append(left, mem.CrashClone(vfs.CrashCloneCfg{})) // it was durable
		mu.Unlock()
		new, err := trust.readTimes()
		must(t, err)
		if len(old) != 1 || len(new) != 3 || len(left) < 5 {
			t.Fatalf("from %v to %v, with %d crashes", old, new, len(left))
		}
		seen := map[string]bool{}
		for i, disk := range left {
			after, err := OpenTrust(disk, "trust")
			must(t, err)
			times, err := after.readTimes()
			must(t, err)
			text := string(times.format())
			seen[text] = true
			if text != string(old.format()) && text != string(new.format()) {
				t.Errorf("crash %d leaves\n%s", i, text)
			}
			if last := times.last().size; last > after.Checkpoint().Checkpoint().Size {
				t.Errorf("crash %d: times are known up to %d, and size %d is trusted", i, last, after.Checkpoint().Checkpoint().Size)
			}
			must(t, after.Sync(t.Context(), w.client(), nil))
			if times, err = after.readTimes(); err != nil || string(times.format()) != string(new.format()) {
				t.Errorf("crash %d: after the next sync %v, %v", i, times, err)
			}
			must(t, after.Close())
		}
		if len(seen) != 2 {
			t.Errorf("%d states seen after %d crashes", len(seen), len(left))
		}
	})
}

// Nothing proves a time under quorum none, and nobody is asked. Who hands on nothing
// but tiles keeps no checkpoints: then those that sync saw are known.
func TestKnowableWhereNoneAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newEmptyWitnessedWorld(t)
		w.advanceClock(time.Hour)
		w.admitDesignation("0001")
		trust := w.syncedTrust()
		if n := w.net.countRequests(); n > 0 {
			t.Errorf("under quorum none: asked %d times", n)
		}
		if status, by := knowable(t, trust, "0001", time.Now()); status != view.StatusInForce || by != (view.Knowable{Size: 4}) {
			t.Errorf("under quorum none: %s by %v", status, by)
		}
		if status, by := knowable(t, trust, "0001", time.Now().Add(-time.Minute)); status != view.StatusNone || by != (view.Knowable{Size: 3}) {
			t.Errorf("under quorum none, a minute before: %s by %v", status, by)
		}

		w = newWitnessedWorld(t)
		for _, status := range []int{http.StatusNotFound, http.StatusForbidden} {
			trust := w.trust(vfs.NewMem(), "trust")
			w.trusts = append(w.trusts, trust)
			static := func() {
				w.net.respond = func(r *http.Request) *http.Response {
					if r.URL.Path != "/v1/checkpoints" {
						return nil
					}
					return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader("<html>"))}
				}
				must(t, trust.Sync(t.Context(), w.client(), nil))
			}
			static()
			seen := quorumTime{size: trust.CoveredSize(), existedBy: time.Now().UTC()}
			w.advanceClock(time.Hour)
			w.admitDesignation(fmt.Sprint(status, "a"))
			w.advanceClock(time.Hour)
			w.admitDesignation(fmt.Sprint(status, "b"))
			static()
			if _, by := knowable(t, trust, fmt.Sprint(status, "a"), time.Now().Add(-time.Minute)); by != (view.Knowable{Size: seen.size, Cosigned: seen.existedBy}) {
				t.Errorf("%d: between two syncs: by %v", status, by)
			}
		}
	})
}

// A quorum that calls a tree the newest after it has cosigned a larger one has gone back
// with the log: that is no old answer.
func TestRollback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWitnessedWorld(t)
		w.admitDesignation("0001")
		before := w.ledger.Published()
		w.advanceClock(time.Hour)
		w.admitDesignation("0002")
		trust := w.syncedTrust()
		w.advanceClock(time.Hour)
		for _, c := range []struct {
			note []byte
			fork bool
		}{{before.Note(), false}, {w.cosigned(before.Checkpoint()), true}} {
			w.net.rewriteResponse = func(r *http.Request, answer []byte) []byte {
				if r.URL.Path == "/checkpoint" {
					return c.note
				}
				return answer
			}
			err := trust.Sync(t.Context(), w.client(), nil)
			var behind *BehindError
			var fork *InconsistencyError
			if !errors.As(err, &behind) && !errors.As(err, &fork) || (fork != nil) != c.fork {
				t.Errorf("cosigned since: %v: %v", c.fork, err)
			}
		}
	})
}

// A source that answers as slowly as a call allows is not followed for hours to its kept
// checkpoints.
func TestKnowableSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWitnessedWorld(t)
		for i := range 40 {
			w.advanceClock(time.Minute)
			w.admitDesignation(fmt.Sprintf("%04d", i))
		}
		trust := w.trust(vfs.NewMem(), "trust")
		w.net.fail = func(r *http.Request) error {
			if r.URL.Path == "/v1/checkpoints" {
				time.Sleep(50 * time.Second)
			}
			return nil
		}
		begun := time.Now()
		must(t, trust.Sync(t.Context(), w.client(), nil))
		if took := time.Since(begun); took > 10*time.Minute || trust.TimesErr() == nil {
			t.Errorf("took %s; untimed: %v", took, trust.TimesErr())
		}
		w.net.fail = nil
		must(t, trust.Sync(t.Context(), w.client(), nil))
		if trust.TimesErr() != nil || trust.CoveredSize() != w.ledger.Head().Size {
			t.Errorf("covers %d, untimed: %v", trust.CoveredSize(), trust.TimesErr())
		}
		must(t, trust.Close())
	})
}
