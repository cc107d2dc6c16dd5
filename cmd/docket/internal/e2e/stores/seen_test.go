package stores

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/stores"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

// watch looks at every checkpoint that anybody shows: the machines, the witnesses, the bucket.
type watch struct {
	t     testing.TB
	http  *http.Client
	store stores.Shared
	ctx   context.Context // of the looking
	end   context.CancelFunc
	wg    sync.WaitGroup

	answered atomic.Bool // the store, once

	mu   sync.Mutex
	seen map[proof.Tree]string // where it was seen first; guarded by mu
}

// startWatch looks at these machines, and at the witnesses, until stop.
func startWatch(l *cluster, machines ...*process) *watch {
	l.t.Helper()
	w := &watch{t: l.t, http: &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{}}, store: l.openStore(), seen: make(map[proof.Tree]string)}
	w.ctx, w.end = context.WithCancel(l.t.Context())
	for _, p := range l.witnesses { // one that was killed may show less for a while: see killWitness
		w.add(p.url+"/"+wire.OriginHash(origin), func(_, _ proof.Tree) {})
	}
	for _, p := range machines {
		w.addMachine(p)
	}
	w.addStore()
	l.t.Cleanup(func() { w.stop() })
	return w
}

// addMachine looks at one more machine. What it shows never goes back, the store has it as published, and
// it hands out all of it.
func (w *watch) addMachine(p *process) {
	w.add(p.url, func(last, tree proof.Tree) {
		w.wantNoSmaller(p.name, last, tree)
		if tree.Size > last.Size {
			w.wantPublished(p.name, tree)
			if status, body := w.get(fmt.Sprint(p.url, "/v1/entries/", tree.Size-1)); status != 0 && status < 500 && status != http.StatusOK {
				w.t.Errorf("%s shows %v, and of its last entry it says %d: %s", p.name, tree, status, body)
			}
		}
	})
}

// addPublic looks at what a static server hands out, which never goes back.
func (w *watch) addPublic(url string) {
	w.add(url, func(last, tree proof.Tree) { w.wantNoSmaller(url, last, tree) })
}

// addStore looks at what the store has, which never goes back: closely, since what a zombie puts there is gone
// with the next commit, and the next publication, of the writer.
func (w *watch) addStore() {
	const where = "the store"
	var most uint64
	w.repeat(20*time.Millisecond, func() (proof.Tree, bool) {
		tree, entries, is := w.published()
		if !is {
			return tree, false
		}
		w.note(tree, where)
		if entries < most {
			w.t.Errorf("%s had %d entries, and then %d", where, most, entries)
		}
		most = entries
		return tree, true
	}, func(last, tree proof.Tree) { w.wantNoSmaller(where, last, tree) })
}

// published is what the store has as published, and then how many entries, if it answers: it may be among those
// that are killed.
func (w *watch) published() (tree proof.Tree, entries uint64, is bool) {
	ctx, cancel := context.WithTimeout(w.ctx, 2*time.Second)
	defer cancel()
	note, err := w.store.Published(ctx)
	head, headErr := w.store.Head(ctx) // after what is published, which is never ahead
	if err != nil || headErr != nil {
		return tree, 0, false
	}
	cp, _, err := proof.ParseCheckpoint(note)
	if err != nil {
		w.t.Errorf("the store has no checkpoint as published: %v\n%s", err, note)
		return tree, 0, false
	}
	w.answered.Store(true)
	return cp.Tree(), head.Size, true
}

func (w *watch) wantNoSmaller(where string, last, tree proof.Tree) {
	if tree.Size < last.Size {
		w.t.Errorf("%s showed %v, and then %v", where, last, tree)
	}
}

// wantPublished asks the store, after a tree was shown, whether it has that as published, and the entries
// below it: what it has not by then is forgotten if the writer dies.
func (w *watch) wantPublished(where string, tree proof.Tree) {
	if published, entries, is := w.published(); is && (published.Size < tree.Size || entries < published.Size) {
		w.t.Errorf("%s showed %v, and the store has %v as published and %d entries", where, tree, published, entries)
	}
}

// add looks at the checkpoint below one more URL, and has it judged beside the one before.
func (w *watch) add(url string, judge func(last, tree proof.Tree)) {
	w.repeat(100*time.Millisecond, func() (proof.Tree, bool) { return w.look(url + "/checkpoint") }, judge)
}

// repeat looks again and again, and has judged what is seen.
func (w *watch) repeat(pause time.Duration, look func() (tree proof.Tree, is bool), judge func(last, tree proof.Tree)) {
	w.wg.Go(func() {
		var last proof.Tree
		for {
			if tree, is := look(); is {
				judge(last, tree)
				last = tree
			}
			select {
			case <-w.ctx.Done():
				return
			case <-time.After(pause):
			}
		}
	})
}

