package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// TestStory is the life of one designation over TLS, from two officers' signatures
// to an auditor's receipt, with those refused who had no right.
func TestStory(t *testing.T) {
	l := newLedger(t)
	cert, key, roots := certificate(t)
	p := l.serve("--tls-cert", cert, "--tls-key", key)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	c, err := client.New(p.url, transport)
	if err != nil {
		t.Fatal(err)
	}
	ctx, w, policy := t.Context(), l.world, client.SinglePolicy{Only: l.policy}
	if !strings.HasPrefix(p.url, "https://") {
		t.Errorf("it says that it is at %s", p.url)
	}
	if _, err := l.client(p).Source().Checkpoint(ctx); err == nil {
		t.Error("a client that knows no certificate was content")
	}

	l.mustSubmit(ctx, c, w.Authority())
	for _, id := range []string{"acme-cloud", "borealis"} {
		l.mustSubmit(ctx, c, w.Provider(id))
	}
	one := w.Sign(w.Statement("designation/2026-014", record.Authority, w.NewDesignation("Kestrel Hosting")), "authority/officer-1")
	wantRefused(t, c, policy, one, http.StatusForbidden, "2 officers needed, 1 signed (officer-1)")
	two, err := w.Signer("authority/officer-2").Sign(ctx, one) // on another machine
	if err != nil {
		t.Fatal(err)
	}
	verdict, err := c.DryRun(ctx, two.Marshal())
	if err != nil || !strings.Contains(strings.Join(verdict.Effects, "\n"), "duties") {
		t.Errorf("the dry run says %+v, %v", verdict, err)
	}
	order := l.mustSubmit(ctx, c, two)

	ack := &record.Response{Status: "acknowledged"}
	forged := w.Sign(w.Statement("response/2026-014/acme-cloud", "acme-cloud", ack), "borealis/ci")
	wantRefused(t, c, policy, forged, http.StatusForbidden, "acme-cloud")
	answer := w.Respond("2026-014", "acme-cloud", ack)
	response := l.mustSubmit(ctx, c, answer)
	again, err := c.Submit(ctx, answer.Marshal(), policy, client.Retry{})
	if err != nil || !again.Existed || again.Receipt.Index() != response.Index() {
		t.Errorf("sent again: %+v, %v; want index %d, known", again, err, response.Index())
	}
	stale := w.Statement("response/2026-014/acme-cloud", "acme-cloud", &record.Response{Status: "no-relationship"})
	stale.Follows = record.ID{}
	wantRefused(t, c, policy, w.Sign(stale, "acme-cloud/ci"), http.StatusConflict, response.ID.String())

	trust, err := client.CreateTrust(ctx, vfs.NewMem(), "trust", c, l.id)
	if err != nil {
		t.Fatal(err)
	}
	defer trust.Close()
	report, err := client.Verify(ctx, response.Text, trust, time.Now())
	if err != nil || report.Authorship != client.AuthorshipNotChecked {
		t.Errorf("before the sync: %+v, %v", report, err)
	}
	if err := trust.Sync(ctx, c, nil); err != nil {
		t.Fatal(err)
	}
	report, err = client.Verify(ctx, response.Text, trust, time.Now())
	if err != nil || report.Authorship != client.AuthorshipByReplay || report.Signers[0].Party != "acme-cloud" || report.Signers[0].Holder != "ci" {
		t.Errorf("after the sync: %+v, %v", report, err)
	}
	spoilt := bytes.Replace(response.Text, []byte("index "), []byte("index 1"), 1)
	if _, err := client.Verify(ctx, spoilt, trust, time.Now()); err == nil {
		t.Error("a spoilt receipt verifies")
	}
	checkReceipts(t, l, c, []*client.Receipt{order, response})
	wantAnnounced(t, trust)
	p.end(t)
}

// wantRefused wants a refusal with that status and these words, and no trace of it.
func wantRefused(t *testing.T, c *client.Client, policy client.Policies, env record.Envelope, status int, words string) {
	t.Helper()
	before := newestTree(t, c)
	_, err := c.Submit(t.Context(), env.Marshal(), policy, client.Retry{})
	var p *client.Problem
	if !errors.As(err, &p) || p.Status != status || !strings.Contains(p.Error()+p.Current, words) {
		t.Errorf("got %v, want %d with %q", err, status, words)
	}
	if after := newestTree(t, c); after != before {
		t.Errorf("a refusal took the log from %v to %v", before, after)
	}
}

// wantAnnounced wants the order in the replayed copy as the world knows it today.
func wantAnnounced(t *testing.T, trust *client.Trust) {
	t.Helper()
	r, err := trust.Register()
	if err != nil {
		t.Fatal(err)
	}
	v, err := view.At(r, r.Size())
	if err != nil {
		t.Fatal(err)
	}
	d, err := v.Designation("designation/2026-014", time.Now())
	if err != nil || d.Status != view.StatusAnnounced || d.Name != "Kestrel Hosting" {
		t.Errorf("the copy says %+v, %v", d.Designation, err)
	}
}

// certificate makes a self-signed one for 127.0.0.1, as files.
func certificate(t *testing.T) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "docket.example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	roots = x509.NewCertPool()
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(parsed)
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", pkcs8), roots
}
