package node_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/cosignatures"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// diary is a log that can be read while it is written.
type diary struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (d *diary) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.Write(b)
}

// take is what was written since the last call.
func (d *diary) take() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	text := d.text.String()
	d.text.Reset()
	return text
}

// While two generations sign, the ledger asks its witness from time to time whether it
// would miss the older one, ever more rarely, and at once under a new charter; publishes
// all the while; and says what it heard. It asks nobody where one generation signs.
func TestRehearsals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestNode(t, "w")
		disk := vfs.NewMem()
		n, _, err := p.openAndAdmit(disk)
		check(t, err)
		authority := p.world.Authority()
		_, _, err = n.Admit(t.Context(), authority)
		check(t, err)
		p.world.NoteAdmitted(authority)
		n.Rehearsals(t.Context()) // of one generation: it returns
		check(t, n.Close())

		var next string
		for _, alg := range []proof.Algorithm{proof.Ed25519, proof.MLDSA44} {
			skey, vkey, err := proof.GenerateKey(alg, origin)
			check(t, err)
			s, err := proof.ParseSigner(skey)
			check(t, err)
			p.keys.Signers = append(p.keys.Signers, s)
			next += "log " + vkey + "\n"
		}
		p.keys.Older = 2
		var mu sync.Mutex
		alone := 0 // requests without the first key's signature
		p.Handle("w.example", http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			if strings.Count(string(body), "— "+origin) == 2 {
				alone++
			}
			mu.Unlock()
			r.Body = io.NopCloser(bytes.NewReader(body))
			p.witness.Handler().ServeHTTP(out, r)
		}))
		asked := func() int {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			n := alone
			alone = 0
			return n
		}
		var said diary
		n, err = node.Open(t.Context(), node.Config{Files: disk, Dir: "d/ledger", Keys: p.keys,
			Cosignatures: cosignatures.Config{Transport: p}, Log: slog.New(slog.NewJSONHandler(&said, nil))})
		check(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := n.Ledger.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		running.Go(func() { n.Rehearsals(ctx) })

		if got := asked(); got != 1 {
			t.Errorf("asked %d times at the start", got)
		}
		if text := said.take(); strings.Count(text, "the older log keys must go on signing") != 1 || !strings.Contains(text, `"not ready":"w: it cosigns by the log's present keys, and does not know the new ones`) {
			t.Errorf("said %s", text)
		}
		if n.Rehearsed().Quorum {
			t.Error("a witness that knows the older keys alone makes a quorum")
		}
		time.Sleep(3 * time.Hour)
		if got := asked(); got < 6 || got > 8 {
			t.Errorf("asked %d times in three hours", got)
		}
		if text := said.take(); strings.Contains(text, `"level":"ERROR"`) || strings.Contains(text, "a witness does not cosign") {
			t.Errorf("said %s", text)
		}

		// The witness learns the keys, and a charter comes that names them alone.
		check(t, p.witness.SetLogs(p.witnessConfig().Logs)) // of all four
		p.world.Now = time.Now()
		p.world.CharterPredicate.Policy = next + p.policy.Text()[strings.Index(p.policy.Text(), "witness "):]
		charter := p.world.Charter()
		v, err := record.Open(charter, n.Register.CandidateKeysFor(charter))
		check(t, err)
		ticket, err := n.Ledger.Append(t.Context(), v)
		check(t, err)
		at, err := ticket.AwaitCommitted(t.Context())
		check(t, err)
		_, err = n.Ledger.AwaitPublished(t.Context(), at.Index)
		check(t, err)
		if got := asked(); got != 1 {
			t.Errorf("asked %d times under the new charter", got)
		}
		if text := said.take(); !n.Rehearsed().Quorum || !strings.Contains(text, "every witness cosigns what the new log keys sign alone") {
			t.Errorf("said %s", text)
		}
		if err := n.MayRetire(); err != nil {
			t.Errorf("the newest charter names the new keys alone, and is published: %v", err)
		}
		cancel()
		running.Wait()
		check(t, n.Close())
	})
}
