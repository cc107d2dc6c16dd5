package client

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// A checkpoint is as old as the newest quorum among its cosignatures, however old
// those of other witnesses are; without a quorum there is no age.
func TestCheckAge(t *testing.T) {
	for _, c := range []struct {
		cosigned [4]time.Duration // before now; 0: not at all
		age      time.Duration
	}{
		{[4]time.Duration{time.Minute, time.Minute}, time.Minute},
		{[4]time.Duration{3 * time.Hour, time.Minute, 2 * time.Hour}, 2 * time.Hour},
		{[4]time.Duration{3 * time.Hour, 3 * time.Hour, time.Minute, 2 * time.Minute}, 2 * time.Minute},
		{[4]time.Duration{time.Minute, 3 * time.Hour, 0, 2 * time.Hour}, 2 * time.Hour},
	} {
		synctest.Test(t, func(t *testing.T) {
			text := "log " + logKey().Key().String() + "\n"
			var keys []*proof.Cosigner
			for i := range c.cosigned {
				skey, _, err := proof.GenerateKey(proof.CosignatureEd25519, fmt.Sprintf("w%d.example", i))
				must(t, err)
				k, err := proof.ParseCosigner(skey)
				must(t, err)
				keys = append(keys, k)
				text += fmt.Sprintf("witness w%d %s\n", i, k.Key())
			}
			policy, err := proof.ParsePolicy([]byte(text + "group two 2 w0 w1 w2 w3\nquorum two\n"))
			must(t, err)
			cp := proof.Checkpoint{Origin: origin, Size: 1}
			signed, err := proof.SignCheckpoint(cp, logKey())
			must(t, err)
			_, sigs, err := proof.ParseCheckpoint(signed.Note())
			must(t, err)
			now := time.Now().Add(3 * time.Hour)
			for ago := 3 * time.Hour; ago > 0; ago -= time.Minute {
				for i, k := range keys {
					if c.cosigned[i] == ago {
						sig, err := k.Cosign(cp)
						must(t, err)
						sigs = append(sigs, sig)
					}
				}
				time.Sleep(time.Minute)
			}
			note, err := proof.FormatNote(cp, sigs...)
			must(t, err)
			p, err := policy.Verify(note, now)
			must(t, err)
			for _, limit := range []time.Duration{0, c.age, 4 * time.Hour} {
				must(t, CheckAge(p, limit, now))
			}
			var stale *StaleError
			if err := CheckAge(p, c.age-time.Second, now); !errors.As(err, &stale) || stale.Age != c.age {
				t.Errorf("%v: %v, want the age %s", c.cosigned, err, c.age)
			}
		})
	}
	w := newWorld(t)
	must(t, CheckAge(w.ledger.Published(), time.Second, time.Now().Add(year)))
}

// A checkpoint below its quorum is not accepted, whichever way it comes, and the
// error says which witnesses are missing; what was trusted stays.
func TestBelowQuorum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newEmptyWitnessedWorld(t)
		w.admit(w.amend(w.text("l1", "w1 w2 w3")))
		trust := w.syncedTrust()
		before := trust.Checkpoint()
		w.admit(w.ImportListed("0001", w.NewListedDesignation("0001", "Entity 1")))
		w.net.rewriteResponse = func(r *http.Request, answer []byte) []byte {
			if r.URL.Path != "/checkpoint" {
				return answer
			}
			cp, sigs, err := proof.ParseCheckpoint(answer)
			must(t, err)
			note, err := proof.FormatNote(cp, slices.DeleteFunc(sigs, func(s proof.Signature) bool { return s.Name == "w1.example" || s.Name == "w3.example" })...)
			must(t, err)
			return note
		}
		for name, follow := range map[string]func() error{
			"sync":    func() error { return trust.Sync(t.Context(), w.client(), nil) },
			"refresh": func() error { return trust.Refresh(t.Context(), w.client()) },
		} {
			var short *proof.QuorumError
			if err := follow(); !errors.As(err, &short) || !slices.Equal(short.Missing, []string{"w1", "w3"}) {
				t.Errorf("%s: %v", name, err)
			}
			if trust.Checkpoint().Checkpoint() != before.Checkpoint() {
				t.Errorf("%s: size %d is trusted now", name, trust.Checkpoint().Checkpoint().Size)
			}
		}
		wantFinding(t, runAudit(t, Audit{Source: w.client().Source(), Charter: w.Ledger}), "not enough cosignatures: 1 of 2 (w1, w3 missing)")
	})
}
