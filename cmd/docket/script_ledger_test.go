package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/auditors"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/server"
)

// signerNames are whose keys a script finds in keys/, PARTY-HOLDER.pem.
var signerNames = []string{
	"root/root-1", "root/root-2", "root/root-3",
	"authority/officer-1", "authority/officer-2", "authority/officer-3", "authority/nightly-import",
	"acme-cloud/compliance", "acme-cloud/ci", "borealis/ci", "borealis/compliance",
}

// scriptLedger is what the commands of one script share.
type scriptLedger struct {
	url       string
	keys      node.Keys
	world     *registertest.World
	witnesses testWitnesses
}

type scriptLedgerKey struct{}

func scriptLedgerOf(ts *testscript.TestScript) *scriptLedger {
	return ts.Value(scriptLedgerKey{}).(*scriptLedger)
}

// serveLedger serves a real ledger, its disk in memory, until the script ends: the
// charter, the authority, and the providers named. Of three witnesses two must
// cosign, and do, but while there is a file "asleep": then nothing is published. After
// -unwatched there are none; each -auditor FILE names an auditor by its vkey; -imports L,M
// are the lists of its charter. It sets $URL, $CHARTER, and writes policy.txt and keys/.
func serveLedger(ts *testscript.TestScript, _ bool, args []string) {
	origin, unwatched := "docket.example/script", false
	if len(args) > 0 && args[0] == "-unwatched" {
		unwatched, args = true, args[1:]
	}
	var named []auditors.Named
	for len(args) > 1 && args[0] == "-auditor" {
		key, err := proof.ParseAuditorKey(strings.TrimSpace(ts.ReadFile(args[1])))
		ts.Check(err)
		named, args = append(named, auditors.Named{Key: key}), args[2:]
	}
	var imports []record.ImportList
	if len(args) > 1 && args[0] == "-imports" {
		for list := range strings.SplitSeq(args[1], ",") {
			imports = append(imports, record.ImportList{List: list, MaxRemovedPercent: 2})
		}
		args = args[2:]
	}
	keys, err := node.CreateKeys(ts.MkAbs("ledger"), origin)
	ts.Check(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	s := scriptLedgerOf(ts)
	s.url, s.keys, s.witnesses = "http://"+l.Addr().String(), keys, newWitnesses(ts)
	policy := s.policy(s.witnesses[:3])
	if unwatched {
		policy = s.policy(nil)
	}
	config := ledger.Config{ShutdownTimeout: time.Second, Cosign: func(ctx context.Context, ask ledger.CosignRequest) (ledger.CosignResponse, error) {
		if _, err := os.Stat(ts.MkAbs("asleep")); err == nil {
			return ledger.CosignResponse{}, nil // nobody answers
		}
		return s.witnesses.cosign(ctx, ask)
	}}
	world := registertest.New(time.Now(), origin, policy)
	world.CharterPredicate.RefusalsKey = keys.Refusals.Key().String()
	if imports != nil {
		world.CharterPredicate.Imports = imports
	}
	s.world = world
	n, err := node.Open(context.Background(), node.Config{Files: vfs.NewMem(), Dir: "ledger", Keys: keys, Ledger: config, Auditors: named})
	ts.Check(err)
	records := []func() record.Envelope{world.Charter, world.Authority}
	for _, p := range args {
		records = append(records, func() record.Envelope { return world.Provider(p) })
	}
	for _, write := range records {
		env := write()
		_, _, err := n.Admit(context.Background(), env)
		ts.Check(err)
		world.NoteAdmitted(env)
	}

	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	plenty := func() error { return nil }
	go func() { served <- n.Serve(ctx, l, server.Config{Room: plenty, PublishWait: 2 * time.Second}) }()
	ts.Defer(func() {
		stop()
		ts.Check(<-served)
		ts.Check(n.Close())
	})

	ts.Setenv("URL", s.url)
	ts.Setenv("CHARTER", world.Ledger.String())
	ts.Setenv("DOCKET_TRUST", "")
	write := func(name string, data []byte) { ts.Check(os.WriteFile(ts.MkAbs(name), data, 0o600)) }
	write("policy.txt", []byte(policy))
	ts.Check(os.MkdirAll(ts.MkAbs("keys"), 0o755))
	for _, name := range signerNames {
		write(filepath.Join("keys", strings.ReplaceAll(name, "/", "-")+".pem"), world.PrivatePEM(name))
	}
	write("ci.pub", []byte(world.Signer("acme-cloud/ci").Key().PEM()))
}

// policy is one that asks for two of three witnesses, or for none.
func (s *scriptLedger) policy(three testWitnesses) (text string) {
	for _, k := range s.keys.Signers {
		text += fmt.Sprintf("log %s %s\n", k.Key(), s.url)
	}
	if len(three) == 0 {
		return text + "quorum none\n"
	}
	names := ""
	for _, c := range three {
		name, _, _ := strings.Cut(c.Key().Name(), ".")
		text += fmt.Sprintf("witness %s %s https://%[1]s.example\n", name, c.Key())
		names += " " + name
	}
	return text + "group two-of-three 2" + names + "\nquorum two-of-three\n"
}

// rotate has the root keys put w4, w5 and w6 in the place of the witnesses.
func rotate(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) > 0 {
		ts.Fatalf("usage: rotate")
	}
	s := scriptLedgerOf(ts)
	s.world.CharterPredicate.Policy = s.policy(s.witnesses[3:])
	s.world.Now = time.Now()
	policy, err := proof.ParsePolicy([]byte(s.world.CharterPredicate.Policy))
	ts.Check(err)
	c, err := client.New(s.url, nil)
	ts.Check(err)
	sub, err := c.Submit(context.Background(), s.world.Charter().Marshal(), client.SinglePolicy{Only: policy}, client.Retry{MaxElapsed: time.Minute})
	ts.Check(err)
	if sub.Receipt == nil {
		ts.Fatalf("the new charter is not published")
	}
}

