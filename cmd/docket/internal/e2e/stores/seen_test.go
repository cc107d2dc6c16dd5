package stores

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

// watch looks at every checkpoint that anybody shows: the machines, the witnesses, the bucket.
type watch struct {
	t    testing.TB
	http *http.Client
	end  context.CancelFunc
	wg   sync.WaitGroup

	mu   sync.Mutex
	seen map[proof.Tree]string // where it was seen first; guarded by mu
}

// startWatch looks at these URLs, and at the witnesses', until stop.
func startWatch(l *cluster, checkpoints ...string) *watch {
	l.t.Helper()
	ctx, end := context.WithCancel(l.t.Context())
	w := &watch{t: l.t, http: &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{}}, end: end, seen: make(map[proof.Tree]string)}
	for _, p := range l.witnesses {
		checkpoints = append(checkpoints, p.url+"/"+wire.OriginHash(origin)+"/checkpoint")
	}
	for _, url := range checkpoints {
		w.wg.Go(func() {
			for {
				w.look(ctx, url)
				select {
				case <-ctx.Done():
					return
				case <-time.After(100 * time.Millisecond):
				}
			}
		})
	}
	l.t.Cleanup(func() { w.stop() })
	return w
}

// look notes what is shown there now, if anything is.
func (w *watch) look(ctx context.Context, url string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		w.t.Error(err)
		return
	}
	res, err := w.http.Do(req)
	if err != nil {
		return // it was killed
	}
	defer res.Body.Close()
	note, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil || res.StatusCode != http.StatusOK {
		return
	}
	cp, _, err := proof.ParseCheckpoint(note)
	if err != nil {
		w.t.Errorf("%s shows no checkpoint: %v\n%s", url, err, note)
		return
	}
	w.note(cp.Tree(), url)
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
	return w.seen
}

// check holds everything that was told and shown against the log as it is at the end: an audit
// finds nothing, each record is there once, at the index and with the bytes of its
// receipts, and every tree that was ever signed is a beginning of this one. others are
// the entries that were not of the load.
func check(l *cluster, c *client.Client, receipts []*client.Receipt, seen map[proof.Tree]string, others int) {
	t := l.t
	t.Helper()
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

	told := make(map[record.ID]bool)
	for _, r := range receipts {
		told[r.ID] = true
		if i, there := at[r.ID]; !there || i != r.Index() || !bytes.Equal(entries[i], r.Entry()) {
			t.Errorf("record %s was told that it stands at %d: there %v, at %d", r.ID, r.Index(), there, i)
		}
		report, err := client.Verify(t.Context(), r.Text, trust, time.Now())
		if err != nil || report.Authorship != client.AuthorshipByReplay {
			t.Errorf("the receipt of index %d: %+v, %v", r.Index(), report, err)
		}
		seen[r.Published().Checkpoint().Tree()] = "a receipt"
	}
	for tree, where := range seen {
		if tree.Size > uint64(len(entries)) {
			t.Errorf("%s showed %v, and the log ends at %d", where, tree, len(entries))
		} else if then := log.Head(int(tree.Size)); then != tree {
			t.Errorf("a fork: %s showed %v, which was %v", where, tree, then)
		}
	}
	if want := len(told) + others; len(entries) != want {
		t.Errorf("%d entries, want %d: each record once, and nothing else", len(entries), want)
	}
	audit, err := client.Audit{Source: c.Source(), Charter: l.id, Trusted: trust.Checkpoint(), RegisterFiles: vfs.NewMem(), RegisterDir: "audit"}.Run(t.Context())
	if err != nil || len(audit.Findings) > 0 || audit.Checked != uint64(len(entries)) {
		t.Errorf("the audit: %+v, %v", audit, err)
	}
	t.Logf("%d entries, %d receipts of %d records, %d trees shown", len(entries), len(receipts), len(told), len(seen))
}
