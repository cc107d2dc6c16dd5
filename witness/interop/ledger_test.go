package interop

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	formats "github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	fproof "github.com/transparency-dev/formats/proof"
	fwitness "github.com/transparency-dev/formats/witness"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/public"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/server"
	"github.com/seed-53cf897a/docket/witness"
)

// testDocket is a whole ledger behind HTTP. It signs with both algorithms, and publishes
// what two witnesses cosigned: one of ours and one of transparency-dev's.
type testDocket struct {
	*registertest.World
	t      testing.TB
	url    string
	origin string
	vkey   string // the Ed25519 one
	policy *proof.Policy
	count  int // of designations imported
}

func newDocket(t testing.TB) *testDocket {
	t.Helper()
	d := &testDocket{t: t, origin: "docket.example/interop"}
	ed, edVkey := newKey(proof.Ed25519, d.origin)
	ml, mlVkey := newKey(proof.MLDSA44, d.origin)
	d.vkey = edVkey
	logs := must(witness.ParseLogs(fmt.Appendf(nil, "logs/v0\nvkey %s\nqpd 2147483647\ncontact x\n\nvkey %s\nqpd 2147483647\ncontact x\n", edVkey, mlVkey)))
	ours := newDocketWitness(t, "w1.example", logs)
	theirs, vkey := newPeerWitness(t, "w3.example", logs)
	text := fmt.Sprintf("log %s\nlog %s\nwitness ours %s %s\nwitness theirs %s %s\ngroup both all ours theirs\nquorum both\n",
		edVkey, mlVkey, ours.keys[0], ours.url, vkey, theirs)
	d.policy = must(proof.ParsePolicy([]byte(text)))
	d.World = registertest.New(time.Now(), d.origin, text)

	disk := vfs.NewMem()
	store := must(pebblestore.Open(disk, "store", pebblestore.Options{}))
	reg := must(register.Open(disk, "register", registertest.SmallOptions()))
	signers := []*proof.Signer{must(proof.ParseSigner(ed)), must(proof.ParseSigner(ml))}
	l, err := ledger.Open(t.Context(), store, public.Fold(reg), ledger.Config{Origin: d.origin, Signers: signers, Cosign: cosign})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var run sync.WaitGroup
	run.Go(func() {
		if err := l.Run(ctx); err != nil {
			t.Errorf("the ledger ended with %v", err)
		}
	})
	s := httptest.NewServer(must(server.New(server.Config{Ledger: l, Register: reg})).Handler())
	d.url = s.URL
	t.Cleanup(func() {
		s.Close()
		cancel()
		run.Wait()
		reg.Close()
		store.Close()
	})
	d.publish(d.Charter())
	d.publish(d.Authority())
	return d
}

// cosign asks each witness of the policy, with no memory of where it stands: every
// time its 409 says it.
func cosign(ctx context.Context, ask ledger.CosignRequest) (ledger.CosignResponse, error) {
	var answer ledger.CosignResponse
	var problems []error
	for _, w := range ask.Policy.Witnesses() {
		c := must(wire.NewWitness(w.URL, nil))
		sigs, err := c.AddCheckpoint(ctx, wire.AddCheckpoint{Note: ask.Signed.Note()})
		if conflict := (*wire.ConflictError)(nil); errors.As(err, &conflict) {
			var path []proof.Hash
			if path, err = ask.ConsistencyProof(ctx, conflict.Size); err == nil {
				sigs, err = c.AddCheckpoint(ctx, wire.AddCheckpoint{Old: conflict.Size, Path: path, Note: ask.Signed.Note()})
			}
		}
		answer.Cosignatures = append(answer.Cosignatures, sigs...)
		problems = append(problems, err)
	}
	return answer, errors.Join(problems...)
}

// publish submits a record and returns its receipt.
func (d *testDocket) publish(env record.Envelope) []byte {
	d.t.Helper()
	status, receipt := d.post(env, "")
	if status != http.StatusCreated {
		d.t.Fatalf("submitting: %d\n%s", status, receipt)
	}
	d.NoteAdmitted(env)
	d.Now = time.Now()
	return receipt
}

