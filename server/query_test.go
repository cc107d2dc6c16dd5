package server

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/seed-53cf897a/docket/ledger/record"
)

func ask(t *testing.T, rawQuery string, known ...string) *query {
	t.Helper()
	c, _ := gin.CreateTestContext(httptest.NewRecorder())
	c.Request = httptest.NewRequest("GET", "/x", nil)
	c.Request.URL.RawQuery = rawQuery
	return (&exchange{Context: c}).query(known...)
}

func TestQueryRefusesWhatItDoesNotKnow(t *testing.T) {
	for raw, want := range map[string]string{
		"status=in-force":              "",
		"":                             "",
		"stauts=in-force":              "not a parameter",
		"status=in-force&status=ended": "given 2 times",
		"status=%zz":                   "not well-formed",
		"status=a;b":                   "not well-formed",
	} {
		err := ask(t, raw, "status", "at").done()
		switch {
		case want == "" && err != nil:
			t.Errorf("?%s: %v, want none", raw, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("?%s: %v, want %q", raw, err, want)
		}
	}
}

func TestQueryValues(t *testing.T) {
	for raw, read := range map[string]func(*query){
		"limit=0":                   func(q *query) { q.limit() },
		"limit=1001":                func(q *query) { q.limit() },
		"limit=010":                 func(q *query) { q.limit() },
		"limit=":                    func(q *query) { q.limit() },
		"size=-1":                   func(q *query) { q.number("size", 0) },
		"size=18446744073709551616": func(q *query) { q.number("size", 0) },
		"size=%2B1":                 func(q *query) { q.number("size", 0) },
		"dry-run=yes":               func(q *query) { q.flag("dry-run") },
		"dry-run":                   func(q *query) { q.flag("dry-run") },
		"status=gone":               func(q *query) { q.oneOf("status", "in-force") },
		"at=yesterday":              func(q *query) { q.instant("at", midnight) },
		"at=2027-02-30":             func(q *query) { q.instant("at", midnight) },
		"at=2027-06-01T00:00:00":    func(q *query) { q.instant("at", midnight) },
		"after=AAAA":                func(q *query) { q.after("after", listRecords) },
		"after=":                    func(q *query) { q.after("after", listRecords) },
	} {
		q := ask(t, raw, "limit", "size", "dry-run", "status", "at", "after")
		read(q)
		if q.done() == nil {
			t.Errorf("?%s was taken", raw)
		}
	}
}

// midnight stands for a view of a charter in UTC.
func midnight(d record.Date) time.Time {
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC)
}

func TestQueryInstant(t *testing.T) {
	for raw, want := range map[string]string{
		"at=2027-06-01T10:00:00Z":     "2027-06-01T10:00:00Z",
		"at=2027-06-01T10:00:00.250Z": "2027-06-01T10:00:00.25Z",
		"at=2027-06-01":               "2027-06-01T00:00:00Z",
		"":                            "0001-01-01T00:00:00Z",
	} {
		q := ask(t, raw, "at")
		if got := q.instant("at", midnight).Format(time.RFC3339Nano); got != want || q.done() != nil {
			t.Errorf("?%s: %s, %v; want %s", raw, got, q.done(), want)
		}
	}
}

// A civil date begins when it does in the charter's zone, summer and winter.
func TestBegin(t *testing.T) {
	w := newWorld(t, settings{})
	w.must(w.Charter()) // America/New_York
	view, err := w.register.Now()
	if err != nil {
		t.Fatal(err)
	}
	for date, want := range map[string]string{
		"2027-06-01": "2027-06-01T04:00:00Z",
		"2027-12-01": "2027-12-01T05:00:00Z",
		"2027-03-14": "2027-03-14T05:00:00Z", // the clocks go forward later that day
		"2027-11-08": "2027-11-08T05:00:00Z",
	} {
		d, err := record.ParseDate(date)
		if err != nil {
			t.Fatal(err)
		}
		if got := begin(view, d).Format(time.RFC3339); got != want {
			t.Errorf("%s begins at %s, want %s", date, got, want)
		}
	}
}

