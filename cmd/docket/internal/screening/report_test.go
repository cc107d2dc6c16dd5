package screening_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/screening"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/screen"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// customers is a small list with something of everything.
const customers = "Customer ID,Company,Trading as,Country,LEI,AS number,Website,Phone\n" +
	"C-01,Kestrel Hosting FZ LLC,,XB,,,,1\n" +
	"C-02,Merlin Racks,,,,,,2\n" +
	"C-03,\"=Bakery, Ltd\",Kestrel Cloud,XC,,,,3\n" +
	"C-04,Harbour Farms,,Kestrelia,,AS64511,,4\n" +
	"C-05,Fen Holdings,,XC,9999DOCKETDEMO000118,,https://www.kestrel-hosting.example/,5\n" +
	"C-06,Lumen Khosting,,XC,,,,6\n" +
	"C-07,Harbour Bakery,,XK,,,,7\n" +
	"C-08,Ospreynet Services,,,,,,8\n" +
	"C-09,,,XB,,,,9\n" +
	"C-10,Soci\xe9t\xe9,,XB,,,,10\n" +
	"C-11,Harbour Mill\u202e,,XB,,,,11\n" +
	"C-12,Northwind Orchards,,XD,,,,12\n"

const reviewed = "id,name,alias,country,lei,registrationNumber,asn,domain,designation,record,by,on,why\n" +
	"C-07,Harbour Bakery,,XK,,,,,2026-015,%s,J. Rook,2026-11-23,a branch that is closed\n" +
	"C-02,Merlin Racks,,XC,,,,,designation/2026-014,%s,J. Rook,2026-11-23,another company of that name\n" +
	"C-12,Northwind Orchards,,XD,,,,,2026-016,%s,J. Rook,2026-11-23,fruit\n" +
	"C-77,Nobody,,,,,,,2026-016,%s,J. Rook,2026-11-23,left\n" +
	"C-03,\"'=Bakery, Ltd\",Kestrel Cloud,XC,,,,,2026-014,%s,,,\n"

// exceptionsOf fills in the newest records of these designations.
func exceptionsOf(w *world, designations ...string) string {
	var ids []any
	for _, d := range designations {
		ids = append(ids, w.Head(record.DesignationThread(d)))
	}
	return fmt.Sprintf(reviewed, ids...)
}

