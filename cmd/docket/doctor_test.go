package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Each witness of the policy is asked once, and each way in which one is not of use is told
// apart; the clock is judged by all who answer.
func TestDoctorAsksWitnesses(t *testing.T) {
	const origin = "docket.example/2026"
	skey, logKey, err := proof.GenerateKey(proof.Ed25519, origin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := proof.ParseSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	note := func(size uint64) []byte {
		p, err := proof.SignCheckpoint(proof.Checkpoint{Origin: origin, Size: size, Root: proof.EmptyRoot()}, signer)
		if err != nil {
			t.Fatal(err)
		}
		return p.Note()
	}
	text := "log " + logKey + "\n"
	serve := func(name string, checkpoint []byte, ready int) {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /"+wire.OriginHash(origin)+"/checkpoint", func(w http.ResponseWriter, r *http.Request) {
			if checkpoint == nil {
				http.NotFound(w, r)
				return
			}
			w.Write(checkpoint)
		})
		mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "its disk is nearly full", ready) })
		s := httptest.NewServer(mux)
		t.Cleanup(s.Close)
		_, key, err := proof.GenerateKey(proof.CosignatureEd25519, name+".example")
		if err != nil {
			t.Fatal(err)
		}
		url := s.URL
		if name == "away" {
			s.Close()
		}
		text += fmt.Sprintf("witness %s %s %s\n", name, key, url)
	}
	serve("good", note(9), http.StatusOK)
	serve("behind", note(4), http.StatusNotFound) // another's, without that path
	serve("sick", note(9), http.StatusServiceUnavailable)
	serve("strange", nil, http.StatusOK)
	serve("away", nil, http.StatusOK)
	text += "group all 4 good behind sick strange away\nquorum all\n"
	policy, err := proof.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var out, complaints bytes.Buffer
	d := doctor{app: &app{out: &out, err: &complaints}, policy: policy, origin: origin, published: 9}
	d.lookAround(t.Context())
	if err := d.print(); err == nil {
		t.Error("a witness that is not ready is no failure")
	}
	for _, want := range []string{
		"OK    policy: quorum all: 4 of 5 (good, behind, sick, strange, away); a fork needs the log's key and 3 dishonest witnesses\n",
		"OK    witness good: it has cosigned size 9\n",
		"WARN  witness behind: it has cosigned size 4, 5 entries behind\n      do: ",
		"FAIL  witness sick: it cosigns nothing now: its disk is nearly full\n      do: ",
		"WARN  witness strange: it has cosigned nothing of docket.example/2026\n      do: ",
		"WARN  witness away: not reached: ",
		"OK    clock: within 10 s of the others (4 asked)\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, out.String())
		}
	}
}

// A certificate that ends soon is warned of, and the middle one of several clocks counts.
func TestDoctorJudges(t *testing.T) {
	for _, c := range []struct {
		left time.Duration
		want string
	}{{29 * 24 * time.Hour, pointWarn}, {31 * 24 * time.Hour, pointOK}} {
		d := doctor{}
		d.lookAtCertificate("a server", probe{expires: time.Now().Add(c.left)})
		if len(d.points) != 1 || d.points[0].Verdict != c.want || (d.points[0].Do != "") != (c.want != pointOK) {
			t.Errorf("of a certificate with %v left: %+v", c.left, d.points)
		}
	}
	for _, c := range []struct {
		skews []time.Duration
		want  string
	}{
		{nil, pointWarn}, {[]time.Duration{0}, pointOK}, {[]time.Duration{time.Hour, 0, time.Second}, pointOK}, {[]time.Duration{-time.Minute}, pointWarn},
		{[]time.Duration{20 * time.Second, 30 * time.Second, -time.Hour}, pointWarn}, {[]time.Duration{6 * time.Minute, 7 * time.Minute, 0}, pointFail},
	} {
		d := doctor{}
		d.lookAtClock(c.skews)
		if len(d.points) != 1 || d.points[0].Verdict != c.want || (d.points[0].Do != "") != (c.want != pointOK) {
			t.Errorf("of clocks %v: %+v", c.skews, d.points)
		}
	}
}
