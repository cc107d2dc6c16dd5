package interop

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"testing"

	formats "github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
)

// plainLog is a C2SP log in which nothing is Docket's: the tree and its proofs are
// sumdb/tlog's, checkpoints and signatures those of sumdb/note and
// transparency-dev/formats.
type plainLog struct {
	origin string
	signer note.Signer
	vkey   string
	hashes []tlog.Hash // as sumdb/tlog stores them
}

func (l *plainLog) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		out[i] = l.hashes[at]
	}
	return out, nil
}

func (l *plainLog) grow(size int64) {
	for n := range size {
		l.hashes = append(l.hashes, must(tlog.StoredHashes(n, fmt.Appendf(nil, "entry %d", n), l))...)
	}
}

func (l *plainLog) note(size int64) []byte {
	root := must(tlog.TreeHash(size, l))
	cp := formats.Checkpoint{Origin: l.origin, Size: uint64(size), Hash: root[:]}
	return must(note.Sign(&note.Note{Text: string(cp.Marshal())}, l.signer))
}

// request is an add-checkpoint body, written by hand.
func (l *plainLog) request(old, size int64) []byte {
	b := fmt.Appendf(nil, "old %d\n", old)
	if old > 0 {
		for _, h := range must(tlog.ProveTree(size, old, l)) {
			b = append(b, base64.StdEncoding.EncodeToString(h[:])+"\n"...)
		}
	}
	return append(append(b, '\n'), l.note(size)...)
}

// Our witness serves logs of other libraries: of both key types, with an origin
// that is the key's name or another. Its answers verify with those libraries, and
// so does what it shows to monitors.
func TestLogOfOtherLibraries(t *testing.T) {
	edSkey, edVkey, err := note.GenerateKey(nil, "plain.example/1")
	if err != nil {
		t.Fatal(err)
	}
	mlSkey, mlVkey, err := fnote.GenerateMLDSAKey("plain.example/2")
	if err != nil {
		t.Fatal(err)
	}
	renamed, renamedVkey, err := note.GenerateKey(nil, "key.example")
	if err != nil {
		t.Fatal(err)
	}
	for what, l := range map[string]*plainLog{
		"Ed25519":                      {origin: "plain.example/1", signer: must(note.NewSigner(edSkey)), vkey: edVkey},
		"ML-DSA-44":                    {origin: "plain.example/2", signer: must(fnote.NewMLDSASigner(mlSkey)), vkey: mlVkey},
		"origin unlike the key's name": {origin: "plain.example, log 3", signer: must(note.NewSigner(renamed)), vkey: renamedVkey},
	} {
		t.Run(what, func(t *testing.T) {
			l.grow(300)
			list := fmt.Sprintf("logs/v0\nvkey %s\norigin %s\nqpd 2147483647\ncontact x\n", l.vkey, l.origin)
			w := newDocketWitness(t, "w1.example", must(witness.ParseLogs([]byte(list))))
			by := []note.Verifier{must(fnote.NewVerifierForCosignatureV1(w.keys[0])), must(fnote.NewMLDSAVerifier(w.keys[1]))}
			logKey := must(fnote.NewVerifier(l.vkey))

			old := int64(0)
			for _, size := range []int64{0, 1, 2, 3, 3, 7, 8, 9, 64, 100, 255, 256, 257, 300} {
				status, _, said := call(t, "POST", w.url+"/add-checkpoint", l.request(old, size))
				if status != http.StatusOK {
					t.Fatalf("from %d to %d: %d %s", old, size, status, said)
				}
				checkCosigned(t, append(l.note(size), said...), l.origin, uint64(size), logKey, by...)
				old = size
			}
			status, header, said := call(t, "POST", w.url+"/add-checkpoint", l.request(256, 300))
			if status != http.StatusConflict || header.Get("Content-Type") != "text/x.tlog.size" || string(said) != "300\n" {
				t.Errorf("a stale old size: %d %s %q", status, header.Get("Content-Type"), said)
			}
			status, _, shown := call(t, "GET", fmt.Sprintf("%s/%x/checkpoint", w.url, sha256.Sum256([]byte(l.origin))), nil)
			if status != http.StatusOK {
				t.Fatalf("what monitors are shown: %d", status)
			}
			checkCosigned(t, shown, l.origin, 300, logKey, by...)
		})
	}
}

// checkCosigned reads a checkpoint with transparency-dev/formats: the log and all
// these witnesses signed it.
func checkCosigned(t testing.TB, text []byte, origin string, size uint64, log note.Verifier, by ...note.Verifier) {
	t.Helper()
	cp, rest, n, err := formats.ParseCheckpoint(text, origin, log, by...)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if cp.Size != size || len(rest) > 0 || len(n.Sigs) != 1+len(by) {
		t.Fatalf("size %d, want %d; %d verified signatures, want %d; extension %q", cp.Size, size, len(n.Sigs), 1+len(by), rest)
	}
	for _, s := range n.Sigs[1:] {
		if at := must(fnote.CoSigV1Timestamp(s)); at.Unix() == 0 {
			t.Errorf("%s signed without a time", s.Name)
		}
	}
}

// An Ed25519 checkpoint with an extension line is what the text allows and we do
// not: an ML-DSA cosignature would not cover it. The refusal says so.
func TestExtensionLine(t *testing.T) {
	skey, vkey := newKey(proof.Ed25519, "plain.example/1")
	w := newDocketWitness(t, "w1.example", must(witness.ParseLogs(fmt.Appendf(nil, "logs/v0\nvkey %s\nqpd 9\ncontact x\n", vkey))))
	l := &plainLog{origin: "plain.example/1", signer: must(note.NewSigner(skey))}
	root := must(tlog.TreeHash(0, l))
	text := formats.Checkpoint{Origin: l.origin, Hash: root[:]}.Marshal()
	signed := must(note.Sign(&note.Note{Text: string(text) + "an extension\n"}, l.signer))
	status, _, said := call(t, "POST", w.url+"/add-checkpoint", append([]byte("old 0\n\n"), signed...))
	if status != http.StatusBadRequest || !bytes.Contains(said, []byte("extension")) {
		t.Errorf("%d %s", status, said)
	}
}

func call(t testing.TB, method, url string, body []byte) (int, http.Header, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, said
}
