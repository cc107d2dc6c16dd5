package witness_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/witness"
)

// gauge is a disk that says how much of it is free.
type gauge struct {
	vfs.FS
	free atomic.Uint64
}

func (g *gauge) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: g.free.Load()}, nil
}

// Below --min-free nothing new is cosigned, which would have to be written first; what was
// cosigned last is still given again and shown.
func TestNoRoomNoCosignature(t *testing.T) {
	c := sharedKeys()
	cfg := config(t, "w1.example")
	space := &gauge{FS: cfg.FS}
	space.free.Store(1 << 40)
	cfg.FS, cfg.MinFree, cfg.Logs = space, 100<<20, logListOf(origin, c.log...)
	h := newTestLog(c, 10, 10, "")
	w := must(createAndOpen(cfg))
	mustCosign(t, w, h.request(0, 3))
	wantErr(t, w.Err(), nil)

	space.free.Store(99 << 20)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = must(witness.Open(cfg)) // it asks the disk at most once a second
	defer w.Close()
	_, err := w.Cosign(t.Context(), h.request(3, 5))
	wantErr(t, err, witness.ErrNoRoom)
	wantErr(t, w.Err(), witness.ErrNoRoom)
	mustCosign(t, w, h.request(3, 3))
	rec := httptest.NewRecorder()
	body := h.request(3, 5).Format()
	w.Handler().ServeHTTP(rec, httptest.NewRequest("POST", "/add-checkpoint", strings.NewReader(string(body))))
	if rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v %s", rec.Code, rec.Header(), rec.Body)
	}
	wantWords(t, t.Name(), rec.Body.String())
}

// A state that rots is an error, and no forgetting: a witness that does not know what it
// has cosigned of a log cosigns nothing.
func TestRottenStateIsNotForgotten(t *testing.T) {
	c := sharedKeys()
	cfg := config(t, "w1.example")
	cfg.FS, cfg.Logs = vfs.NewMem(), logListOf(origin, c.log...)
	h := newTestLog(c, 40, 40, "")
	w := must(createAndOpen(cfg))
	for n := range uint64(30) {
		mustCosign(t, w, h.request(n, n+1))
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(w.Close())
	w = must(witness.Open(cfg)) // writes out what the write-ahead log has
	check(w.Close())
	dir := cfg.FS.PathJoin(cfg.Dir, "state")
	for _, name := range must(cfg.FS.List(dir)) {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		f := must(cfg.FS.OpenReadWrite(cfg.FS.PathJoin(dir, name), vfs.WriteCategoryUnspecified))
		data := make([]byte, must(f.Stat()).Size())
		must(f.ReadAt(data, 0))
		for i := range data {
			data[i] ^= 16
		}
		must(f.WriteAt(data, 0))
		check(f.Close())
	}
	if w, err := witness.Open(cfg); !disk.Damaged(err) {
		t.Fatalf("it opens: %v, %v", w, err)
	}
}
