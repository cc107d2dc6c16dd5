package record

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

func mustDate(s string) *Date {
	d, err := ParseDate(s)
	if err != nil {
		panic(err)
	}
	return &d
}

func mustObject(t testing.TB, json string) schema.Object {
	t.Helper()
	if json == "" {
		return nil
	}
	v, err := schema.ParseJSON([]byte(json))
	if err != nil {
		t.Fatalf("%s: %v", json, err)
	}
	return v.(schema.Object)
}

func exampleDesignation() *Designation {
	pct := int64(50)
	return &Designation{
		Measure: "person", Action: "condition", Program: []string{"CLOUD-1"},
		DeterminedOn: mustDate("2026-12-01"), EffectiveFrom: mustDate("2027-06-01"), EffectiveUntil: mustDate("2028-05-31"), ResponseDue: mustDate("2027-01-08"),
		Conditions: []Condition{{"c1", "No new accounts."}, {"c2", "Identity verified within 30 days."}},
		Target: Target{
			Schema: "Company", Role: "reseller", Name: "Kestrel Hosting FZ-LLC (fictional)", Country: "XB", RegistrationNumber: "0048213",
			Alias: []Alias{{Name: "Kestrel Cloud", Type: "aka"}, {Name: "KH", Type: "aka", Weak: true}},
			ASN:   []int64{64511}, Domain: []string{"kestrel-hosting.example"},
			Address: []Address{{Full: "1 Harbour Road, Port Kestrel", Country: "XB"}},
		},
		Scope:                 &Scope{Successors: true, OwnershipPct: &pct},
		FederalRegisterNotice: "00 FR 00000 (fictional)",
	}
}

func TestAmendExample(t *testing.T) {
	a := &Amendment{
		Type:  "correction",
		Set:   mustObject(t, `{"target":{"registrationNumber":"0048231"}}`),
		Add:   mustObject(t, `{"target":{"domain":["kestrel-cloud.example"]}}`),
		Drop:  mustObject(t, `{"target":{"alias":[{"name":"KH","type":"aka","weak":true}]}}`),
		Unset: []string{"federalRegisterNotice"},
	}
	before := exampleDesignation()
	after, changes, err := Amend(before, a)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(before, exampleDesignation()) {
		t.Error("Amend changed the designation that it was given")
	}
	want := exampleDesignation()
	want.Target.RegistrationNumber = "0048231"
	want.Target.Domain = []string{"kestrel-hosting.example", "kestrel-cloud.example"}
	want.Target.Alias = want.Target.Alias[:1]
	want.FederalRegisterNotice = ""
	if !reflect.DeepEqual(after, want) {
		t.Errorf("got %+v, want %+v", after, want)
	}
	var lines []string
	for _, c := range changes {
		lines = append(lines, c.String())
	}
	got, wantLines := strings.Join(lines, "\n"), strings.Join([]string{
		"target.alias: − {name: KH, type: aka, weak: true}",
		"federalRegisterNotice: − 00 FR 00000 (fictional)",
		"target.registrationNumber: 0048213 → 0048231",
		"target.domain: + kestrel-cloud.example",
	}, "\n")
	if got != wantLines {
		t.Errorf("changes:\n%s\nwant:\n%s", got, wantLines)
	}
}

