package screening_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/screening"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/ledger/register/screen"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

var start = time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC)

// world is a register with some designations, and the day on which a report asks.
type world struct {
	*registertest.Fixture
	t        testing.TB
	day      record.Date
	statuses []view.Status
}

func newWorld(t testing.TB) *world {
	w := &world{Fixture: registertest.NewFixture(start, "acme-cloud"), t: t, statuses: screening.InEffect}
	t.Cleanup(func() { w.Register.Close() })
	kestrel := w.NewDesignation("Kestrel Hosting FZ-LLC")
	kestrel.Target.Alias = []record.Alias{{Name: "Kestrel Cloud", Type: "aka"}, {Name: "Merlin Racks", Type: "fka"}}
	kestrel.Target.LEI, kestrel.Target.RegistrationNumber = "9999DOCKETDEMO000118", "0048213"
	kestrel.Target.Domain = []string{"kestrel-hosting.example"}
	w.Must(w.Designate("2026-014", kestrel))
	kestria := w.NewDesignation("Kestria")
	kestria.Measure, kestria.Findings = "jurisdiction", []string{"no-mutual-legal-assistance"}
	kestria.Target = record.Target{Schema: "Jurisdiction", Name: "Kestria", Country: "XK"}
	w.Must(w.Designate("2026-015", kestria))
	lumen := w.NewDesignation("Люмен Хостинг")
	lumen.Target.Country, lumen.Target.Domain, lumen.Target.ASN = "XC", nil, nil
	w.Must(w.Designate("2026-016", lumen))
	gone := w.NewDesignation("Ospreynet Services")
	gone.Target.Domain, gone.Target.ASN = nil, nil
	w.Must(w.Designate("2026-017", gone))
	w.order("2026-017", &record.Revocation{EffectiveOn: w.Today(), Cause: "lifted", Reason: "Over."})
	w.day = w.Today()
	return w
}

// order signs what officers do about a designation.
func (w *world) order(name string, p record.Predicate) record.ID {
	w.t.Helper()
	e := w.Must(w.Sign(w.Statement(record.DesignationThread(name), record.Authority, p), "authority/officer-1", "authority/officer-2"))
	return record.IDOf(e.Envelope.Payload)
}

// correct amends a member of a designation.
func (w *world) correct(name, member, json string) record.ID {
	w.t.Helper()
	tree, err := schema.ParseJSON([]byte(json))
	if err != nil {
		w.t.Fatal(err)
	}
	return w.order(name, &record.Amendment{Type: "correction", Reason: "Misprint.", Set: schema.Object{{Name: member, Value: tree}}})
}

// run is a run over a list; exceptions may be "".
func (w *world) run(list, exceptions string) (*screening.Run, error) {
	w.t.Helper()
	v, err := view.Latest(w.Register)
	if err != nil {
		w.t.Fatal(err)
	}
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		w.t.Fatal(err)
	}
	begin, err := time.ParseInLocation(time.DateOnly, w.day.String(), zone)
	if err != nil {
		w.t.Fatal(err)
	}
	designations, err := screening.NewDesignations(v, begin.AddDate(0, 0, 1).Add(-time.Millisecond), w.statuses)
	if err != nil {
		w.t.Fatal(err)
	}
	of, err := v.SourceOf(time.Time{}, base64.StdEncoding.EncodeToString(w.Root[:]), "")
	if err != nil {
		w.t.Fatal(err)
	}
	source, err := screening.NewSource(strings.NewReader(list))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { source.Close() })
	l, err := screening.NewList(source, nil)
	if err != nil {
		return nil, err
	}
	r := &screening.Run{
		Head:     screening.NewHead(of, w.day, w.statuses, screen.Threshold, designations),
		List:     l,
		Screener: &screening.Screener{Designations: designations, Threshold: screen.Threshold},
		Workers:  2,
	}
	r.Head.Input = source.Head(l)
	if exceptions != "" {
		x, err := screening.ParseExceptions(strings.NewReader(exceptions))
		if err == nil {
			err = x.Resolve(designations, w.day)
		}
		if err != nil {
			return nil, err
		}
		r.Screener.Exceptions = x
		r.Head.Exceptions = &screening.ExceptionsHead{SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(exceptions))), Count: x.Len(), Blank: x.Blank}
	}
	return r, nil
}

// report is what a run writes and tells.
type report struct {
	text   string
	lines  []screening.Line // of all rows
	totals screening.Totals
}

func (w *world) report(list, exceptions string) report {
	w.t.Helper()
	r, err := w.run(list, exceptions)
	if err != nil {
		w.t.Fatal(err)
	}
	var out report
	var text bytes.Buffer
	out.totals, err = r.Write(context.Background(), &text, nil, func(l screening.Line) error { out.lines = append(out.lines, l); return nil }, unmarked)
	if err != nil {
		w.t.Fatal(err)
	}
	out.text = text.String()
	return out
}

func unmarked() error { return nil }

// hit is the only hit of a row.
func (r report) hit(t testing.TB, row int) screening.Hit {
	t.Helper()
	for _, l := range r.lines {
		if l.Row == row && len(l.Hits) == 1 {
			return l.Hits[0]
		}
	}
	t.Fatalf("row %d has not one hit:\n%s", row, r.text)
	return screening.Hit{}
}

// golden compares a file of testdata, or writes it anew with -update.
func golden(t testing.TB, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if refusaltest.Update() {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is\n%s\nwant (go test -update takes the new one)\n%s", file, got, want)
	}
}
