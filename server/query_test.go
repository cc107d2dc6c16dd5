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

func paramsOf(t *testing.T, rawQuery string, known ...string) *params {
	t.Helper()
	c, _ := gin.CreateTestContext(httptest.NewRecorder())
	c.Request = httptest.NewRequest("GET", "/x", nil)
	c.Request.URL.RawQuery = rawQuery
	return (&request{Context: c}).parseParams(known...)
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
		err := paramsOf(t, raw, "status", "at").firstFault()
		switch {
		case want == "" && err != nil:
			t.Errorf("?%s: %v, want none", raw, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("?%s: %v, want %q", raw, err, want)
		}
	}
}

func TestQueryValues(t *testing.T) {
	for raw, read := range map[string]func(*params){
		"limit=0":                   func(q *params) { q.limit() },
		"limit=1001":                func(q *params) { q.limit() },
		"limit=010":                 func(q *params) { q.limit() },
		"limit=":                    func(q *params) { q.limit() },
		"size=-1":                   func(q *params) { q.number("size", 0) },
		"size=18446744073709551616": func(q *params) { q.number("size", 0) },
		"size=%2B1":                 func(q *params) { q.number("size", 0) },
		"dry-run=yes":               func(q *params) { q.flag("dry-run") },
		"dry-run":                   func(q *params) { q.flag("dry-run") },
		"status=gone":               func(q *params) { q.oneOf("status", "in-force") },
		"at=yesterday":              func(q *params) { q.time("at", midnight) },
		"at=2027-02-30":             func(q *params) { q.time("at", midnight) },
		"at=2027-06-01T00:00:00":    func(q *params) { q.time("at", midnight) },
		"after=AAAA":                func(q *params) { q.cursor("after", cursorRecords) },
		"after=":                    func(q *params) { q.cursor("after", cursorRecords) },
	} {
		q := paramsOf(t, raw, "limit", "size", "dry-run", "status", "at", "after")
		read(q)
		if q.firstFault() == nil {
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
		q := paramsOf(t, raw, "at")
		if got := q.time("at", midnight).Format(time.RFC3339Nano); got != want || q.firstFault() != nil {
			t.Errorf("?%s: %s, %v; want %s", raw, got, q.firstFault(), want)
		}
	}
}

// A civil date begins when it does in the charter's zone, summer and winter.
func TestStartOfDay(t *testing.T) {
	w := newWorld(t, settings{})
	w.mustSubmit(w.Charter()) // America/New_York
	view, err := w.register.LatestView()
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
		if got := startOfDay(view, d).Format(time.RFC3339); got != want {
			t.Errorf("%s begins at %s, want %s", date, got, want)
		}
	}
}

func TestCursorsComeBack(t *testing.T) {
	for _, c := range []cursor{
		{list: cursorRecords, position: ""},
		{list: cursorDesignations, size: 13, at: time.UnixMilli(1_800_000_000_123).UTC(), position: "designation/2026-014"},
		{list: cursorDuties, size: 1<<63 - 1, at: time.UnixMilli(0).UTC(), position: "17"},
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
	f.Add(cursor{list: cursorParties, size: 7, at: time.UnixMilli(5), position: "acme-cloud"}.String())
	for _, ms := range []int64{1 << 62, -1 << 62, 1<<63 - 1, -1 << 63, firstInstant.UnixMilli() - 1, firstInstant.UnixMilli(), lastInstant.UnixMilli(), lastInstant.UnixMilli() + 1} {
		f.Add(cursor{list: cursorParties, size: 7, at: time.UnixMilli(ms), position: "acme-cloud"}.String())
	}
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCursor(cursorParties, text)
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
func TestFirstAndLastInstant(t *testing.T) {
	w := sampleWorld(t)
	lists := map[byte]string{cursorDesignations: "designations", cursorParties: "parties", cursorDuties: "duties"}
	for list, path := range lists {
		place := map[byte]string{cursorDuties: "designation/2026-014 acme-cloud 1"}[list]
		for at, kind := range map[int64]problemKind{
			1 << 62: problemParameter, -1 << 62: problemParameter, 1<<63 - 1: problemParameter, -1 << 63: problemParameter,
			firstInstant.UnixMilli() - 1: problemParameter, lastInstant.UnixMilli() + 1: problemParameter,
			firstInstant.UnixMilli(): "", lastInstant.UnixMilli(): "", time.Time{}.UnixMilli(): "",
		} {
			after := cursor{list: list, size: 1, at: time.UnixMilli(at), position: place}.String()
			r := w.get("/v1/register/" + path + "?after=" + after)
			if kind != "" {
				w.wantProblem(r, kind)
				continue
			}
			got := w.wantJSON(r, http.StatusOK)["asOf"].(map[string]any)
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
			got := w.wantJSON(w.get("/v1/register/"+path+"?at="+at), http.StatusOK)["asOf"].(map[string]any)
			if got["at"] != want {
				t.Errorf("%s?at=%s: as of %v, want %s", path, at, got["at"], want)
			}
		}
	}
}