func TestAmendRefusals(t *testing.T) {
	imported := &Designation{Measure: "person", Action: "prohibit", Program: []string{"SDGT"}, Target: Target{Schema: "Company", Name: "X"}, Source: &Source{List: "ofac-sdn", ID: "36"}}
	optional := exampleDesignation() // to answer
	optional.ResponseDue = nil
	for _, c := range []struct {
		name           string
		typ            string
		drop, set, add string
		unset          string
		due            string
		reopens        bool
		of             *Designation
		want           string // class and pointer
	}{
		{name: "drop what is not there", typ: "alias", drop: `{"target":{"alias":[{"name":"KH","type":"aka"}]}}`, want: "invalid /predicate/drop/target/alias/0"},
		{name: "add what is there", typ: "alias", add: `{"target":{"alias":[{"weak":true,"type":"aka","name":"KH"}]}}`, want: "invalid /predicate/add/target/alias/0"},
		{name: "set to the same", typ: "target-detail", set: `{"target":{"country":"XB"}}`, want: "invalid /predicate/set/target/country"},
		{name: "unset what is not set", typ: "target-detail", unset: "target.lei", want: "invalid /predicate/unset/0"},
		{name: "unset the same twice", typ: "correction", unset: "target.country target.country", want: "invalid /predicate/unset/1"},
		{name: "unset a required field", typ: "correction", unset: "target.name", want: "invalid /predicate/unset/0"},
		{name: "unset into a list", typ: "correction", unset: "target.alias.name", want: "invalid /predicate/unset/0"},
		{name: "measure", typ: "correction", set: `{"measure":"jurisdiction"}`, want: "invalid /predicate/set/measure"},
		{name: "source list", typ: "correction", set: `{"source":{"list":"eu"}}`, of: imported, want: "invalid /predicate/set/source/list"},
		{name: "source whole", typ: "correction", unset: "source", of: imported, want: "invalid /predicate/unset/0"},
		{name: "alias touches the country", typ: "alias", set: `{"target":{"country":"XC"}}`, want: "invalid /predicate/set/target/country"},
		{name: "target-detail touches an alias", typ: "target-detail", add: `{"target":{"alias":[{"name":"N","type":"aka"}]}}`, want: "invalid /predicate/add/target/alias"},
		{name: "scope touches the action", typ: "scope", set: `{"action":"prohibit"}`, due: "2027-03-01", want: "invalid /predicate/set/action"},
		{name: "a scalar added", typ: "correction", add: `{"target":{"country":"XC"}}`, want: "invalid /predicate/add/target/country"},
		{name: "an item not whole", typ: "alias", add: `{"target":{"alias":[{"name":"N"}]}}`, want: "invalid /predicate/add/target/alias/0/type"},
		{name: "a wrong type", typ: "correction", set: `{"target":{"asn":["64511"]}}`, want: "invalid /predicate/set/target/asn/0"},
		{name: "nothing inside", typ: "correction", set: `{"target":{}}`, want: "invalid /predicate/set/target"},
		{name: "an extension that shortens", typ: "extension", set: `{"effectiveUntil":"2028-05-30"}`, want: "invalid /predicate/type"},
		{name: "a deadline brought forward", typ: "deadline", set: `{"responseDue":"2027-01-07"}`, want: "invalid /predicate/type"},
		{name: "a deadline removed", typ: "deadline", unset: "responseDue", want: "invalid /predicate/type"},
		{name: "re-opens without a day", typ: "correction", set: `{"action":"prohibit"}`, reopens: true, want: "invalid /predicate/responseDue"},
		{name: "scope re-opens by itself", typ: "scope", set: `{"scope":{"successors":false}}`, want: "invalid /predicate/responseDue"},
		{name: "the day twice", typ: "correction", set: `{"responseDue":"2027-04-01"}`, due: "2027-03-01", reopens: true, want: "invalid /predicate/responseDue"},
		{name: "no conditions left", typ: "scope", unset: "conditions", due: "2027-03-01", want: "invalid /predicate"},
		{name: "no programme left", typ: "correction", drop: `{"program":["CLOUD-1"]}`, want: "invalid /predicate"},
		{name: "a duty for an import", typ: "correction", set: `{"responseDue":"2027-04-01"}`, of: imported, want: "invalid /predicate"},
		{name: "part of an absent object", typ: "scope", set: `{"scope":{"ownershipPct":50}}`, of: imported, want: "invalid /predicate/set/scope/successors"},
		{name: "there and back", typ: "alias", drop: `{"target":{"alias":[{"name":"KH","type":"aka","weak":true}]}}`, add: `{"target":{"alias":[{"name":"KH","type":"aka","weak":true}]}}`, want: "invalid /predicate"},
		{name: "scope of nothing, no duty", typ: "scope", of: imported, want: "invalid /predicate"},
		{name: "re-opens a duty that never was, without a day", typ: "correction", set: `{"action":"prohibit"}`, reopens: true, of: optional, want: "invalid /predicate/responseDue"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := &Amendment{Type: c.typ, Reopens: c.reopens, Drop: mustObject(t, c.drop), Set: mustObject(t, c.set), Add: mustObject(t, c.add), Unset: strings.Fields(c.unset)}
			if c.due != "" {
				a.ResponseDue = mustDate(c.due)
			}
			of := c.of
			if of == nil {
				of = exampleDesignation()
			}
			_, _, err := Amend(of, a)
			CheckRefusal(t, err, c.want)
		})
	}
}

