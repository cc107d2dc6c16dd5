// Package nodetest is the world around a ledger's node in tests: hosts that answer in this
// process, the keys of a log, and real witnesses of it.
package nodetest

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
)

// Hosts call handlers in this process by the host's name. The zero value has none.
type Hosts struct {
	mu       sync.Mutex
	handlers map[string]http.Handler // guarded by mu
	asked    []string                // guarded by mu
}

// Handle puts a handler at a host's name; nobody answers there if it is nil.
func (o *Hosts) Handle(host string, h http.Handler) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.handlers == nil {
		o.handlers = make(map[string]http.Handler)
	}
	o.handlers[host] = h
}

// Asked are the URLs of all requests but those with GET.
func (o *Hosts) Asked() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked[:len(o.asked):len(o.asked)]
}

// RoundTrip implements [http.RoundTripper].
func (o *Hosts) RoundTrip(r *http.Request) (*http.Response, error) {
	o.mu.Lock()
	h := o.handlers[r.URL.Host]
	if r.Method != http.MethodGet {
		o.asked = append(o.asked, r.URL.String())
	}
	o.mu.Unlock()
	if h == nil {
		return nil, errors.New("no route to " + r.URL.Host)
	}
	out := httptest.NewRecorder()
	h.ServeHTTP(out, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return out.Result(), nil
}

// NewKeys makes the two keys of a log, and says them as key files do.
func NewKeys(t *testing.T, origin string) (k node.Keys, secrets []string) {
	t.Helper()
	k.Origin = origin
	for _, alg := range []proof.Algorithm{proof.Ed25519, proof.MLDSA44} {
		skey, _, err := proof.GenerateKey(alg, origin)
		check(t, err)
		s, err := proof.ParseSigner(skey)
		check(t, err)
		k.Signers, secrets = append(k.Signers, s), append(secrets, skey)
	}
	return k, secrets
}

// NewCosigner makes the key of a witness.
func NewCosigner(t *testing.T, name string) *proof.Cosigner {
	t.Helper()
	skey, _, err := proof.GenerateKey(proof.CosignatureEd25519, name)
	check(t, err)
	key, err := proof.ParseCosigner(skey)
	check(t, err)
	return key
}

// WitnessConfig is that of a log's witness, whose state is not made yet.
func WitnessConfig(files vfs.FS, log node.Keys, key *proof.Cosigner) witness.Config {
	l := witness.Log{Origin: log.Origin, QPD: 1 << 30, Contact: "log@example"}
	for _, s := range log.Signers {
		l.Keys = append(l.Keys, s.Key())
	}
	return witness.Config{Keys: []witness.Key{key}, FS: files, Dir: "w", Logs: witness.LogList{l}}
}

// OpenWitness opens a witness that has a state. It looks up what it cosigned, as it does after
// a crash, and has nobody to ask.
func OpenWitness(t *testing.T, c witness.Config) *witness.Witness {
	t.Helper()
	w, err := witness.Open(c)
	check(t, err)
	w.LookUp(t.Context())
	return w
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
