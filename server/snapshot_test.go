package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/snapshot"
)

const snapshotName = "MANIFEST-000001"

// handOut has the world's server hand out snapshots of size 7, of one file.
func (w *world) handOut(files vfs.FS) (dir *snapshot.Dir, sign func(text string)) {
	w.t.Helper()
	skey, _, err := proof.GenerateKey(proof.Ed25519, "n1.example")
	if err != nil {
		w.t.Fatal(err)
	}
	signer, err := snapshot.ParseSigner(skey)
	if err != nil {
		w.t.Fatal(err)
	}
	if dir, err = snapshot.OpenDir(files, "snapshots", signer); err != nil {
		w.t.Fatal(err)
	}
	w.server.cfg.Snapshots = dir
	return dir, func(text string) {
		w.t.Helper()
		err := dir.Make(w.t.Context(), func(to string) (m snapshot.Manifest, err error) {
			if err := files.MkdirAll(to, 0o755); err != nil {
				return m, err
			}
			m = snapshot.Manifest{Origin: origin, Tree: proof.Tree{Size: 7}, Rules: 1, Rows: 1}
			return m, disk.WriteFile(files, files.PathJoin(to, snapshotName), []byte(text), 0o644, disk.SyncNow)
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// The rows of a snapshot are as they were written: while anything is withheld no part of one is given.
func TestNoSnapshotGivesWhatIsWithheld(t *testing.T) {
	w, marked, withhold := withheldWorld(t)
	_, sign := w.handOut(vfs.NewMem())
	w.wantProblem(w.get("/v1/snapshot"), problemNotFound)
	sign(withheldMark)
	const file = "/v1/snapshot/7/" + snapshotName
	if r := w.get(file); r.Code != http.StatusOK || !shows(t, r) {
		t.Fatalf("the file: %d %s", r.Code, r.Body)
	}
	withhold(0)
	for _, path := range []string{"/v1/snapshot", file, "/v1/snapshot/8/" + snapshotName} {
		r := w.get(path)
		p := w.wantProblem(r, problemWithheld)
		if shows(t, r) || !strings.Contains(fmt.Sprint(p["detail"]), marked[0].Reason) {
			t.Errorf("GET %s: %v", path, p)
		}
	}
	withhold()
	if r := w.get(file); r.Code != http.StatusOK {
		t.Errorf("when nothing is withheld any more: %d", r.Code)
	}
}

// A snapshot may be signed anew at the same size: no cache gives old files to the new manifest, and who was
// cut off in the old one does not go on in the new one.
func TestSnapshotFilesAreAskedForAgain(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud")
	files := vfs.NewMem()
	dir, sign := w.handOut(files)
	sign("first, of a length")
	const file = "/v1/snapshot/7/" + snapshotName
	first := w.get(file)
	tag := first.Header().Get("ETag")
	if got := first.Header().Get("Cache-Control"); got != cacheRevalidate || tag != fmt.Sprintf(`"%x"`, dir.Newest().Files[0].SHA256) {
		t.Errorf("Cache-Control %s, ETag %s", got, tag)
	}
	if got := w.get(file, "If-None-Match", tag); got.Code != http.StatusNotModified {
		t.Errorf("the same again: %d", got.Code)
	}
	if got := w.get(file, "Range", "bytes=7-", "If-Range", tag); got.Code != http.StatusPartialContent || got.Body.String() != "of a length" {
		t.Errorf("the rest of it: %d %s", got.Code, got.Body)
	}
	sign("other, of a length")
	if got := w.get(file, "If-None-Match", tag); got.Code != http.StatusOK || got.Body.String() != "other, of a length" {
		t.Errorf("signed anew: %d %s", got.Code, got.Body)
	}
	if got := w.get(file, "Range", "bytes=7-", "If-Range", tag); got.Code != http.StatusOK {
		t.Errorf("the rest of what is gone: %d", got.Code)
	}
	for _, path := range []string{"/v1/snapshot/7/manifest", "/v1/snapshot/7/000001.sst", "/v1/snapshot/6/" + snapshotName, "/v1/snapshot/x/" + snapshotName} {
		w.wantProblem(w.get(path), problemNotFound)
	}
}

// One address cannot keep all others from a snapshot.
func TestDownloadsOfAnAddress(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud")
	_, sign := w.handOut(vfs.NewMem())
	sign("rows")
	const file = "/v1/snapshot/7/" + snapshotName
	var last func()
	for range maxAddressDownloads {
		leave, err := w.server.downloads.enter("192.0.2.1", time.Second) // the address of a test's requests
		if err != nil {
			t.Fatal(err)
		}
		last = leave
	}
	r := w.get(file)
	w.wantProblem(r, problemOverloaded)
	if r.Header().Get("Retry-After") != "5" {
		t.Errorf("Retry-After %s", r.Header().Get("Retry-After"))
	}
	if leave, err := w.server.downloads.enter("192.0.2.2", time.Second); err != nil {
		t.Errorf("another address: %v", err)
	} else {
		leave()
	}
	last()
	if r := w.get(file); r.Code != http.StatusOK {
		t.Errorf("once one is done: %d", r.Code)
	}
	if r := w.get(file); r.Code != http.StatusOK {
		t.Errorf("its place is not given back: %d", r.Code)
	}
}
