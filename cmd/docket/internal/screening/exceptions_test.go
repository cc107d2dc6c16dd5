package screening_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/screening"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/sheet"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
)

const (
	exceptionHeader = "id,name,alias,country,lei,registrationNumber,asn,domain,designation,record,by,on,why\n"
	list            = "id,name,country\nC-1,Kestrel Hosting FZ-LLC,XB\nC-2,Kestrel Hosting FZ-LLC,XC\n"
)

// A reviewed exception hides nothing: the hit stands, marked by whom, when and why, and is
// not open any more.
func TestException(t *testing.T) {
	w := newWorld(t)
	before := w.report(list, "")
	after := w.report(list, exceptionHeader+fmt.Sprintf("C-1,Kestrel Hosting FZ-LLC,,XB,,,,,2026-014,%s,J. Rook,2026-11-23,another company\n", w.Head("designation/2026-014")))
	h := after.hit(t, 2)
	want := &screening.Applied{Row: 2, By: "J. Rook", On: w.day, Why: "another company"}
	if !reflect.DeepEqual(h.Exception, want) || h.Open() {
		t.Errorf("got %+v", h.Exception)
	}
	if h.Exception = nil; !reflect.DeepEqual(h, before.hit(t, 2)) {
		t.Errorf("the exception changes the hit: %+v", h)
	}
	if other := after.hit(t, 3); other.Exception != nil || !other.Open() {
		t.Errorf("it covers another customer of that name: %+v", other.Exception)
	}
	if after.totals.Open != 1 || after.totals.Excepted != 1 || after.totals.Lapsed != 0 || len(after.totals.Unused) != 0 {
		t.Errorf("totals %+v", after.totals)
	}
}

