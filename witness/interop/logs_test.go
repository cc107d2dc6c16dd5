package interop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	formats "github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
)

func newCosigner(skey string) (note.Signer, error) { return fnote.NewSignerForCosignatureV1(skey) }

// testLog is a log of one tile in memory, with an Ed25519 key, which both witnesses know.
type testLog struct {
	origin, vkey string
	signer       note.Signer
	list         witness.LogList
	leaves       []byte // their hashes
}

func newLog(origin string, size int) *testLog {
	skey, vkey := newKey(proof.Ed25519, origin)
	l := &testLog{origin: origin, vkey: vkey, signer: must(note.NewSigner(skey))}
	l.list = must(witness.ParseLogs([]byte("logs/v0\nvkey " + vkey + "\nqpd 2147483647\ncontact x\n")))
	for i := range size {
		h := proof.LeafHash([]byte{byte(i), byte(i >> 8)})
		l.leaves = append(l.leaves, h[:]...)
	}
	return l
}

func (l *testLog) read(_ context.Context, ids []proof.TileID) ([][]byte, error) {
	out := make([][]byte, len(ids))
	for i, id := range ids {
		at := int(id.Index) * 256 * 32
		out[i] = l.leaves[at : at+id.Width*32]
	}
	return out, nil
}

// treeAt is that of the first n leaves: n ones appended, one after another, to the
// empty tree's compact range.
func (l *testLog) treeAt(n uint64) proof.Tree {
	return proof.Tree{Size: n, Root: l.root(0, n)}
}

func (l *testLog) root(lo, hi uint64) proof.Hash {
	switch hi - lo {
	case 0:
		return proof.EmptyRoot()
	case 1:
		return proof.Hash(l.leaves[lo*32 : hi*32])
	}
	k := uint64(1)
	for 2*k < hi-lo {
		k *= 2
	}
	return proof.NodeHash(l.root(lo, lo+k), l.root(lo+k, hi))
}

func (l *testLog) signed(cp proof.Checkpoint) []byte {
	sig := must(l.signer.Sign(cp.Body()))
	return must(proof.FormatNote(cp, proof.Signature{Name: l.origin, ID: l.signer.KeyHash(), Sig: sig}))
}

func (l *testLog) note(n uint64) []byte {
	return l.signed(proof.Checkpoint{Origin: l.origin, Size: n, Root: l.treeAt(n).Root})
}

func (l *testLog) request(m, n uint64) wire.AddCheckpoint {
	_, path, err := proof.NewTileReader(l.read, -1).At(l.treeAt(n)).ConsistencyProof(context.Background(), m)
	if err != nil {
		panic(err)
	}
	return wire.AddCheckpoint{Old: m, Path: path, Note: l.note(n)}
}

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

// A Tessera log with a witness policy publishes nothing without our two witnesses,
// starts anew with no memory of where they stand, and goes on. While one of them
// does not serve it, nothing new is published.
func TestTesseraLog(t *testing.T) {
	const origin = "tessera.example/log"
	skey, vkey := newKey(proof.Ed25519, origin)
	logs := must(witness.ParseLogs(fmt.Appendf(nil, "logs/v0\nvkey %s\nqpd 2147483647\ncontact x\n", vkey)))
	w1, w2 := newDocketWitness(t, "w1.example", logs), newDocketWitness(t, "w2.example", logs)
	text := fmt.Sprintf("log %s\nwitness w1 %s %s\nwitness w2 %s %s\ngroup both all w1 w2\nquorum both\n", vkey, w1.keys[0], w1.url, w2.keys[0], w2.url)
	policy := must(proof.ParsePolicy([]byte(text)))
	dir, size := t.TempDir(), uint64(0)
	for life := range 4 {
		log := openTessera(t, dir, skey, text)
		if life == 2 {
			if err := w2.SetLogs(nil); err != nil {
				t.Fatal(err)
			}
			log.add(t, "unpublished", 5)
			if err := log.close(3 * time.Second); err == nil {
				t.Error("tessera published without the second witness")
			}
			if p := verifyCheckpoint(t, policy, log.checkpoint(t)); p.Size != size {
				t.Errorf("size %d is published, of which w2 cosigned %d", p.Size, size)
			}
			if err := w2.SetLogs(logs); err != nil {
				t.Fatal(err)
			}
			continue
		}
		for round := range 3 {
			log.await(t, log.add(t, fmt.Sprint(life, round), 7))
		}
		if err := log.close(30 * time.Second); err != nil {
			t.Fatal(err)
		}
		p := verifyCheckpoint(t, policy, log.checkpoint(t))
		if p.Size < size+21 {
			t.Fatalf("life %d: size %d after %d and 21 entries", life, p.Size, size)
		}
		size = p.Size
		for _, w := range []docketWitness{w1, w2} {
			shown := must(must(wire.NewWitness(w.url, nil)).Checkpoint(t.Context(), origin))
			if cp, _, err := proof.ParseCheckpoint(shown); err != nil || cp != p {
				t.Errorf("life %d: the witness shows %+v (%v), published is %+v", life, cp, err, p)
			}
		}
	}
}