func (d *testDocket) post(env record.Envelope, query string) (int, []byte) {
	res, err := http.Post(d.url+"/v1/records"+query, "application/json", bytes.NewReader(env.Marshal()))
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, []byte(err.Error())
	}
	return res.StatusCode, said
}

// appendRecords adds n imported designations, published together with one more, whose receipt
// it returns.
func (d *testDocket) appendRecords(n int) []byte {
	d.t.Helper()
	envelopes := make([]record.Envelope, n)
	for i := range envelopes {
		envelopes[i] = d.importRecord()
	}
	var all sync.WaitGroup
	for from := range 8 {
		all.Go(func() {
			for i := from; i < n; i += 8 {
				status, said := d.post(envelopes[i], "?wait=committed")
				if status != http.StatusAccepted && status != http.StatusCreated {
					d.t.Errorf("submitting: %d\n%s", status, said)
				}
			}
		})
	}
	all.Wait()
	return d.publish(d.importRecord())
}

func (d *testDocket) importRecord() record.Envelope {
	d.count++
	id := fmt.Sprint(10000 + d.count)
	return d.ImportListed(id, d.NewListedDesignation(id, "Example Trading "+id))
}

// Tessera's client reads our ledger over HTTP: it follows it from one checkpoint to
// the next, checks every tile and entry bundle against the root, and builds the
// proofs that our receipts carry.
func TestTesseraReadsOurLedger(t *testing.T) {
	d := newDocket(t)
	key := must(fnote.NewVerifier(d.vkey))
	fetch := must(client.NewHTTPFetcher(must(url.Parse(d.url)), nil))
	follower, err := client.NewLogStateTracker(t.Context(), fetch.ReadTile, nil, key, d.origin, client.UnilateralConsensus(fetch.ReadCheckpoint))
	if err != nil {
		t.Fatal(err)
	}
	for _, more := range []int{0, 5, 247, 0, 300, 40} {
		receipt := must(proof.ParseReceipt(d.appendRecords(more)))
		before := follower.Latest()
		_, path, shown, err := follower.Update(t.Context())
		if err != nil {
			t.Fatalf("following from %d: %v", before.Size, err)
		}
		now := follower.Latest()
		from, to := tree(before), tree(now)
		if err := proof.VerifyConsistency(from, to, hashes(path)); err != nil {
			t.Errorf("tessera's proof from %d to %d: %v", from.Size, to.Size, err)
		}
		if _, err := d.policy.Verify(shown, time.Now()); err != nil {
			t.Errorf("the checkpoint that tessera fetched: %v", err)
		}
		builder := must(client.NewProofBuilder(t.Context(), now.Size, fetch.ReadTile))
		inclusion, err := builder.InclusionProof(t.Context(), receipt.Index)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(hashes(inclusion), receipt.Path) {
			t.Errorf("entry %d of %d: tessera's proof is not that of the receipt", receipt.Index, now.Size)
		}
		check := fsck.New(d.origin, key, fetch, leafHashes, fsck.Opts{N: 2})
		if err := check.Check(t.Context()); err != nil {
			t.Errorf("fsck of %d entries: %v", now.Size, err)
		}
	}
	t.Logf("followed, proved and checked to %d entries", follower.Latest().Size)
}

func tree(cp formats.Checkpoint) proof.Tree {
	return proof.Tree{Size: cp.Size, Root: proof.Hash(cp.Hash)}
}

func hashes(path [][]byte) []proof.Hash {
	var out []proof.Hash
	for _, h := range path {
		out = append(out, proof.Hash(h))
	}
	return out
}

// leafHashes reads an entry bundle with tessera's parser.
func leafHashes(bundle []byte) ([][]byte, error) {
	var b api.EntryBundle
	if err := b.UnmarshalText(bundle); err != nil {
		return nil, err
	}
	var out [][]byte
	for _, entry := range b.Entries {
		out = append(out, rfc6962.DefaultHasher.HashLeaf(entry))
	}
	return out, nil
}

