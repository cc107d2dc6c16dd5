package main

import (
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
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/server"
)

// signerNames are whose keys a script finds in keys/, PARTY-HOLDER.pem.
var signerNames = []string{
	"root/root-1", "root/root-2", "root/root-3",
	"authority/officer-1", "authority/officer-2", "authority/officer-3", "authority/nightly-import",
	"acme-cloud/compliance", "acme-cloud/ci", "borealis/ci",
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
// -unwatched there are none. It sets $URL, $CHARTER, and writes policy.txt and keys/.
func serveLedger(ts *testscript.TestScript, _ bool, args []string) {
	origin, unwatched := "docket.example/script", false
	if len(args) > 0 && args[0] == "-unwatched" {
		unwatched, args = true, args[1:]
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
	s.world = world
	n, err := node.Open(context.Background(), node.Config{Files: vfs.NewMem(), Dir: "ledger", Keys: keys, Ledger: config})
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