// replay serves the ledger at $REPLAYED as it is, but for receipts and the list of records:
// each request for one is answered with a file, which was true once.
func replay(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: replay FILE")
	}
	answer := ts.ReadFile(args[0])
	target, err := url.Parse(scriptLedgerOf(ts).url)
	ts.Check(err)
	through := httputil.NewSingleHostReverseProxy(target)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/receipt") || r.Method == http.MethodGet && r.URL.Path == "/v1/records" {
			io.WriteString(w, answer)
			return
		}
		through.ServeHTTP(w, r)
	}))
	ts.Defer(s.Close)
	ts.Setenv("REPLAYED", s.URL)
}

// misrefuse signs with the ledger's key, into FILE, that it has refused an envelope as of a
// size, for want of signatures.
func misrefuse(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: misrefuse ENVELOPE SIZE FILE")
	}
	env, err := record.ParseEnvelope([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	size, err := strconv.ParseUint(args[1], 10, 63)
	ts.Check(err)
	s := scriptLedgerOf(ts)
	n := record.RefusalNote{Ledger: s.world.Ledger, Record: record.IDOf(env.Payload), Size: size, Rule: "forbidden", Time: time.Now()}
	for _, sig := range env.Signatures {
		n.Keys = append(n.Keys, sig.KeyID)
	}
	slices.Sort(n.Keys)
	n, err = s.keys.Refusals.Sign(n)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), n.Format(), 0o644))
}

// testWitnesses are six, of whom three are in a policy at a time. They cosign whatever they
// are shown: honest ones are the business of package witness.
type testWitnesses []*proof.Cosigner

func newWitnesses(ts *testscript.TestScript) (w testWitnesses) {
	for i := range 6 {
		skey, _, err := proof.GenerateKey(proof.CosignatureEd25519, fmt.Sprintf("w%d.example/docket", i+1))
		ts.Check(err)
		c, err := proof.ParseCosigner(skey)
		ts.Check(err)
		w = append(w, c)
	}
	return w
}

// cosign asks the first and the third of the policy's; the second is asleep.
func (w testWitnesses) cosign(_ context.Context, ask ledger.CosignRequest) (ledger.CosignResponse, error) {
	cp := ask.Signed.Checkpoint()
	var answer ledger.CosignResponse
	for i, asked := range ask.Policy.Witnesses() {
		for _, c := range w {
			if i == 1 || c.Key().String() != asked.Key.String() {
				continue
			}
			sig, err := c.Cosign(cp)
			if err != nil {
				return ledger.CosignResponse{}, err
			}
			answer.Cosignatures = append(answer.Cosignatures, sig)
		}
	}
	return answer, nil
}

// signOutside signs a file's bytes as a card or a KMS would.
func signOutside(ts *testscript.TestScript, _ bool, args []string) {
	block, _ := pem.Decode([]byte(ts.ReadFile(filepath.Join("keys", "acme-cloud-ci.pem"))))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	ts.Check(err)
	sig := ed25519.Sign(key.(ed25519.PrivateKey), []byte(ts.ReadFile(args[0])))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), sig, 0o644))
}

