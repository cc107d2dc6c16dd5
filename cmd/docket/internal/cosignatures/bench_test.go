package cosignatures_test

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/cosignatures"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
)

// BenchmarkPublish publishes one entry after another on the real disk, without
// witnesses and with three on loopback, of which two make the quorum; each signs
// with Ed25519 and ML-DSA and syncs before it does. The difference is what the
// witnesses add.
func BenchmarkPublish(b *testing.B) {
	b.Run("none", func(b *testing.B) { benchPublish(b, 0) })
	b.Run("witnesses=3", func(b *testing.B) { benchPublish(b, 3) })
}

func benchPublish(b *testing.B, n int) {
	var text strings.Builder
	var signers []*proof.Signer
	list := witness.Log{Origin: origin, QPD: 1 << 30, Contact: "log@example"}
	for _, alg := range []proof.Algorithm{proof.Ed25519, proof.MLDSA44} {
		skey, vkey := must2(proof.GenerateKey(alg, origin))
		signers = append(signers, must(proof.ParseSigner(skey)))
		list.Keys = append(list.Keys, must(proof.ParseLogKey(vkey)))
		fmt.Fprintf(&text, "log %s\n", vkey)
	}
	quorum := "quorum none\n"
	var groups []string
	for i := range n {
		var keys []witness.Key
		var vkeys []string
		for _, alg := range []proof.Algorithm{proof.CosignatureEd25519, proof.MLDSA44} {
			skey, vkey := must2(proof.GenerateKey(alg, fmt.Sprintf("w%d.example", i)))
			keys = append(keys, must(proof.ParseCosigner(skey)))
			vkeys = append(vkeys, vkey)
		}
		cfg := witness.Config{Keys: keys, FS: vfs.Default, Dir: b.TempDir(), Logs: witness.LogList{list}}
		if err := witness.CreateState(cfg); err != nil {
			b.Fatal(err)
		}
		w, err := witness.Open(cfg)
		if err != nil {
			b.Fatal(err)
		}
		defer w.Close()
		s := httptest.NewServer(w.Handler())
		defer s.Close()
		fmt.Fprintf(&text, "witness w%d-e %s %s\nwitness w%d-m %s %s\ngroup w%d all w%d-e w%d-m\n", i, vkeys[0], s.URL, i, vkeys[1], s.URL, i, i, i)
		groups = append(groups, fmt.Sprintf("w%d", i))
	}
	if n > 0 {
		quorum = fmt.Sprintf("group quorum %d %s\nquorum quorum\n", n/2+1, strings.Join(groups, " "))
	}
	policy := must(proof.ParsePolicy([]byte(text.String() + quorum)))
	dir := b.TempDir()
	store := must(pebblestore.Open(vfs.Default, dir+"/log", pebblestore.Options{}))
	defer store.Close()
	index := must(pebblestore.OpenBlobFold(vfs.Default, dir+"/index", policy, pebblestore.Options{}))
	defer index.Close()
	asker := cosignatures.New(cosignatures.Config{})
	defer asker.Close()
	var took []time.Duration
	l := must(ledger.Open(b.Context(), store, index, ledger.Config{
		Origin: origin, Signers: signers, Cosign: asker.Cosign,
		Hooks: ledger.Hooks{Published: func(_ uint64, d time.Duration, err error) {
			if err != nil {
				b.Error(err)
			}
			took = append(took, d)
		}},
	}))
	for i := 0; b.Loop(); i++ {
		must(l.Append(b.Context(), pebblestore.NewBlob(fmt.Append(nil, "blob ", i))))
		if err := l.Commit(b.Context()); err != nil {
			b.Fatal(err)
		}
		if err := l.Publish(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