func TestAmendReopens(t *testing.T) {
	a := &Amendment{Type: "scope", Set: mustObject(t, `{"scope":{"ownershipPct":25}}`), ResponseDue: mustDate("2027-03-01")}
	got, changes, err := Amend(exampleDesignation(), a)
	if err != nil {
		t.Fatal(err)
	}
	if *got.ResponseDue != *a.ResponseDue || *got.Scope.OwnershipPct != 25 || !got.Scope.Successors || len(changes) != 2 {
		t.Errorf("got %+v, %v", got, changes)
	}
}

// TestAmendScopeWithoutDuty: where nobody has to answer, a changed scope needs no
// day, and one that is given opens the duty.
func TestAmendScopeWithoutDuty(t *testing.T) {
	d := exampleDesignation()
	d.ResponseDue = nil
	a := &Amendment{Type: "scope", Set: mustObject(t, `{"scope":{"ownershipPct":25}}`)}
	if got, _, err := Amend(d, a); err != nil || got.ResponseDue != nil {
		t.Errorf("without a day: %+v, %v", got, err)
	}
	a.Set, a.ResponseDue = nil, mustDate("2027-03-01")
	if got, _, err := Amend(d, a); err != nil || got.ResponseDue == nil || *got.ResponseDue != *a.ResponseDue {
		t.Errorf("with a day alone: %+v, %v", got, err)
	}
}

// TestDiffThenAmend: what Diff finds, Amend makes.
func TestDiffThenAmend(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 3000 {
		imported := i%2 == 0
		old, new := randomDesignation(rng, imported), randomDesignation(rng, imported)
		new.Measure = old.Measure
		if old.Measure == "jurisdiction" {
			new.Target.Schema, new.Target.Role, new.Target.Country = "Jurisdiction", "", "XB"
		} else if new.Target.Schema == "Jurisdiction" {
			new.Target.Schema, new.Target.Role = old.Target.Schema, old.Target.Role
		}
		a, err := Diff(old, new)
		if err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
		if a == nil {
			if !reflect.DeepEqual(old, new) {
				t.Fatalf("round %d: no difference found between\n%+v\n%+v", i, old, new)
			}
			continue
		}
		got, _, err := Amend(old, a)
		if err != nil {
			t.Fatalf("round %d: %v\nold %+v\nnew %+v\n%+v", i, err, old, new, a)
		}
		if !reflect.DeepEqual(got, new) {
			t.Fatalf("round %d: got\n%+v, want\n%+v\nby %+v", i, got, new, a)
		}
	}
}