// mirror serves the ledger at $MIRROR as it is, but for one digit of an admission time
// in every bundle of entries.
func mirror(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) > 0 {
		ts.Fatalf("usage: mirror")
	}
	target, err := url.Parse(scriptLedgerOf(ts).url)
	ts.Check(err)
	through := httputil.NewSingleHostReverseProxy(target)
	through.ModifyResponse = func(r *http.Response) error {
		if !strings.HasPrefix(r.Request.URL.Path, "/tile/entries/") || r.StatusCode != http.StatusOK {
			return nil
		}
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			var err error
			if body, err = gzip.NewReader(r.Body); err != nil {
				return err
			}
		}
		data, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		at := bytes.LastIndex(data, []byte(`Z","envelope"`)) - 1
		data[at] = '0' + (data[at]-'0'+1)%10
		r.Header.Del("Content-Encoding")
		r.Header.Set("Content-Length", strconv.Itoa(len(data)))
		r.ContentLength, r.Body = int64(len(data)), io.NopCloser(bytes.NewReader(data))
		return nil
	}
	s := httptest.NewServer(through)
	ts.Defer(s.Close)
	ts.Setenv("MIRROR", s.URL)
}

// serveStatic serves a folder as any static web server does, but of it only what C2SP
// tlog-tiles names, or an auditor shows, at $STATIC: serve-static DIR.
func serveStatic(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: serve-static DIR")
	}
	files := http.FileServer(http.Dir(ts.MkAbs(args[0])))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/checkpoint") && !strings.HasPrefix(r.URL.Path, "/tile/") {
			http.NotFound(w, r)
			return
		}
		files.ServeHTTP(w, r)
	}))
	ts.Defer(s.Close)
	ts.Setenv("STATIC", s.URL)
}

// askWitness asks the witness at a URL to cosign what the ledger at $URL shows, from
// an old size on and with no proof, and prints its answer: ask-witness WITNESS OLD.
// With a directory as a third argument, the log whose keys are there signs another tree
// of that size.
func askWitness(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: ask-witness WITNESS OLD [DIR]")
	}
	old, err := strconv.ParseUint(args[1], 10, 64)
	ts.Check(err)
	log, err := wire.NewLog(ts.Getenv("URL"), nil)
	ts.Check(err)
	note, err := log.Checkpoint(context.Background())
	ts.Check(err)
	if len(args) == 3 {
		cp, _, err := proof.ParseCheckpoint(note)
		ts.Check(err)
		keys, err := node.LoadKeys(ts.MkAbs(args[2]))
		ts.Check(err)
		cp.Root[0] ^= 1
		signed, err := proof.SignCheckpoint(cp, keys.Signers...)
		ts.Check(err)
		note = signed.Note()
	}
	res, err := http.Post(args[0]+"/add-checkpoint", "text/plain", bytes.NewReader(wire.AddCheckpoint{Old: old, Note: note}.Format()))
	ts.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%d\n%s", res.StatusCode, body)
}

// forge writes the receipt that an operator and a dishonest quorum would hand out of a
// second history: forge DIR INDEX CHANGED OUT takes the entries of a trust directory's
// copy, changes one, or adds one that nobody has seen, and proves that another is in the
// tree of them all.
func forge(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 4 {
		ts.Fatalf("usage: forge DIR INDEX CHANGED OUT")
	}
	index, err := strconv.ParseUint(args[1], 10, 64)
	ts.Check(err)
	changed, err := strconv.ParseUint(args[2], 10, 64)
	ts.Check(err)
	entries := copied(ts, args[0])
	for uint64(len(entries)) <= changed {
		entries = append(entries, entries[len(entries)-1])
	}
	e, err := record.ParseEntry(entries[changed])
	ts.Check(err)
	e.Admitted = e.Admitted.Add(time.Millisecond)
	entries[changed] = e.Marshal()
	writeChain(ts, args[3], entries, index)
}

