package register_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// TestConcurrentReaders: while one goroutine judges and advances, others open
// envelopes, look records up and run dry; a dry run begun earlier sees the
// register as it was.
func TestConcurrentReaders(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	first := b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
	env := b.Respond("1", "acme-cloud", acknowledged)
	v, err := record.Open(env, b.Register.CandidateKeys)
	if err != nil {
		t.Fatal(err)
	}
	old := b.Register.Begin(b.Now)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := record.Open(env, b.Register.CandidateKeys); err != nil {
					t.Error(err)
				}
				if index, ok, err := b.Register.Lookup(record.IDOf(first.Envelope.Payload)); err != nil || !ok || index != 3 {
					t.Errorf("lookup: %d %t %v", index, ok, err)
				}
				_, err := b.Register.Begin(b.Register.LastAdmitted()).Judge(v)
				if err != nil && !strings.Contains(err.Error(), "response/1/acme-cloud exists") {
					t.Error(err)
				}
			}
		})
	}
	for i := range 200 {
		status := []string{"acknowledged", "licensed"}[i%2]
		b.Must(b.Respond("1", "acme-cloud", &record.Response{Status: status}))
	}
	close(stop)
	readers.Wait()
	if _, err := old.Judge(v); err != nil {
		t.Errorf("a draft sees records that came after it was begun: %v", err)
	}
}

// TestExplainSigners says whose key signed where nobody who may has.
func TestExplainSigners(t *testing.T) {
	b := registertest.NewFixture(start, "cirrus-hosting", "delta-racks")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
	for by, words := range map[string]string{
		"delta-racks/compliance": "belongs to delta-racks: sign with a key of cirrus-hosting that may",
		"root/root-1":            "is a root key",
		"cirrus-hosting/safe":    "of use recovery, which does not sign this kind of record",
	} {
		env, _ := sign(b, "response/1/cirrus-hosting", "cirrus-hosting", acknowledged, by)
		if _, err := b.Submit(env); err == nil {
			t.Errorf("%s signed for cirrus-hosting", by)
		}
		wantRefusal(t, b.Register.ExplainSigners(env, "cirrus-hosting"), record.Forbidden, words)
		env.Signatures[0].Sig[5] ^= 1
		if err := b.Register.ExplainSigners(env, "cirrus-hosting"); err != nil {
			t.Errorf("a forged signature accuses: %v", err)
		}
	}
}