// look notes what is shown there now, if anything is.
func (w *watch) look(url string) (tree proof.Tree, is bool) {
	status, note := w.get(url)
	if status != http.StatusOK {
		return tree, false
	}
	cp, _, err := proof.ParseCheckpoint(note)
	if err != nil {
		w.t.Errorf("%s shows no checkpoint: %v\n%s", url, err, note)
		return tree, false
	}
	w.note(cp.Tree(), url)
	return cp.Tree(), true
}

// get is status 0 where no whole answer comes, as from one that was killed.
func (w *watch) get(url string) (status int, body []byte) {
	req, err := http.NewRequestWithContext(w.ctx, http.MethodGet, url, nil)
	if err != nil {
		w.t.Error(err)
		return 0, nil
	}
	res, err := w.http.Do(req)
	if err != nil {
		return 0, nil
	}
	defer res.Body.Close()
	if body, err = io.ReadAll(io.LimitReader(res.Body, 1<<20)); err != nil {
		return 0, nil
	}
	return res.StatusCode, body
}

func (w *watch) note(tree proof.Tree, where string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen[tree] == "" {
		w.seen[tree] = where
	}
}

func (w *watch) stop() map[proof.Tree]string {
	w.end()
	w.wg.Wait()
	w.http.CloseIdleConnections()
	if !w.answered.Load() {
		w.t.Error("the store never said what is published")
	}
	return w.seen
}

// check holds everything that was told and shown against the log as it is at the end: an audit
// of any of the servers finds nothing, each record is there once, at the index and with the bytes of its
// receipts, and every tree that was ever signed is a beginning of this one. others are
// the entries that were not of the load.
func check(l *cluster, servers []*process, receipts []told, seen map[proof.Tree]string, others int) {
	t := l.t
	t.Helper()
	c := newClient(t, servers[0])
	trust, err := client.CreateTrust(t.Context(), vfs.NewMem(), "trust", c, l.id)
	if err != nil {
		t.Fatal(err)
	}
	defer trust.Close()
	if err := trust.Sync(t.Context(), c, nil); err != nil {
		t.Fatal(err)
	}
	var entries [][]byte
	at := make(map[record.ID]uint64)
	for i := range trust.CoveredSize() {
		e := must(trust.Entry(t.Context(), i))
		parsed, err := record.ParseEntry(e)
		if err != nil {
			t.Fatal(err)
		}
		id := record.IDOf(parsed.Envelope.Payload)
		if first, double := at[id]; double {
			t.Errorf("record %s stands at %d and at %d", id, first, i)
		}
		at[id] = i
		entries = append(entries, e)
	}
	log := storetest.NewReferenceLog(entries)
	if now := trust.Checkpoint().Checkpoint().Tree(); log.Head(len(entries)) != now {
		t.Fatalf("the checkpoint is of %v, the entries hash to %v", now, log.Head(len(entries)))
	}

	records := make(map[record.ID]bool)
	for _, r := range receipts {
		records[r.id] = true
		if i, there := at[r.id]; !there || i != r.index || !bytes.Equal(entries[i], r.entry) {
			t.Errorf("record %s was told that it stands at %d: there %v, at %d", r.id, r.index, there, i)
		}
		report, err := client.Verify(t.Context(), r.text, trust, time.Now())
		if err != nil || report.Authorship != client.AuthorshipByReplay {
			t.Errorf("the receipt of index %d: %+v, %v", r.index, report, err)
		}
		seen[r.tree] = "a receipt"
	}
	for tree, where := range seen {
		if tree.Size > uint64(len(entries)) {
			t.Errorf("%s showed %v, and the log ends at %d", where, tree, len(entries))
		} else if then := log.Head(int(tree.Size)); then != tree {
			t.Errorf("a fork: %s showed %v, which was %v", where, tree, then)
		}
	}
	if want := len(records) + others; len(entries) != want {
		t.Errorf("%d entries, want %d: each record once, and nothing else", len(entries), want)
	}
	for _, p := range servers {
		audit, err := client.Audit{Source: newClient(t, p).Source(), Charter: l.id, Trusted: trust.Checkpoint(), RegisterFiles: vfs.NewMem(), RegisterDir: "audit"}.Run(t.Context())
		if err != nil || len(audit.Findings) > 0 || audit.Checked != uint64(len(entries)) {
			t.Errorf("the audit of %s: %+v, %v", p.name, audit, err)
		}
	}
	t.Logf("%d entries, %d receipts of %d records, %d trees shown", len(entries), len(receipts), len(records), len(seen))
}