// FuzzAmend: whatever an amendment does, the designation it was given stays, the
// result is whole, and Diff finds the way from one to the other.
func FuzzAmend(f *testing.F) {
	for _, seed := range []string{
		`{"reason":"r","type":"correction","set":{"target":{"registrationNumber":"9"},"scope":{"ownershipPct":25}},"unset":["federalRegisterNotice"]}`,
		`{"reason":"r","type":"alias","drop":{"target":{"alias":[{"name":"KH","type":"aka","weak":true}]}},"add":{"target":{"alias":[{"name":"N","type":"fka"}]}}}`,
		`{"reason":"r","type":"extension","set":{"effectiveUntil":"2028-06-30"}}`,
		`{"reason":"r","type":"scope","unset":["scope"],"responseDue":"2027-02-01"}`,
		`{"reason":"r","type":"target-detail","set":{"target":{"asn":[],"address":[{"city":"P"}]}},"add":{"target":{"domain":["a.example"]}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := schema.ParseJSON(raw)
		if err != nil {
			return
		}
		var a Amendment
		var d schema.Decoder
		if d.Value(v, amendmentSpec.Own, reflect.ValueOf(&a).Elem()); len(d.Faults) > 0 {
			return
		}
		old := exampleDesignation()
		amended, changes, err := Amend(old, &a)
		if !reflect.DeepEqual(old, exampleDesignation()) {
			t.Fatal("Amend changed the designation that it was given")
		}
		if err != nil {
			return
		}
		if len(changes) == 0 && !a.ReopensDuty() {
			t.Fatal("an amendment without effect")
		}
		if !reflect.DeepEqual(amended, amended.clone()) {
			t.Fatalf("written and read: got %+v, want %+v", amended.clone(), amended)
		}
		back, err := Diff(old, amended)
		if err != nil {
			t.Fatal(err)
		}
		if back == nil {
			return
		}
		if again, _, err := Amend(old, back); err != nil || !reflect.DeepEqual(again, amended) {
			t.Fatalf("by Diff: got %+v, %v, want %+v", again, err, amended)
		}
	})
}

func TestDiffIdentity(t *testing.T) {
	a, b := exampleDesignation(), exampleDesignation()
	b.Source = &Source{List: "ofac-sdn", ID: "36"}
	if _, err := Diff(a, b); err == nil {
		t.Error("a designation became an imported one")
	}
	b = exampleDesignation()
	b.Measure = "jurisdiction"
	if _, err := Diff(a, b); err == nil {
		t.Error("the measure was amended")
	}
}

// randomDesignation is one that stands by itself.
func randomDesignation(rng *rand.Rand, imported bool) *Designation {
	some := func() bool { return rng.IntN(2) == 0 }
	subset := func(of ...string) (out []string) {
		for _, i := range rng.Perm(len(of)) {
			if some() {
				out = append(out, of[i])
			}
		}
		return out
	}
	d := &Designation{Measure: "person", Action: "prohibit", Program: append(subset("A", "B", "C"), "D"), Findings: subset("f", "g")}
	d.Target = Target{Schema: "Company", Name: []string{"N1", "N2", "Ñ3"}[rng.IntN(3)], Domain: subset("a.example", "b.example", "c.example")}
	for _, name := range subset("x", "y", "z") {
		d.Target.Alias = append(d.Target.Alias, Alias{Name: name, Type: "aka", Weak: some()})
	}
	for _, full := range subset("1 Road", "2 Road") {
		d.Target.Address = append(d.Target.Address, Address{Full: full})
	}
	for range rng.IntN(3) {
		d.Target.ASN = append(d.Target.ASN, int64(len(d.Target.ASN)+rng.IntN(2)*10))
	}
	if some() {
		d.Target.Country = "XC"
	}
	if some() {
		d.Scope = &Scope{Successors: some()}
		if some() {
			pct := int64(1 + rng.IntN(3))
			d.Scope.OwnershipPct = &pct
		}
	}
	if imported {
		d.Source = &Source{List: "ofac-sdn", ID: "36", PublishedOn: mustDate("2026-01-02")}
		return d
	}
	d.Target.Role = "reseller"
	d.DeterminedOn, d.EffectiveFrom, d.EffectiveUntil = mustDate("2026-12-01"), mustDate("2027-06-01"), mustDate("2028-05-31")
	if some() {
		d.ResponseDue = mustDate("2027-01-08")
	}
	if some() {
		d.Measure, d.Target.Schema, d.Target.Role, d.Target.Country = "jurisdiction", "Jurisdiction", "", "XB"
	}
	if some() {
		d.Action = "condition"
		d.Conditions = []Condition{{"c1", "text"}, {"c2", "text"}}[rng.IntN(2):]
	}
	return d
}