// TestLapse: an exception lapses once the customer's row or the designation is another than
// what was reviewed, and it is said what changed. What is not compared may change.
func TestLapse(t *testing.T) {
	w := newWorld(t)
	exceptions := exceptionHeader + fmt.Sprintf("C-1,Kestrel Hosting FZ-LLC,,XB,,,,,2026-014,%s,J. Rook,2026-11-23,another company\n", w.Head("designation/2026-014"))
	lapsed := func(list string) (lapsed []string) {
		t.Helper()
		r := w.report(list, exceptions)
		h := r.hit(t, 2)
		if h.Exception == nil || h.Open() != (len(h.Exception.Lapsed) > 0) || r.totals.Lapsed != r.totals.Open || len(r.totals.Unused) > 0 {
			t.Fatalf("got %+v, %+v", h.Exception, r.totals)
		}
		return h.Exception.Lapsed
	}
	for text, want := range map[string][]string{
		"phone,name,id,country\n1,Kestrel Hosting FZ-LLC,C-1,xb\n": nil,
		"id,name,country\nC-1, Kestrel Hosting FZ-LLC ,\n":         {`the customer's country was "XB" and is none`},
		"id,name,country\nC-1,KESTREL Hosting FZ-LLC,XB\n":         {`the customer's name was "Kestrel Hosting FZ-LLC" and is "KESTREL Hosting FZ-LLC"`},
		"id,name,country,domain,asn\nC-1,Kestrel Hosting FZ-LLC,XB,https://kestrel-hosting.example,AS64496\n": {
			`the customer's asn was none and is "64496"`, `the customer's domain was none and is "kestrel-hosting.example"`},
	} {
		if got := lapsed(text); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	one := "id,name,country\nC-1,Kestrel Hosting FZ-LLC,XB\n"
	index := w.Register.Size()
	w.correct("2026-014", "target", `{"registrationNumber":"0048231"}`)
	want := []string{fmt.Sprintf("designation/2026-014 has a newer record: amendment at index %d, which changed target.registrationNumber", index)}
	if got := lapsed(one); !reflect.DeepEqual(got, want) {
		t.Errorf("after an amendment: %q, want %q", got, want)
	}
	w.correct("2026-014", "program", `["CLOUD-2"]`)
	want = []string{fmt.Sprintf("designation/2026-014 has a newer record: amendment at index %d, which changed program, target.registrationNumber", index+1)}
	if got := lapsed(one); !reflect.DeepEqual(got, want) {
		t.Errorf("after another: %q, want %q", got, want)
	}
}

// Of several on one hit, one that stands counts, wherever it is in the file.
func TestReviewedAgain(t *testing.T) {
	w := newWorld(t)
	row := func(country, why string) string {
		return fmt.Sprintf("C-1,Kestrel Hosting FZ-LLC,,%s,,,,,2026-014,%s,J. Rook,2026-11-23,%s\n", country, w.Head("designation/2026-014"), why)
	}
	for _, text := range []string{row("XC", "moved") + row("XB", "again"), row("XB", "again") + row("XC", "moved")} {
		if h := w.report(list, exceptionHeader+text).hit(t, 2); h.Open() || h.Exception.Why != "again" {
			t.Errorf("got %+v", h.Exception)
		}
	}
}

// An exception that marks no hit is told, and why.
func TestUnused(t *testing.T) {
	w := newWorld(t)
	head := w.Head("designation/2026-014")
	r := w.report("id,name,country\nC-1,Harbour Bakery,XB\n", exceptionHeader+
		fmt.Sprintf("C-1,Harbour Bakery,,XB,,,,,2026-014,%s,J. Rook,2026-11-23,bread\n", head)+
		fmt.Sprintf("C-9,Nobody,,,,,,,2026-014,%s,J. Rook,2026-11-23,left\n", head)+
		fmt.Sprintf(",Nobody,,,,,,,2026-014,%s,J. Rook,2026-11-23,left\n", head)+
		fmt.Sprintf("C-9,Nobody,,,,,,,2026-014,%s,,,\n", head))
	var got []string
	for _, u := range r.totals.Unused {
		got = append(got, fmt.Sprintf("%d %s %s: %s", u.Row, u.Customer, u.Designation, u.Why))
	}
	want := []string{
		"2 C-1 designation/2026-014: row 2 of the list is this customer, and that designation does not hit it, or another exception marks the hit",
		"3 C-9 designation/2026-014: no row of the list is this customer",
		"4 Nobody designation/2026-014: no row of the list is this customer",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A file of exceptions is taken whole or not at all, and its faults are named by row and
// column.
func TestExceptionsAtFault(t *testing.T) {
	w := newWorld(t)
	head := w.Head("designation/2026-014").String()
	row := func(designation, record, by, on, why string) string {
		return exceptionHeader + fmt.Sprintf("C-1,Kestrel,,XB,,,,,%s,%s,%s,%s,%s\n", designation, record, by, on, why)
	}
	for _, test := range []struct{ name, text, want string }{
		{"no columns", list, `an exceptions file needs the columns designation, record, by, on, why: "designation": no column is called that`},
		{"nobody", row("2026-014", head, "", "2026-11-23", "bread"), "row 2: column by is empty"},
		{"no reason", row("2026-014", head, "J. Rook", "2026-11-23", ""), "row 2: column why is empty"},
		{"a spreadsheet's date", row("2026-014", head, "J. Rook", "11/23/2026", "bread"), "row 2: column on: "},
		{"a day ahead", row("2026-014", head, "J. Rook", "24.11.2026", "bread"), "row 2: column on: 2026-11-24 lies ahead of the day of the report, 2026-11-23"},
		{"no such day", row("2026-014", head, "J. Rook", "2026-11-31", "bread"), "row 2: column on: "},
		{"no designation", row("party/acme-cloud", head, "J. Rook", "2026-11-23", "bread"), `row 2: column designation: "party/acme-cloud" is no designation's thread`},
		{"no record", row("2026-014", "81c1", "J. Rook", "2026-11-23", "bread"), "row 2: column record: "},
		{"another's record", row("2026-015", head, "J. Rook", "2026-11-23", "bread"), "is on designation/2026-014, and not on designation/2026-015"},
		{"nobody's", exceptionHeader + ",,,XB,,,,,2026-014," + head + ",J. Rook,2026-11-23,bread\n", "row 2: the row has nothing to compare"},
		{"many", exceptionHeader + strings.Repeat("C-1,Kestrel,,,,,,,x/y,,me,2026-11-23,z\n", 12), "and more"},
		{"no UTF-8", row("2026-014", head, "J. \xff", "2026-11-23", "bread"), "row 2: column 11 (by) is no UTF-8"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := w.run(list, test.text)
			var no *sheet.Error
			if !errors.As(err, &no) || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %q", err, test.want)
			}
			refusaltest.Words(t, err.Error(), head, "RECORD")
		})
	}
	// What the checkpoint does not have yet has not been reviewed as it stands there.
	r := w.report(list, row("2026-014", strings.Repeat("ab", 32), "J. Rook", "2026-11-23", "bread"))
	if h := r.hit(t, 2); h.Exception == nil || !h.Open() || !strings.Contains(strings.Join(h.Exception.Lapsed, ";"), "is not among the first") {
		t.Errorf("got %+v", h.Exception)
	}
}

// unreviewed ends such a row, with what lapsed if anything did.
var unreviewed = regexp.MustCompile(`,,,,((?:"?excepted by [^\r]*)?\r\n)`)

// fillIn fills in the rows of a template that nobody has reviewed.
func fillIn(template string) string {
	return unreviewed.ReplaceAllString(template, ",J. Rook,2026-11-23,looked at,$1")
}

func (w *world) template(list, exceptions string) string {
	w.t.Helper()
	r, err := w.run(list, exceptions)
	if err != nil {
		w.t.Fatal(err)
	}
	var text bytes.Buffer
	template, err := screening.NewTemplate(&text)
	if err != nil {
		w.t.Fatal(err)
	}
	totals, err := r.Write(w.t.Context(), &bytes.Buffer{}, nil, template.Add, unmarked)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := template.Close(r.Screener.Exceptions, totals.Unused); err != nil {
		w.t.Fatal(err)
	}
	return text.String()
}

// TestTemplate: what the template names, filled in, covers each hit, whatever the customers
// are called; as it stands it covers none; and the next template keeps what was reviewed.
func TestTemplate(t *testing.T) {
	w := newWorld(t)
	list := customers + "C-20,'=Kestrel Cloud,\"Kestrel Cloud\n@sum; +1\",XB,,64511,,\n,Kestrel Hosting FZ-LLC,\"'tis; ''x\",XB,,,,\n"
	blank := w.template(list, "")
	if r := w.report(list, blank); r.totals.Excepted != 0 || r.totals.Open == 0 {
		t.Errorf("what nobody has filled in counts: %+v", r.totals)
	}
	filled := fillIn(blank)
	r := w.report(list, filled)
	if r.totals.Open != 0 || r.totals.Excepted != r.totals.Hits || len(r.totals.Unused) != 0 {
		t.Errorf("totals %+v\n%s", r.totals, r.text)
	}
	if again := w.template(list, filled); again != filled {
		t.Errorf("the next template is\n%s\nwant\n%s", again, filled)
	}
	w.correct("2026-014", "target", `{"registrationNumber":"0048231"}`)
	after := w.report(list, filled)
	if after.totals.Lapsed == 0 || after.totals.Lapsed != after.totals.Open {
		t.Errorf("totals %+v", after.totals)
	}
	next := w.template(list, filled)
	if n := len(unreviewed.FindAllString(next, -1)); n != after.totals.Open {
		t.Errorf("%d rows are to be reviewed again, want %d", n, after.totals.Open)
	}
	if r := w.report(list, fillIn(next)); r.totals.Open != 0 {
		t.Errorf("totals %+v", r.totals)
	}
	// An exception that marks nothing stays in the file.
	short := w.template("id,name\nC-1,Bakery\n", fillIn(next))
	if strings.Count(short, ",looked at,") != strings.Count(fillIn(next), ",looked at,") {
		t.Errorf("exceptions were dropped:\n%s", short)
	}
}

// FuzzExceptions: any bytes give exceptions or a refusal; and whatever a customer is called,
// the template names it so that it is the same customer when it is read.
func FuzzExceptions(f *testing.F) {
	f.Add([]byte(exceptionHeader+"C-1,Kestrel,a;b,XB,,,64511,a.example,2026-014,"+strings.Repeat("ab", 32)+",me,2026-11-23,x\n"), "'=Kestrel", "C-\n1")
	f.Add([]byte("\ufeff"+exceptionHeader), "+a\t;b", "\"")
	f.Fuzz(func(t *testing.T, raw []byte, name, id string) {
		var no *sheet.Error
		if _, err := screening.ParseExceptions(bytes.NewReader(raw)); err != nil && !errors.As(err, &no) {
			t.Fatal(err)
		}
		var text bytes.Buffer
		template, err := screening.NewTemplate(&text)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := readList("id,name\n"+cell(id)+","+cell(name)+"\n", nil)
		if err != nil || len(rows) != 1 || rows[0].NotScreened != "" || len(rows[0].Warnings) > 0 {
			return
		}
		c := rows[0].Customer
		l := screening.Line{Row: 2, Customer: c, Hits: []screening.Hit{{Standing: screening.Standing{Thread: "designation/1", Record: record.IDOf(raw)}}}}
		if err := errors.Join(template.Add(l), template.Close(nil, nil)); err != nil {
			t.Fatal(err)
		}
		x, err := screening.ParseExceptions(strings.NewReader(fillIn(text.String())))
		if err != nil {
			t.Fatalf("%v\n%s", err, text.String())
		}
		s := screening.Screener{Exceptions: x}
		applied := s.Exceptions.Apply(c, "designation/1")
		if applied == nil || len(applied.Lapsed) > 0 {
			t.Errorf("%+v, %+v", c, applied)
		}
	})
}

func cell(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
