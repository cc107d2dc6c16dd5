package server

import (
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Whoever reads a feed sends back what the page before gave; anybody can send anything. A cursor of
// records or changes is refused, or gives a page that goes on after it and says how to go on.
func FuzzFeedCursors(f *testing.F) {
	w := sampleWorld(f)
	size := w.server.publishedSize()
	for _, at := range []int64{0, time.Now().UnixMilli(), firstInstant.UnixMilli(), lastInstant.UnixMilli(), 1 << 62, -1 << 63} {
		for _, position := range []string{"", "0", "6", "99", "-1", "007", "18446744073709551615", "9223372036854775807", "designation/2026-014", "2026-12-01T00:00:00.000Z 4 1", "\x00\xff"} {
			f.Add(size, at, position)
		}
	}
	f.Add(uint64(0), int64(0), "5")
	f.Add(size+1, int64(0), "")
	f.Add(uint64(1<<63), int64(0), "")
	first := w.wantJSON(w.get("/v1/register/changes?from=0&limit=2"), http.StatusOK)
	if c, err := parseCursor(cursorChanges, first["next"].(string)); err != nil {
		f.Fatal(err)
	} else {
		f.Add(c.size, c.at.UnixMilli(), c.position)
	}
	f.Fuzz(func(t *testing.T, size uint64, at int64, position string) {
		w := w.forTest(t)
		c := cursor{list: cursorRecords, size: size, at: time.UnixMilli(at), position: position}
		w.wantRecordsAfter(c)
		c.list = cursorChanges
		w.wantChangesAfter(c)
	})
}

// wantRecordsAfter: the records after a cursor are those of larger indexes, or it is refused.
func (w *world) wantRecordsAfter(c cursor) {
	w.t.Helper()
	answer := w.get("/v1/records?limit=2&after=" + c.String())
	if answer.Code == http.StatusBadRequest {
		return
	}
	var page struct {
		Records []struct{ Index uint64 }
		Next    string
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &page); err != nil || answer.Code != http.StatusOK {
		w.t.Fatalf("records after %+v: %d %s %v", c, answer.Code, answer.Body, err)
	}
	from := uint64(0)
	if c.position != "" {
		var err error
		if from, err = indexAfter(c.position); err != nil {
			w.t.Fatalf("records after %+v: %s", c, answer.Body)
		}
	}
	for _, r := range page.Records {
		if r.Index < from {
			w.t.Fatalf("after %+v comes record %d", c, r.Index)
		}
		from = r.Index + 1
	}
	if page.Next != "" {
		if next, err := parseCursor(cursorRecords, page.Next); err != nil || next.position != strconv.FormatUint(from-1, 10) {
			w.t.Errorf("after %+v it goes on at %+v, %v", c, next, err)
		}
	}
}

// wantChangesAfter: the changes after a cursor are of the tree that it names, in all three formats,
// and their pages end.
func (w *world) wantChangesAfter(c cursor) {
	w.t.Helper()
	query := "?from=0&limit=3&after=" + c.String()
	answer := w.get("/v1/register/changes" + query)
	table, feed := w.get("/v1/register/changes.csv"+query), w.get("/v1/register/changes.atom"+query)
	if table.Code != answer.Code || feed.Code != answer.Code {
		w.t.Fatalf("changes after %+v: %d as JSON, %d as CSV, %d as a feed", c, answer.Code, table.Code, feed.Code)
	}
	if answer.Code == http.StatusBadRequest {
		return
	}
	for pages := 0; ; pages++ {
		var page struct {
			AsOf    struct{ Size uint64 }
			Changes []json.RawMessage
			Next    string
		}
		if err := json.Unmarshal(answer.Body.Bytes(), &page); err != nil || answer.Code != http.StatusOK || c.size > 0 && page.AsOf.Size != c.size {
			w.t.Fatalf("changes after %+v: %d %s %v", c, answer.Code, answer.Body, err)
		}
		if pages == 0 {
			if rows, err := csv.NewReader(table.Body).ReadAll(); err != nil || len(rows) != len(page.Changes)+1 {
				w.t.Errorf("after %+v there are %d rows for %d changes: %v", c, len(rows), len(page.Changes), err)
			}
			if n, err := countEntries(feed.Body); err != nil || n != len(page.Changes) {
				w.t.Errorf("after %+v there are %d entries for %d changes: %v", c, n, len(page.Changes), err)
			}
		}
		if page.Next == "" {
			return
		}
		if pages > 50 {
			w.t.Fatalf("after %+v there is no end", c)
		}
		answer = w.get("/v1/register/changes?from=0&limit=3&after=" + page.Next)
	}
}

// countEntries counts the entries of an Atom feed.
func countEntries(r io.Reader) (n int, err error) {
	d := xml.NewDecoder(r)
	for {
		token, err := d.Token()
		if err == io.EOF {
			return n, nil
		} else if err != nil {
			return n, err
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "entry" {
			n++
		}
	}
}

// A reader of the stream who was cut off names the last record that came, in whatever words. It is
// the index of a record that is published, and the stream goes on after it; or it is refused.
func FuzzStreamCursor(f *testing.F) {
	w := sampleWorld(f)
	size := w.server.publishedSize()
	for _, last := range []string{"0", "6", "7", "8", "007", "+3", "-1", "1e3", "1_0", " 3", "3 ", "", "x", "9223372036854775807", "9223372036854775808", "18446744073709551615", "99999999999999999999", "3\n4", "\x00", "٣"} {
		f.Add(last)
	}
	f.Fuzz(func(t *testing.T, last string) {
		method, want := http.MethodHead, http.StatusBadRequest // a stream that has nothing to tell waits
		n, err := strconv.ParseUint(last, 10, 63)
		switch {
		case last == "" || err == nil && n+1 == size:
			want = http.StatusOK
		case err == nil && n+1 < size:
			method, want = http.MethodGet, http.StatusOK
		}
		r := httptest.NewRequest(method, "/v1/stream?from=0&limit=1", nil)
		r.Header.Set("Last-Event-ID", last)
		out := httptest.NewRecorder()
		w.server.Handler().ServeHTTP(out, r)
		if out.Code != want {
			t.Fatalf("%s after %q: %d %s", method, last, out.Code, out.Body)
		}
		if line := "\nid: " + strconv.FormatUint(n+1, 10) + "\n"; method == http.MethodGet && !strings.Contains(out.Body.String(), line) {
			t.Errorf("after %q comes %s", last, out.Body)
		}
		// A query is no header: there it is refused alike, or read alike.
		r = httptest.NewRequest(http.MethodHead, "/v1/stream?from="+url.QueryEscape(last), nil)
		out = httptest.NewRecorder()
		w.server.Handler().ServeHTTP(out, r)
		if out.Code != http.StatusOK && out.Code != http.StatusBadRequest {
			t.Errorf("from %q: %d %s", last, out.Code, out.Body)
		}
	})
}