// Receipts as the server hands them out are read by transparency-dev's parser, and
// verified without a line of ours: inclusion by sumdb/tlog, the signatures by
// sumdb/note, the quorum of our policy file by formats and by tessera.
func TestOthersVerifyOurReceipts(t *testing.T) {
	d := newDocket(t)
	members := d.policy.Witnesses()
	group := must(fwitness.ParsePolicy([]byte(d.policy.Text())))
	theirGroup := must(tessera.NewWitnessGroupFromPolicy([]byte(d.policy.Text())))
	for range 40 {
		text := d.publish(d.importRecord())
		var r fproof.TLogProof
		if err := r.Unmarshal(text); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if again := r.Marshal(); !bytes.Equal(again, text) {
			t.Fatalf("read and written again it is\n%s\nwas\n%s", again, text)
		}
		cp, rest, n, err := formats.ParseCheckpoint(r.Checkpoint, d.origin, must(fnote.NewVerifier(d.vkey)),
			must(fnote.NewVerifier(members[0].Key.String())), must(fnote.NewVerifier(members[1].Key.String())))
		if err != nil || len(rest) > 0 || len(n.Sigs) != 3 {
			t.Fatalf("the receipt's checkpoint: %v, %d signatures verified, want 3\n%s", err, len(n.Sigs), r.Checkpoint)
		}
		path := make(tlog.RecordProof, len(r.Hashes))
		for i, h := range r.Hashes {
			path[i] = h
		}
		err = tlog.CheckRecord(path, int64(cp.Size), tlog.Hash(cp.Hash), int64(r.Index), tlog.RecordHash(r.ExtraData))
		if err != nil {
			t.Errorf("entry %d of %d: %v", r.Index, cp.Size, err)
		}
		if !group.Satisfied(r.Checkpoint) || !theirGroup.Satisfied(r.Checkpoint) {
			t.Errorf("the quorum is not satisfied, for formats or for tessera:\n%s", r.Checkpoint)
		}
		n.Sigs, n.UnverifiedSigs = n.Sigs[:1], nil
		if alone := must(note.Sign(n)); group.Satisfied(alone) || theirGroup.Satisfied(alone) {
			t.Fatal("the quorum is satisfied by the log's signature alone")
		}
	}
}

// `docket serve`, as it is installed, takes the cosignatures of omniwitness (two
// keys at one URL), of transparency-dev's witness on SQLite and of one of ours, all
// of which its quorum needs; is ended and started anew, shows them what it
// published last, and goes on.
func TestServeWithTheirWitnesses(t *testing.T) {
	const origin = "docket.example/serve"
	bin, dir := program(t, "docket"), t.TempDir()
	var text, list strings.Builder
	list.WriteString("logs/v0\n")
	for line := range strings.Lines(run(t, bin, "init", "--dir", dir, "--origin", origin)) {
		text.WriteString(line)
		fmt.Fprintf(&list, "vkey %sqpd 2147483647\ncontact x\n", strings.TrimPrefix(line, "log "))
	}
	logs := must(witness.ParseLogs([]byte(list.String())))
	omni, vkeys := newOmniwitness(t, "omni.example", logs)
	theirs, vkey := newPeerWitness(t, "w3.example", logs)
	ours := newDocketWitness(t, "w1.example", logs)
	fmt.Fprintf(&text, "witness omni-ed %s %s\nwitness omni-ml %s %s\nwitness theirs %s %s\nwitness ours %s %s\n",
		vkeys[0], omni, vkeys[1], omni, vkey, theirs, ours.keys[1], ours.url)
	text.WriteString("group omni all omni-ed omni-ml\ngroup everyone all omni theirs ours\nquorum everyone\n")
	policy := must(proof.ParsePolicy([]byte(text.String())))

	d := &testDocket{t: t, origin: origin, World: registertest.New(time.Now(), origin, text.String())}
	charter := filepath.Join(t.TempDir(), "charter.dsse.json")
	env := d.Charter()
	if err := os.WriteFile(charter, env.Marshal(), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, bin, "init", "--dir", dir, "--charter", charter)
	d.NoteAdmitted(env)

	for life := range 2 {
		var end func()
		d.url, end = serve(t, bin, dir)
		if life == 0 {
			d.publish(d.Authority())
		}
		for range 10 {
			receipt := must(proof.ParseReceipt(d.publish(d.importRecord())))
			if _, err := receipt.Verify(policy, time.Now()); err != nil {
				t.Errorf("life %d: %v", life, err)
			}
		}
		d.checkWitnesses(4, uint64(12+10*life))
		fetch := must(client.NewHTTPFetcher(must(url.Parse(d.url)), nil))
		key := must(fnote.NewVerifier(policy.LogKeys(origin)[0].String()))
		if err := fsck.New(origin, key, fetch, leafHashes, fsck.Opts{}).Check(t.Context()); err != nil {
			t.Errorf("life %d: fsck: %v", life, err)
		}
		end()
	}
}

