package server

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// A clock that was set back by as much as verifiers grant costs nobody anything; by more,
// the answers say what is wrong and from when on it is right without anybody's help.
func TestClockBehindTheNewestEntry(t *testing.T) {
	for _, c := range []struct {
		back  time.Duration
		ready bool
		retry string // Retry-After
	}{
		{20 * time.Second, true, ""},
		{5 * time.Minute, true, ""},
		{5*time.Minute + 90*time.Second, false, "90"},
		{24 * time.Hour, false, "600"}, // somebody will have set it right by then
	} {
		t.Run(c.back.String(), func(t *testing.T) {
			skey, vkey, err := proof.GenerateKey(proof.Ed25519, origin)
			if err != nil {
				t.Fatal(err)
			}
			set := settings{fs: vfs.NewMem(), key: [2]string{skey, vkey}}
			var authority []byte
			synctest.Test(t, func(t *testing.T) { // each bubble begins at the same time
				w := newWorld(t, set)
				time.Sleep(c.back)
				w.mustSubmit(w.Charter())
				authority = w.Authority().Marshal()
			})
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, set)
				if c.ready {
					w.wantJSON(w.get("/readyz"), http.StatusOK)
					if r := w.post(authority); r.Code != http.StatusCreated {
						t.Errorf("%d %s", r.Code, r.Body)
					}
					return
				}
				r := w.post(authority)
				detail := w.wantRefusal(r, problemClock)["detail"]
				if got := r.Header().Get("Retry-After"); got != c.retry {
					t.Errorf("Retry-After %q, want %q", got, c.retry)
				}
				ready := w.wantJSON(w.get("/readyz"), http.StatusServiceUnavailable)
				if reasons := []any{detail}; !reflect.DeepEqual(ready["reasons"], reasons) {
					t.Errorf("readyz says %v, want %v", ready["reasons"], reasons)
				}
				time.Sleep(c.back - 5*time.Minute)
				if r := w.post(authority); r.Code != http.StatusCreated {
					t.Errorf("once it has caught up: %d %s", r.Code, r.Body)
				}
				w.wantJSON(w.get("/readyz"), http.StatusOK)
			})
		})
	}
}

// Where the witnesses' clocks say something else, the answers name them.
func TestClockOffByItsWitnesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var off atomic.Int64 // of the clock here, as two witnesses see it
		cosigners, text := make([]func(proof.Checkpoint, time.Time) proof.Signature, 3), ""
		for i := range cosigners {
			line := ""
			cosigners[i], line = stampingCosigner(t, fmt.Sprintf("w%d", i))
			text += line
		}
		w := newWorld(t, settings{policy: text + "group all 2 w0 w1 w2\nquorum all\n", ledger: ledger.Config{Cosign: func(_ context.Context, ask ledger.CosignRequest) (a ledger.CosignResponse, err error) {
			for i, cosign := range cosigners {
				by := -time.Duration(off.Load())
				if i == 2 {
					by = 0
				}
				a.Cosignatures = append(a.Cosignatures, cosign(ask.Signed.Checkpoint(), time.Now().Add(by)))
			}
			return a, nil
		}}})
		w.mustSubmit(w.Charter())
		off.Store(int64(7 * time.Minute))
		time.Sleep(11 * time.Minute) // within which the checkpoint is shown to the witnesses again
		authority := w.Authority().Marshal()
		r := w.post(authority)
		detail := w.wantRefusal(r, problemClock)["detail"].(string) // it names the witnesses
		if got := r.Header().Get("Retry-After"); got != "5" {
			t.Errorf("Retry-After %q", got)
		}
		ready := w.wantJSON(w.get("/readyz"), http.StatusServiceUnavailable)
		if reasons := []any{detail}; !reflect.DeepEqual(ready["reasons"], reasons) {
			t.Errorf("readyz says %v, want %v", ready["reasons"], reasons)
		}
		off.Store(0)
		time.Sleep(5 * time.Second)
		if r := w.post(authority); r.Code != http.StatusCreated {
			t.Errorf("once it is right: %d %s", r.Code, r.Body)
		}
		w.wantJSON(w.get("/readyz"), http.StatusOK)
		if err := w.stop(); err != nil {
			t.Error(err)
		}
	})
}

// stampingCosigner is a witness that stamps what time it is told, and its line of a policy
// (tlog-cosignature "Ed25519 signed message").
func stampingCosigner(t *testing.T, name string) (func(proof.Checkpoint, time.Time) proof.Signature, string) {
	skey, vkey, err := proof.GenerateKey(proof.CosignatureEd25519, name+".example")
	if err != nil {
		t.Fatal(err)
	}
	key, err := proof.ParseCosigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	seed, err := base64.StdEncoding.DecodeString(strings.SplitN(skey, "+", 5)[4])
	if err != nil {
		t.Fatal(err)
	}
	return func(cp proof.Checkpoint, at time.Time) proof.Signature {
		message := append(fmt.Appendf(nil, "cosignature/v1\ntime %d\n", at.Unix()), cp.Body()...)
		sig := ed25519.Sign(ed25519.NewKeyFromSeed(seed[1:]), message)
		return proof.Signature{Name: key.Key().Name(), ID: key.Key().ID(), Sig: append(binary.BigEndian.AppendUint64(nil, uint64(at.Unix())), sig...)}
	}, fmt.Sprintf("witness %s %s https://%s.example\n", name, vkey, name)
}
