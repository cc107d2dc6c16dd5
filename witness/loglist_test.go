package witness_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
)

// A list in the shape of the published ones, and what is read from it.
func TestParseLogs(t *testing.T) {
	c := sharedKeys()
	ed, pq := c.log[0].Key(), c.log[1].Key()
	third := newSigner(proof.Ed25519, "third.example").Key()
	text := fmt.Sprintf(`#
# List:      10qps-100klogs
# Revision:  123
#
logs/v0

# 1st: two keys of one log
vkey %s
qpd 24
contact https://log.example/contact
  vkey %s  
	qpd 48
contact https://log.example/contact

vkey %s
origin third's database tree
qpd 2147483647
contact sysadmin (at) third.example | by post
`, ed, pq, third)
	want := witness.LogList{
		{Origin: origin, Keys: []proof.Key{ed, pq}, QPD: 48, Contact: "https://log.example/contact"},
		{Origin: "third's database tree", Keys: []proof.Key{third}, QPD: 1<<31 - 1, Contact: "sysadmin (at) third.example | by post"},
	}
	for name, text := range map[string]string{"unix": text, "dos": strings.ReplaceAll(text, "\n", "\r\n"), "no last newline": strings.TrimSpace(text)} {
		got, err := witness.ParseLogs([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if string(got.Format()) != string(want.Format()) {
			t.Errorf("%s: got\n%s", name, got.Format())
		}
	}
	if list, err := witness.ParseLogs([]byte("logs/v0\n")); err != nil || len(list) != 0 {
		t.Errorf("zero logs are a list: %v, %v", list, err)
	}
}

func TestParseLogsRefuses(t *testing.T) {
	key := sharedKeys().log[0].Key().String()
	cosigner := sharedKeys().witness["w1.example"][0].Key().String()
	good := "vkey " + key + "\nqpd 24\ncontact x\n"
	for why, text := range map[string]string{
		"nothing":                    "",
		"comments alone":             "# logs\n",
		"no header":                  good,
		"another header":             "logs/v1\n" + good,
		"a header with more":         "logs/v0 x\n" + good,
		"the header twice":           "logs/v0\nlogs/v0\n" + good,
		"an unknown word":            "logs/v0\nVKEY " + key + "\nqpd 24\ncontact x\n",
		"another order":              "logs/v0\nvkey " + key + "\ncontact x\nqpd 24\n",
		"the origin too late":        "logs/v0\nvkey " + key + "\nqpd 24\norigin o\ncontact x\n",
		"no contact":                 "logs/v0\nvkey " + key + "\nqpd 24\n" + good,
		"cut off after vkey":         "logs/v0\n" + good + "vkey " + key + "\n",
		"cut off after qpd":          "logs/v0\nvkey " + key + "\nqpd 24\n",
		"an empty contact":           "logs/v0\nvkey " + key + "\nqpd 24\ncontact\n",
		"an empty origin":            "logs/v0\nvkey " + key + "\norigin\nqpd 24\ncontact x\n",
		"an origin after two spaces": "logs/v0\nvkey " + key + "\norigin  o\nqpd 24\ncontact x\n",
		"an origin too long":         "logs/v0\nvkey " + key + "\norigin " + strings.Repeat("o", 256) + "\nqpd 24\ncontact x\n",
		"no key":                     "logs/v0\nvkey\nqpd 24\ncontact x\n",
		"a key with more":            "logs/v0\nvkey " + key + " x\nqpd 24\ncontact x\n",
		"a witness's key":            "logs/v0\nvkey " + cosigner + "\nqpd 24\ncontact x\n",
		"a key twice":                "logs/v0\n" + good + good,
		"qpd 0":                      strings.Replace("logs/v0\n"+good, "qpd 24", "qpd 0", 1),
		"qpd 2^31":                   strings.Replace("logs/v0\n"+good, "qpd 24", "qpd 2147483648", 1),
		"qpd with leading zeros":     strings.Replace("logs/v0\n"+good, "qpd 24", "qpd 024", 1),
		"qpd with a sign":            strings.Replace("logs/v0\n"+good, "qpd 24", "qpd +24", 1),
		"qpd with a fraction":        strings.Replace("logs/v0\n"+good, "qpd 24", "qpd 2.4", 1),
		"not UTF-8":                  "logs/v0\n" + good + "# \xff\n",
	} {
		if list, err := witness.ParseLogs([]byte(text)); err == nil {
			t.Errorf("%s: read as %v", why, list)
		} else {
			wantWords(t, "TestParseLogsRefuses/"+why, err.Error())
		}
	}
}

func FuzzParseLogs(f *testing.F) {
	key := sharedKeys().log[0].Key().String()
	f.Add([]byte("logs/v0\n\nvkey " + key + "\norigin an origin\nqpd 24\ncontact x y\n"))
	f.Add([]byte("# c\nlogs/v0\nvkey " + key + "\nqpd 1\ncontact x\n"))
	f.Add([]byte("logs/v0"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := witness.ParseLogs(text)
		if err != nil {
			return
		}
		again, err := witness.ParseLogs(list.Format())
		if err != nil {
			t.Fatalf("%v: %q", err, list.Format())
		}
		if got, want := again.Format(), list.Format(); !bytes.Equal(got, want) {
			t.Fatalf("%q became %q", want, got)
		}
	})
}

// The list changes under a running witness: a log that vanishes is unknown at once,
// and when it comes back the witness still knows where it stood; a key that is taken
// off the list no longer counts.
func TestSetLogs(t *testing.T) {
	c := sharedKeys()
	cfg := config(t, "w1.example")
	w := mustOpen(t, cfg)
	h := newTestLog(c, 40, 40, "")
	mustCosign(t, w, h.request(0, 5))
	if err := w.SetLogs(nil); err != nil {
		t.Fatal(err)
	}
	_, err := w.Cosign(t.Context(), h.request(5, 6))
	wantErr(t, err, witness.ErrUnknownLog)
	_, err = w.Latest(t.Context(), origin)
	wantErr(t, err, witness.ErrUnknownLog)
	if err := w.SetLogs(logListOf(origin, c.log[1])); err != nil {
		t.Fatal(err)
	}
	stale := new(witness.ConflictError)
	if _, err := w.Cosign(t.Context(), h.request(0, 6)); !asErr(err, &stale) || stale.Size != 5 {
		t.Errorf("it forgot where the log stood: %v", err)
	}
	old := h.request(5, 6)
	old.Note = must(proof.SignCheckpoint(h.checkpoint(6), c.log[0])).Note()
	_, err = w.Cosign(t.Context(), old)
	wantErr(t, err, witness.ErrUntrusted)
	mustCosign(t, w, h.request(5, 6))

	// A list that cannot be served changes nothing.
	for why, list := range map[string]witness.LogList{
		"no key":  {{Origin: origin, QPD: 1}},
		"no qpd":  {{Origin: origin, Keys: []proof.Key{c.log[0].Key()}}},
		"twice":   append(logListOf(origin, c.log[0]), logListOf(origin, c.log[1])...),
		"our own": {{Origin: origin, QPD: 1, Keys: []proof.Key{cfg.Keys[1].Key()}}},
	} {
		if err := w.SetLogs(list); err == nil {
			t.Errorf("%s: accepted", why)
		}
	}
	mustCosign(t, w, h.request(6, 7))
}