func verifyCheckpoint(t *testing.T, policy *proof.Policy, checkpoint []byte) proof.Checkpoint {
	t.Helper()
	p, err := policy.Verify(checkpoint, time.Now())
	if err != nil {
		t.Fatalf("%v\n%s", err, checkpoint)
	}
	return p.Checkpoint()
}

// tesseraLog is one life of a Tessera log in a directory.
type tesseraLog struct {
	ctx      context.Context
	cancel   context.CancelFunc
	appender *tessera.Appender
	shutdown func(context.Context) error
	reader   tessera.LogReader
}

// openTessera opens the log with the quorum of our policy's text, as tessera reads it.
func openTessera(t *testing.T, dir, skey, policy string) *tesseraLog {
	t.Helper()
	l := &tesseraLog{}
	l.ctx, l.cancel = context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(l.cancel)
	opts := tessera.NewAppendOptions().
		WithCheckpointSigner(must(note.NewSigner(skey))).
		WithBatching(10, 20*time.Millisecond).
		WithCheckpointInterval(100*time.Millisecond).
		WithWitnesses(must(tessera.NewWitnessGroupFromPolicy([]byte(policy))), &tessera.WitnessOptions{Timeout: 10 * time.Second})
	var err error
	l.appender, l.shutdown, l.reader, err = tessera.NewAppender(l.ctx, must(posix.New(l.ctx, posix.Config{Path: dir})), opts)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// add adds n entries and waits until they have their places.
func (l *tesseraLog) add(t *testing.T, name string, n int) []tessera.IndexFuture {
	t.Helper()
	futures := make([]tessera.IndexFuture, n)
	for i := range futures {
		futures[i] = l.appender.Add(l.ctx, tessera.NewEntry(fmt.Appendf(nil, "entry %s/%d", name, i)))
	}
	for _, f := range futures {
		if _, err := f(); err != nil {
			t.Fatal(err)
		}
	}
	return futures
}

// await waits until a published checkpoint has the entries.
func (l *tesseraLog) await(t *testing.T, futures []tessera.IndexFuture) {
	t.Helper()
	published := tessera.NewPublicationAwaiter(l.ctx, l.reader.ReadCheckpoint, 20*time.Millisecond)
	var all sync.WaitGroup
	for _, f := range futures {
		all.Go(func() {
			if _, _, err := published.Await(l.ctx, f); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// close ends the life: cleanly, if what was added can be published in that time.
func (l *tesseraLog) close(within time.Duration) error {
	ctx, cancel := context.WithTimeout(l.ctx, within)
	defer cancel()
	defer l.cancel()
	return l.shutdown(ctx)
}

func (l *tesseraLog) checkpoint(t *testing.T) []byte {
	t.Helper()
	text, err := l.reader.ReadCheckpoint(context.WithoutCancel(l.ctx))
	if err != nil {
		t.Fatal(err)
	}
	return text
}