func TestCursorsComeBack(t *testing.T) {
	for _, c := range []cursor{
		{list: listRecords, place: ""},
		{list: listDesignations, size: 13, at: time.UnixMilli(1_800_000_000_123).UTC(), place: "designation/2026-014"},
		{list: listDuties, size: 1<<63 - 1, at: time.UnixMilli(0).UTC(), place: "17"},
	} {
		got, err := parseCursor(c.list, c.String())
		if err != nil || got != c {
			t.Errorf("%+v came back as %+v, %v", c, got, err)
		}
		if _, err := parseCursor(c.list+1, c.String()); err == nil {
			t.Errorf("the cursor of list %c was taken for another's", c.list)
		}
		if _, err := parseCursor(c.list, c.String()+"="); err == nil {
			t.Error("a cursor with padding was taken")
		}
	}
}

// A cursor is the client's to write. Each is one that a page gave, or refused.
func FuzzCursor(f *testing.F) {
	f.Add(cursor{list: listParties, size: 7, at: time.UnixMilli(5), place: "acme-cloud"}.String())
	for _, ms := range []int64{1 << 62, -1 << 62, 1<<63 - 1, -1 << 63, firstInstant.UnixMilli() - 1, firstInstant.UnixMilli(), lastInstant.UnixMilli(), lastInstant.UnixMilli() + 1} {
		f.Add(cursor{list: listParties, size: 7, at: time.UnixMilli(ms), place: "acme-cloud"}.String())
	}
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCursor(listParties, text)
		if err != nil {
			return
		}
		if c.String() != text {
			t.Errorf("%q came back as %q", text, c.String())
		}
		if _, err := json.Marshal(asOf{c.size, c.at}); err != nil {
			t.Errorf("%q gives a page that cannot be told: %v", text, err)
		}
	})
}

// The ends of time are instants like any other, by a cursor and by ?at= alike; what
// lies beyond them is refused.
func TestTheEndsOfTime(t *testing.T) {
	w := story(t)
	lists := map[byte]string{listDesignations: "designations", listParties: "parties", listDuties: "duties"}
	for list, path := range lists {
		place := map[byte]string{listDuties: "designation/2026-014 acme-cloud 1"}[list]
		for at, kind := range map[int64]problemKind{
			1 << 62: badParameter, -1 << 62: badParameter, 1<<63 - 1: badParameter, -1 << 63: badParameter,
			firstInstant.UnixMilli() - 1: badParameter, lastInstant.UnixMilli() + 1: badParameter,
			firstInstant.UnixMilli(): "", lastInstant.UnixMilli(): "", time.Time{}.UnixMilli(): "",
		} {
			after := cursor{list: list, size: 1, at: time.UnixMilli(at), place: place}.String()
			r := w.get("/v1/register/" + path + "?after=" + after)
			if kind != "" {
				w.problem(r, kind)
				continue
			}
			got := w.object(r, http.StatusOK)["asOf"].(map[string]any)
			if want := time.UnixMilli(at).UTC().Format(time.RFC3339Nano); got["at"] != want {
				t.Errorf("%s: as of %v, want %s", path, got["at"], want)
			}
		}
		for at, want := range map[string]string{
			"0001-01-01T00:00:00Z":     "0001-01-01T00:00:00Z",
			"0000-01-01T00:00:00Z":     "0000-01-01T00:00:00Z",
			"9999-12-31T23:59:59.999Z": "9999-12-31T23:59:59.999Z",
			"1000-01-01":               "1000-01-01T04:56:02Z",
			"9999-12-31":               "9999-12-31T05:00:00Z",
		} {
			got := w.object(w.get("/v1/register/"+path+"?at="+at), http.StatusOK)["asOf"].(map[string]any)
			if got["at"] != want {
				t.Errorf("%s?at=%s: as of %v, want %s", path, at, got["at"], want)
			}
		}
	}
}