// TestGoldenReport: what a small list gives, in each form.
func TestGoldenReport(t *testing.T) {
	w := newWorld(t)
	exceptions := exceptionsOf(w, "2026-015", "2026-014", "2026-016", "2026-016", "2026-014")
	r := w.report(customers, exceptions)
	golden(t, "report.golden", r.text)
	run, err := w.run(customers, exceptions)
	if err != nil {
		t.Fatal(err)
	}
	var table, template bytes.Buffer
	asTable, err := screening.NewTable(&table, run.Head)
	if err != nil {
		t.Fatal(err)
	}
	asTemplate, err := screening.NewTemplate(&template)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range r.lines {
		if err := errors.Join(asTable.Add(l), asTemplate.Add(l)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(asTable.Close(), asTemplate.Close(run.Screener.Exceptions, r.totals.Unused)); err != nil {
		t.Fatal(err)
	}
	golden(t, "table.golden.csv", table.String())
	golden(t, "template.golden.csv", template.String())
}

// TestHits: who is hit, how, and that the reasons add up.
func TestHits(t *testing.T) {
	w := newWorld(t)
	how := func(r report) (all []string) {
		for _, l := range r.lines {
			for _, h := range l.Hits {
				all = append(all, fmt.Sprintf("%s %s %s %s", l.ID, h.How, h.Thread.Name(), h.Status))
				sum := 0
				for _, f := range h.Features {
					sum += f.Points
				}
				switch {
				case h.How == screening.ByJurisdiction:
					if h.Score != nil || h.Matched != nil || sum != 0 {
						t.Errorf("%s: a country has a score: %+v", l.ID, h)
					}
				case sum != h.Points || *h.Score != screen.ScoreOf(h.Points):
					t.Errorf("%s: %v make %d, and not %d points, score %s", l.ID, h.Features, sum, h.Points, h.Score)
				}
			}
		}
		return all
	}
	got := how(w.report(customers, ""))
	want := []string{
		"C-01 exact 2026-014 announced", "C-02 former 2026-014 announced", "C-03 alias 2026-014 announced", "C-04 identifier 2026-014 announced",
		"C-05 identifier 2026-014 announced", "C-06 similar 2026-016 announced", "C-07 jurisdiction 2026-015 announced",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	w.statuses = append(w.statuses[:len(w.statuses):len(w.statuses)], screening.Ended...)
	if got := how(w.report(customers, "")); !reflect.DeepEqual(got, append(want, "C-08 exact 2026-017 revoked")) {
		t.Errorf("with those that are over: %q", got)
	}
	w.day = w.day.AddDays(200)
	if h := w.report(customers, "").hit(t, 2); h.Status != view.StatusInForce {
		t.Errorf("200 days later it is %s", h.Status)
	}
}

// longList is a list of n rows, one of them in twenty a hit, and some at fault.
func longList(n int) string {
	var b strings.Builder
	b.WriteString("id,name,country\n")
	for i := range n {
		switch {
		case i%20 == 3:
			fmt.Fprintf(&b, "C-%d,Kestrel Hosting FZ-LLC,XB\n", i)
		case i%301 == 7:
			fmt.Fprintf(&b, "C-%d,\xff,XB\n", i)
		case i%97 == 5:
			fmt.Fprintf(&b, "C-%d,Bakery %d,Nowhere\n", i, i)
		default:
			fmt.Fprintf(&b, "C-%d,Harbour Bakery %d,XC\n", i, i)
		}
	}
	return b.String()
}

// TestSameBytes: the same head gives the same bytes, however many screen, and however the
// designations came.
func TestSameBytes(t *testing.T) {
	w := newWorld(t)
	list := longList(2500)
	want := w.report(list, "")
	for _, workers := range []int{1, 3, 16} {
		r, err := w.run(list, "")
		if err != nil {
			t.Fatal(err)
		}
		r.Workers = workers
		var text bytes.Buffer
		if _, err := r.Write(t.Context(), &text, nil, func(screening.Line) error { return nil }, unmarked); err != nil {
			t.Fatal(err)
		}
		if text.String() != want.text {
			t.Errorf("%d workers write another report", workers)
		}
	}
}

// writeFile writes a report to a file, until a row at which it is broken off (0: to its end).
func (w *world) writeFile(file, list string, until int) (lines []screening.Line, from int, known bool, err error) {
	w.t.Helper()
	r, err := w.run(list, "")
	if err != nil {
		w.t.Fatal(err)
	}
	f, err := screening.OpenReportFile(file, r.Head)
	if err != nil {
		return nil, 0, false, err
	}
	defer f.Close()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	_, err = r.Write(ctx, f, f.Partial, func(l screening.Line) error {
		lines = append(lines, l)
		if l.Row == until {
			stop()
			return ctx.Err()
		}
		return nil
	}, f.Marked)
	if err == nil {
		known, err = f.Finish()
	}
	return lines, f.Partial.Rows(), known, err
}

// TestGoesOn: broken off anywhere, by an interrupt or a crash, a report goes on and ends as
// the same bytes, and tells of every row again.
func TestGoesOn(t *testing.T) {
	w := newWorld(t)
	list := longList(2300)
	want := w.report(list, "")
	dir := t.TempDir()
	whole := func(t *testing.T, file string, from int) {
		t.Helper()
		lines, began, known, err := w.writeFile(file, list, 0)
		if err != nil || known || began != from {
			t.Fatalf("went on after row %d, want %d; known %v, %v", began, from, known, err)
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want.text {
			t.Errorf("another report")
		}
		if !reflect.DeepEqual(lines, want.lines) {
			t.Errorf("it tells another story of its rows")
		}
		if _, err := os.Stat(file + screening.PartialSuffix); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the part is still there: %v", err)
		}
	}
	for i, until := range []int{2, 1000, 1001, 1002, 2301} {
		t.Run(fmt.Sprint("interrupted at row ", until), func(t *testing.T) {
			file := filepath.Join(dir, fmt.Sprint("i", i))
			if _, _, _, err := w.writeFile(file, list, until); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a report that is not whole has its name: %v", err)
			}
			marked := until - 1 // rows, without the header
			if marked%1000 == 0 && marked > 0 {
				marked-- // the mark comes after the row
			}
			from := marked / 1000 * 1000
			if from > 0 {
				from++
			}
			whole(t, file, from)
		})
	}
	random := rand.New(rand.NewPCG(12, 12))
	for i := range 16 {
		n := random.IntN(len(want.text))
		part := []byte(want.text[:n])
		marks := strings.Count(want.text[:n], `{"upTo":`)
		switch i % 4 {
		case 1: // a file system may bring zeros back for what it had not written
			for j := max(n-3000, 0); j < n; j++ {
				part[j] = 0
			}
			marks = -1
		case 2: // or another byte
			part[random.IntN(n)] ^= 1
			marks = -1
		case 3: // or more than there was
			part = append(part, strings.Repeat("{\"row\":2}\n", len(want.text)/8)...)
		}
		t.Run(fmt.Sprintf("%d bytes are left, case %d", n, i%4), func(t *testing.T) {
			file := filepath.Join(dir, fmt.Sprint("c", i))
			if err := os.WriteFile(file+screening.PartialSuffix, part, 0o600); err != nil {
				t.Fatal(err)
			}
			_, _, _, err := w.writeFile(file, list, 0)
			var other *screening.OtherReportError
			if marks < 0 && errors.As(err, &other) { // the byte was in the head
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(file); err != nil || string(got) != want.text {
				t.Errorf("another report, %v", err)
			}
		})
	}
}

// TestAnotherBegun: what was begun with other inputs is neither gone on with nor written
// over, and it is said what differs.
func TestAnotherBegun(t *testing.T) {
	w := newWorld(t)
	list := longList(1500)
	file := filepath.Join(t.TempDir(), "r")
	if _, _, _, err := w.writeFile(file, list, 1400); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	before, err := os.ReadFile(file + screening.PartialSuffix)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(list, want string) {
		t.Helper()
		_, _, _, err := w.writeFile(file, list, 0)
		var other *screening.OtherReportError
		if !errors.As(err, &other) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	refused(list+"C-x,Y,XB\n", "the SHA-256 of the list is ")
	w.day = w.day.AddDays(1)
	refused(list, "the day is 2026-11-24 here, and 2026-11-23 in the report")
	w.day = w.day.AddDays(-1)
	if after, err := os.ReadFile(file + screening.PartialSuffix); err != nil || !bytes.Equal(before, after) {
		t.Errorf("what was begun was changed, %v", err)
	}
	if _, from, _, err := w.writeFile(file, list, 0); err != nil || from != 1001 {
		t.Errorf("went on after row %d, %v", from, err)
	}
	if _, _, known, err := w.writeFile(file, list, 0); err != nil || !known {
		t.Errorf("the same report again: known %v, %v", known, err)
	}
	refused(list+"C-x,Y,XB\n", "the SHA-256 of the list is ")
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("{}\n"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	var differs *screening.DifferenceError
	if _, _, _, err := w.writeFile(file, list, 0); !errors.As(err, &differs) {
		t.Errorf("a report that was added to is taken for the same: %v", err)
	}
}

// TestOneWriter: of two processes that write one report, one is told so.
func TestOneWriter(t *testing.T) {
	w := newWorld(t)
	r, err := w.run(customers, "")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "r")
	f, err := screening.OpenReportFile(file, r.Head)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := screening.OpenReportFile(file, r.Head); !errors.Is(err, screening.ErrInUse) {
		t.Errorf("two write it: %v", err)
	}
}

// TestCompare: whatever is altered of a report, it is another one, and it is said where.
func TestCompare(t *testing.T) {
	w := newWorld(t)
	want := w.report(longList(1100), "").text
	compare := func(text string) error {
		r, err := w.run(longList(1100), "")
		if err != nil {
			t.Fatal(err)
		}
		c := &screening.Comparer{Report: bufio.NewReader(strings.NewReader(text))}
		if _, err := r.Write(t.Context(), c, nil, func(screening.Line) error { return nil }, unmarked); err != nil {
			return err
		}
		return c.Close()
	}
	if err := compare(want); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(strings.TrimSuffix(want, "\n"), "\n")
	for i := range lines {
		if i > 2 && i < len(lines)-4 && i%20 > 0 {
			continue // of those between, some
		}
		var differs *screening.DifferenceError
		for what, text := range map[string]string{
			"left out": strings.Join(append(append([]string{}, lines[:i]...), lines[i+1:]...), ""),
			"altered":  strings.Join(lines[:i], "") + strings.Replace(lines[i], `"`, `'`, 1) + strings.Join(lines[i+1:], ""),
			"cut off":  strings.Join(lines[:i], ""),
		} {
			if err := compare(text); !errors.As(err, &differs) || differs.Line != i+1 {
				t.Fatalf("line %d %s: %v", i+1, what, err)
			}
		}
	}
}

// TestRowsOfManyNames: a customer is hit by whichever name says most, and once.
func TestRowsOfManyNames(t *testing.T) {
	w := newWorld(t)
	r := w.report("name,aliases,country\nFen Holdings,Kestrel Klowd; Kestrel Cloud|Bakery,XB\n,Merlin Racks,\n", "")
	if h := r.hit(t, 2); h.How != screen.ByAlias || h.Queried != "Kestrel Cloud" || h.Matched.Text != "Kestrel Cloud" {
		t.Errorf("got %+v", h)
	}
	if h := r.hit(t, 3); h.How != screen.ByFormer || h.Queried != "Merlin Racks" {
		t.Errorf("got %+v", h)
	}
}
