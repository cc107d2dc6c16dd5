package interop

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// What both answer to requests on which the text leaves no choice (tlog-witness,
// "add-checkpoint"), the faults that published witnesses were seen to have among
// them. Ours must answer so; theirs is logged.
func TestSideBySide(t *testing.T) {
	l := newLog("log.example/1", 30)
	junk := []proof.Hash{proof.LeafHash(nil)}
	honest := l.request(5, 9)
	long := wire.AddCheckpoint{Old: 5, Path: honest.Path, Note: must(proof.AddSignatures(honest.Note, foreignSignatures(5)...))}
	endless := append(l.request(0, 9).Format(), bytes.Repeat([]byte("\u2014 x.example AAAAAAAA\n"), 1<<20/26)...)
	for _, tc := range []struct {
		what  string
		first bool // they cosigned size 5 before
		body  []byte
		want  int
	}{
		{"never seen, old 7 and a garbage proof", false, wire.AddCheckpoint{Old: 7, Path: junk, Note: l.note(9)}.Format(), 409},
		{"old 0 with proof lines", false, wire.AddCheckpoint{Path: junk, Note: l.note(9)}.Format(), 422},
		{"size 0 with another root", false, wire.AddCheckpoint{Note: l.signed(proof.Checkpoint{Origin: l.origin, Root: junk[0]})}.Format(), 422},
		{"1 MB that is no request", false, append([]byte("old 0\n\n"), bytes.Repeat([]byte("x"), 1<<20)...), 413},
		{"1 MB of signatures under a request", false, endless, 413},
		{"one size, another root", true, wire.AddCheckpoint{Old: 5, Note: l.signed(proof.Checkpoint{Origin: l.origin, Size: 5, Root: junk[0]})}.Format(), 422},
		{"a wrong proof", true, wire.AddCheckpoint{Old: 5, Path: junk, Note: l.note(9)}.Format(), 422},
		{"old above the checkpoint's size", true, wire.AddCheckpoint{Old: 9, Note: l.note(5)}.Format(), 400},
		{"old below what was cosigned", true, l.request(4, 9).Format(), 409},
		{"old size with leading zeros", true, bytes.Replace(honest.Format(), []byte("old 5"), []byte("old 05"), 1), 400},
		{"64 proof lines", true, wire.AddCheckpoint{Old: 5, Path: make([]proof.Hash, 64), Note: l.note(9)}.Format(), 400},
		{"no signature by the log", true, wire.AddCheckpoint{Old: 5, Note: newLog(l.origin, 9).note(9)}.Format(), 403},
		{"unknown log", true, wire.AddCheckpoint{Note: newLog("other.example", 9).note(9)}.Format(), 404},
		{"an honest step with 25 kB of signatures", true, long.Format(), 200},
		{"an honest step", true, honest.Format(), 200},
	} {
		o := newDocketWitness(t, "w1.example", l.list)
		url, _ := newPeerWitness(t, "w3.example", l.list)
		status := func(url string) int {
			if tc.first {
				call(t, "POST", url+"/add-checkpoint", l.request(0, 5).Format())
			}
			status, _, _ := call(t, "POST", url+"/add-checkpoint", tc.body)
			return status
		}
		got, other := status(o.url), status(url)
		if got != tc.want {
			t.Errorf("%s: ours answers %d, want %d", tc.what, got, tc.want)
		}
		t.Logf("%-40s want %d, ours %d, theirs %d", tc.what, tc.want, got, other)
	}
}

// foreignSignatures are signatures as long as ML-DSA ones may be, of keys nobody knows.
func foreignSignatures(n int) []proof.Signature {
	sigs := make([]proof.Signature, n)
	for i := range sigs {
		sigs[i] = proof.Signature{Name: "stranger.example", ID: uint32(i), Sig: make([]byte, 3700)}
	}
	return sigs
}

// What witnesses show to monitors (tlog-witness, "Monitor Retrieval Mechanism").
func TestMonitoringSideBySide(t *testing.T) {
	l := newLog("log.example/1", 9)
	path := fmt.Sprintf("/%s/checkpoint", wire.OriginHash(l.origin))
	o := newDocketWitness(t, "w1.example", l.list)
	url, _ := newPeerWitness(t, "w3.example", l.list)
	before, _, _ := call(t, "GET", o.url+path, nil)
	call(t, "POST", o.url+"/add-checkpoint", l.request(0, 9).Format())
	call(t, "POST", url+"/add-checkpoint", l.request(0, 9).Format())
	after, _, _ := call(t, "GET", o.url+path, nil)
	other, _, _ := call(t, "GET", url+path, nil)
	if before != http.StatusNotFound || after != http.StatusOK {
		t.Errorf("ours answers %d before and %d after it cosigned, want 404 and 200", before, after)
	}
	t.Logf("the newest checkpoint: ours %d, theirs %d", after, other)
}