// forgeChain writes the chain that an operator hands out who admits what nobody had the
// right to sign: forge-chain DIR CASE OUT adds one of the cases below to the entries of a
// trust directory's copy. The log signs and its witnesses cosign: they do not judge.
func forgeChain(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: forge-chain DIR CASE OUT")
	}
	entries := copied(ts, args[0])
	w := scriptLedgerOf(ts).world
	w.Now = time.Now()
	admit := func(st *record.Statement, keys ...string) uint64 {
		env := w.Sign(st, keys...)
		v, err := record.Open(env, func(*record.Statement) (all []*record.Key) {
			for _, name := range keys {
				all = append(all, w.Signer(name).Key())
			}
			return all
		})
		ts.Check(err)
		e, err := v.Entry(time.Now(), func(*record.Key) bool { return true })
		ts.Check(err)
		entries = append(entries, e.Marshal())
		return uint64(len(entries) - 1)
	}
	order := w.Statement("designation/2026-099", record.Authority, w.NewDesignation("Marrow Net (fictional)"))
	var shown []uint64
	switch args[1] {
	case "one-officer":
		shown = []uint64{0, 1, admit(order, "authority/officer-1")}
	case "provider":
		shown = []uint64{0, 1, 2, admit(order, "acme-cloud/compliance", "acme-cloud/ci")}
	case "other-party":
		answer := w.Statement("response/2026-014/borealis", "borealis", &record.Response{Status: "no-relationship"})
		shown = []uint64{0, 1, 2, admit(answer, "acme-cloud/ci")}
	case "self-enrolled":
		self := &record.Keys{Add: []record.PartyKey{w.Officer("authority/self", record.FuncDesignator)}}
		shown = []uint64{0, 1, admit(w.Statement("party/authority", record.Authority, self), "authority/self")}
		shown = append(shown, admit(order, "authority/officer-1", "authority/self"))
	default:
		ts.Fatalf("no such case: %s", args[1])
	}
	writeChain(ts, args[2], entries, shown...)
}

// copied are the entries of a trust directory's copy.
func copied(ts *testscript.TestScript, dir string) (entries [][]byte) {
	trust, err := client.OpenTrust(vfs.Default, ts.MkAbs(dir))
	ts.Check(err)
	defer trust.Close()
	for i := range trust.Checkpoint().Checkpoint().Size {
		raw, err := trust.Entry(context.Background(), i)
		ts.Check(err)
		entries = append(entries, raw)
	}
	return entries
}

// writeChain proves entries, fewer than fill a tile, by the log's own keys and its
// witnesses.
func writeChain(ts *testscript.TestScript, out string, entries [][]byte, indexes ...uint64) {
	ranges := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	edge := ranges.NewEmptyRange(0)
	var tile []byte
	for _, raw := range entries {
		leaf := proof.LeafHash(raw)
		tile = append(tile, leaf[:]...)
		ts.Check(edge.Append(leaf[:], nil))
	}
	root, err := edge.GetRootHash(nil)
	ts.Check(err)
	s := scriptLedgerOf(ts)
	cp := proof.Checkpoint{Origin: s.world.CharterPredicate.Origin, Size: uint64(len(entries)), Root: proof.Hash(root)}
	policy, err := proof.ParsePolicy([]byte(s.world.CharterPredicate.Policy))
	ts.Check(err)
	signed, err := proof.SignCheckpoint(cp, s.keys.Signers...)
	ts.Check(err)
	answer, err := s.witnesses.cosign(context.Background(), ledger.CosignRequest{Signed: signed, Policy: policy})
	ts.Check(err)
	note, err := proof.AddSignatures(signed.Note(), answer.Cosignatures...)
	ts.Check(err)
	read := func(context.Context, []proof.TileID) ([][]byte, error) { return [][]byte{tile}, nil }
	var text strings.Builder
	for _, index := range indexes {
		in, err := proof.NewTileReader(read, -1).At(cp.Tree()).InclusionProof(context.Background(), index)
		ts.Check(err)
		one, err := proof.Receipt{Entry: entries[index], Index: index, Path: in.Path, Checkpoint: note}.Format()
		ts.Check(err)
		text.Write(one)
	}
	ts.Check(os.WriteFile(ts.MkAbs(out), []byte(text.String()), 0o644))
}

// changePayload edits the text of an envelope under its signatures:
// change-payload FILE OLD NEW OUT.
func changePayload(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: change-payload FILE OLD NEW OUT")
	}
	env, err := record.ParseEnvelope([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	changed := bytes.ReplaceAll(env.Payload, []byte(args[1]), []byte(args[2]))
	if bytes.Equal(changed, env.Payload) {
		ts.Fatalf("%s does not say %s", args[0], args[1])
	}
	env.Payload = changed
	ts.Check(os.WriteFile(ts.MkAbs(args[3]), append(env.Marshal(), '\n'), 0o644))
}
