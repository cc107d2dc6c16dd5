package event_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/record"
)

func hmacSHA256(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func openings(t testing.TB, e *event.Event, names ...string) []record.Opening {
	t.Helper()
	o, err := testScope.Openings(e, names...)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Of each event each field alone, some together, and all: shown is what was opened, and
// hidden the rest.
func TestOpenFieldByField(t *testing.T) {
	for _, e := range testEvents(t) {
		leaf := testScope.Leaf(e)
		all := openings(t, e)
		sh, err := testScope.Show(leaf, all)
		if err != nil {
			t.Fatal(err)
		}
		if len(sh.Hidden) > 0 || len(sh.Fields) != 6 || sh.Header() != e.Header {
			t.Errorf("%s: %+v, want %+v and nothing hidden: %v", e.Kind, sh.Header(), e.Header, sh.Hidden)
		}
		for _, name := range []string{"handle", "kind", "time", "logged", "number", "before"} {
			one := openings(t, e, name)
			sh, err := testScope.Show(leaf, one)
			if err != nil || len(one) != 2 || len(sh.Fields) != 1 || len(sh.Hidden) != 6 {
				t.Errorf("%s alone of %s: %+v, %v", name, e.Kind, sh, err)
			}
		}
		for _, v := range sh.Values {
			one := openings(t, e, "content"+v.Pointer, "kind")
			got, err := testScope.Show(leaf, one)
			if err != nil || len(got.Values) != 1 || got.Values[0] != v || len(got.Hidden) != 5+len(sh.Values)-1 {
				t.Errorf("%s alone of %s: %+v, %v", v.Pointer, e.Kind, got, err)
			}
		}
		if _, err := testScope.Openings(e, "content/nothing"); err == nil {
			t.Error("a field that is not there was opened")
		}
	}
}

// Whatever is altered in an opening, left out that others need, or put elsewhere, is seen.
func TestOpeningsAltered(t *testing.T) {
	e := testEvents(t)[0]
	leaf, all := testScope.Leaf(e), openings(t, e)
	for i := range all {
		for name, alter := range map[string]func(o *record.Opening){
			"value":   func(o *record.Opening) { o.Value += " " },
			"pointer": func(o *record.Opening) { o.Pointer += "x" },
			"salt":    func(o *record.Opening) { o.Salt = slices.Clone(o.Salt); o.Salt[31] ^= 1 },
			"short":   func(o *record.Opening) { o.Salt = o.Salt[:31] },
		} {
			bad := slices.Clone(all)
			alter(&bad[i])
			if _, err := testScope.Show(leaf, bad); err == nil {
				t.Errorf("the %s of %s was altered, and it verifies", name, all[i].Pointer)
			}
		}
		if i > 0 {
			bad := slices.Clone(all)
			bad[i], bad[i-1] = bad[i-1], bad[i]
			if _, err := testScope.Show(leaf, bad); err == nil {
				t.Errorf("%s stands before %s, and it verifies", all[i].Pointer, all[i-1].Pointer)
			}
			if _, err := testScope.Show(leaf, slices.Insert(slices.Clone(all), i, all[i])); err == nil {
				t.Errorf("%s stands twice, and it verifies", all[i].Pointer)
			}
		}
	}
	other := event.NewScope(testScope.Ledger, "brook-cloud")
	if _, err := other.Show(leaf, all); err == nil {
		t.Error("another party's log has the same leaf")
	}
	if _, err := testScope.Show(testScope.Leaf(testEvents(t)[1]), all); err == nil {
		t.Error("another event's leaf has the same openings")
	}
}

// A header that lies about its form is no event, even where the provider committed to it.
func TestCommittedNonsense(t *testing.T) {
	e := testEvents(t)[3]
	all := openings(t, e)
	for _, line := range []string{
		"", "{}", all[0].Value + " ", strings.Replace(all[0].Value, `"kind"`, `"sort"`, 1),
		strings.ToUpper(all[0].Value), strings.Replace(all[0].Value, `"content":"`, `"content":"00`, 1),
	} {
		o := record.Opening{Pointer: "/event", Value: line, Salt: all[0].Salt}
		if _, err := testScope.Show(testScope.LeafOf(o), []record.Opening{o}); err == nil {
			t.Errorf("%q is a canonical event", line)
		}
	}
}

func TestPadsAndMaps(t *testing.T) {
	root := sha256.Sum256([]byte("root"))
	pad, last := event.PadOpening(testSalt(1), 12), event.MapOpening(testSalt(2), root)
	padLeaf, mapLeaf := testScope.LeafOf(pad), testScope.LeafOf(last)
	if err := testScope.ShowPad(padLeaf, 12, pad); err != nil {
		t.Error(err)
	}
	if got, err := testScope.ShowMap(mapLeaf, last); err != nil || got != root {
		t.Errorf("root %x, %v", got, err)
	}
	if testScope.ShowPad(padLeaf, 13, pad) == nil || testScope.ShowPad(mapLeaf, 12, pad) == nil || testScope.ShowPad(mapLeaf, 12, last) == nil {
		t.Error("another leaf is that padding")
	}
	if _, err := testScope.ShowMap(padLeaf, pad); err == nil {
		t.Error("padding is a map's leaf")
	}
	if _, err := testScope.ShowMap(testScope.LeafOf(pad), last); err == nil {
		t.Error("padding is opened as a map's leaf")
	}
	if len(padLeaf) != event.LeafSize || len(mapLeaf) != event.LeafSize {
		t.Errorf("leaves of %d and %d bytes, want %d", len(padLeaf), len(mapLeaf), event.LeafSize)
	}
}

func TestFiled(t *testing.T) {
	f := event.FiledOf([]uint64{3, 17, 204})
	o := event.FiledOpening(testSalt(3), f)
	value := testScope.FiledValue(o)
	if got, err := testScope.VerifyFiled(value, o); err != nil || got != f {
		t.Errorf("filed %v, %v", got, err)
	}
	for _, lie := range []event.Filed{{}, event.FiledOf([]uint64{3, 17}), event.FiledOf([]uint64{3, 17, 204, 205}), event.FiledOf([]uint64{17, 3, 204})} {
		if lie == f {
			t.Errorf("%v is that of another list", lie)
		}
		if _, err := testScope.VerifyFiled(value, event.FiledOpening(testSalt(3), lie)); err == nil {
			t.Errorf("%v opens the value", lie)
		}
	}
}

// The forms have one text each: parse ∘ format = identity, and nothing else parses.
func FuzzForms(f *testing.F) {
	for _, e := range testEvents(f) {
		f.Add(e.Append(nil))
		f.Add(event.AppendOpenings(nil, openings(f, e)))
		f.Add(event.Input{Account: "a", ID: "1", Kind: e.Kind, Time: e.Time, Content: e.Content}.Append(nil))
		f.Add(testScope.Leaf(e))
	}
	f.Add([]byte(event.FiledOf([]uint64{1, 2}).String()))
	f.Add(event.Chain{Filed: event.FiledOf([]uint64{1}), Last: 1, LastAccess: testTime}.Append(nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if e, err := event.Parse(raw, testHandle); err == nil {
			if got := e.Append(nil); !bytes.Equal(got, raw) {
				t.Errorf("plaintext %x is written again as %x", raw, got)
			}
			if _, err := testScope.Show(testScope.Leaf(e), openings(t, e)); err != nil {
				t.Errorf("its own leaf: %v", err)
			}
		}
		if o, err := event.ParseOpenings(raw); err == nil {
			if got := event.AppendOpenings(nil, o); !bytes.Equal(got, raw) {
				t.Errorf("openings %s are written again as %s", raw, got)
			}
		}
		if in, faults := event.ParseInput(raw); len(faults) == 0 {
			again, faults := event.ParseInput(in.Append(nil))
			if len(faults) > 0 || !bytes.Equal(again.Append(nil), in.Append(nil)) {
				t.Errorf("%s is written again as %s: %v", raw, in.Append(nil), faults)
			}
		}
		if c, err := event.ParseLeaf(raw); err == nil && len(raw) != event.LeafSize {
			t.Errorf("leaf %q of %x", raw, c)
		}
		if x, err := event.ParseFiled(string(raw)); err == nil && x.String() != string(raw) {
			t.Errorf("filed %q is written again as %q", raw, x)
		}
		event.ParseChain(raw)
	})
}