// checkWitnesses: the ledger says of n witnesses that all cosigned its newest
// checkpoint, and that none ever failed.
func (d *testDocket) checkWitnesses(n int, size uint64) {
	d.t.Helper()
	_, _, text := call(d.t, "GET", d.url+"/v1/witnesses", nil)
	var said struct {
		Witnesses []struct {
			Size     uint64
			Failures int
		}
	}
	if err := json.Unmarshal(text, &said); err != nil {
		d.t.Fatal(err)
	}
	if len(said.Witnesses) != n {
		d.t.Errorf("%d witnesses, want %d", len(said.Witnesses), n)
	}
	for _, w := range said.Witnesses {
		if w.Size != size || w.Failures > 0 {
			d.t.Errorf("a witness is not at %d:\n%s", size, text)
		}
	}
}

// builtDir holds the programs that built has made.
var builtDir string

// built builds the program of the module around this one, and those of others' that this
// one requires as tools, once for all tests.
var built = sync.OnceValue(func() (err error) {
	if builtDir, err = os.MkdirTemp("", "built"); err != nil {
		return err
	}
	for from, programs := range map[string][]string{
		filepath.Join("..", "..", "cmd", "docket"): {"."},
		".": {"filippo.io/torchwood/cmd/litewitness", "filippo.io/torchwood/cmd/witnessctl"},
	} {
		c := exec.Command("go", append([]string{"build", "-buildvcs=false", "-o", builtDir + string(filepath.Separator)}, programs...)...)
		c.Dir = from
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("building %v: %w\n%s", programs, err, out)
		}
	}
	return nil
})

func TestMain(m *testing.M) {
	status := m.Run()
	if builtDir != "" {
		os.RemoveAll(builtDir)
	}
	os.Exit(status)
}

// program is the path of one of them.
func program(t *testing.T, name string) string {
	t.Helper()
	if err := built(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(builtDir, name)
}

func run(t *testing.T, bin string, args ...string) (stdout string) {
	t.Helper()
	var said bytes.Buffer
	c := exec.CommandContext(t.Context(), bin, args...)
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		t.Fatalf("docket %s: %v\n%s", strings.Join(args, " "), err, said.Bytes())
	}
	return string(out)
}

// serve runs `docket serve` until end is called.
func serve(t *testing.T, bin, dir string, args ...string) (url string, end func()) {
	t.Helper()
	var said bytes.Buffer
	c := exec.CommandContext(t.Context(), bin, append([]string{"serve", "--dir", dir, "--listen", "127.0.0.1:0"}, args...)...)
	c.Stderr = &said
	out := must(c.StdoutPipe())
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		c.Wait()
		t.Fatalf("docket serve said no URL: %v\n%s", err, said.Bytes())
	}
	return strings.TrimSpace(line), func() {
		c.Process.Signal(os.Interrupt)
		if err := c.Wait(); err != nil {
			t.Errorf("docket serve ended with %v\n%s", err, said.Bytes())
		}
	}
}
