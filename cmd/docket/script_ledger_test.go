package main

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/server"
)

// people are whose keys a script finds in keys/, PARTY-HOLDER.pem.
var people = []string{
	"root/root-1", "root/root-2", "root/root-3",
	"authority/officer-1", "authority/officer-2", "authority/officer-3", "authority/nightly-import",
	"acme-cloud/compliance", "acme-cloud/ci", "borealis/ci",
}

// serveLedger serves a real ledger, its disk in memory, until the script ends: the
// charter, the authority, and the providers named. Of three witnesses two must
// cosign, and do, but while there is a file "asleep": then nothing is published. It
// sets $URL, $CHARTER, and writes policy.txt and keys/.
func serveLedger(ts *testscript.TestScript, _ bool, args []string) {
	const origin = "docket.example/script"
	keys, err := node.CreateKeys(ts.MkAbs("ledger"), origin)
	ts.Check(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	url := "http://" + l.Addr().String()

	witnesses := newWitnesses(ts)
	policy := ""
	for _, s := range keys.Signers {
		policy += fmt.Sprintf("log %s %s\n", s.Key(), url)
	}
	policy += witnesses.policy()
	config := ledger.Config{Grace: time.Second, Cosign: func(ctx context.Context, ask ledger.Ask) (ledger.Answer, error) {
		if _, err := os.Stat(ts.MkAbs("asleep")); err == nil {
			return ledger.Answer{}, nil // nobody answers
		}
		return witnesses.cosign(ctx, ask)
	}}
	world := registertest.New(time.Now(), origin, policy)
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
		world.Note(env)
	}

	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	plenty := func() (uint64, error) { return 1 << 40, nil }
	go func() { served <- n.Serve(ctx, l, server.Config{DiskFree: plenty, PublishWait: 2 * time.Second}) }()
	ts.Defer(func() {
		stop()
		ts.Check(<-served)
		ts.Check(n.Close())
	})

	ts.Setenv("URL", url)
	ts.Setenv("CHARTER", world.Ledger.String())
	ts.Setenv("DOCKET_TRUST", "")
	write := func(name string, data []byte) { ts.Check(os.WriteFile(ts.MkAbs(name), data, 0o600)) }
	write("policy.txt", []byte(policy))
	ts.Check(os.MkdirAll(ts.MkAbs("keys"), 0o755))
	for _, name := range people {
		write(filepath.Join("keys", strings.ReplaceAll(name, "/", "-")+".pem"), world.PrivatePEM(name))
	}
	write("ci.pub", []byte(world.Signer("acme-cloud/ci").Key().PEM()))
}

// witnesses are three that cosign whatever they are shown: honest ones are the
// business of package witness.
type witnesses []*proof.Cosigner

func newWitnesses(ts *testscript.TestScript) (w witnesses) {
	for i := range 3 {
		skey, _, err := proof.GenerateKey(proof.CosignatureEd25519, fmt.Sprintf("w%d.example/docket", i+1))
		ts.Check(err)
		c, err := proof.ParseCosigner(skey)
		ts.Check(err)
		w = append(w, c)
	}
	return w
}

func (w witnesses) policy() (text string) {
	for i, c := range w {
		text += fmt.Sprintf("witness w%d %s https://w%[1]d.example\n", i+1, c.Key())
	}
	return text + "group two-of-three 2 w1 w2 w3\nquorum two-of-three\n"
}

// cosign asks the first and the third; the second is asleep.
func (w witnesses) cosign(_ context.Context, ask ledger.Ask) (ledger.Answer, error) {
	cp, _, err := proof.ParseCheckpoint(ask.Signed.Note())
	if err != nil {
		return ledger.Answer{}, err
	}
	var answer ledger.Answer
	for _, c := range []*proof.Cosigner{w[0], w[2]} {
		sig, err := c.Cosign(cp)
		if err != nil {
			return ledger.Answer{}, err
		}
		answer.Cosignatures = append(answer.Cosignatures, sig)
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
