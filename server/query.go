package server

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// A page of a list has defaultLimit items unless ?limit= says otherwise, up to maxLimit.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// query reads the parameters of one request. Each may be given once; one that
// the path does not know is refused, so that a typing error is not taken for
// "everything". The first fault is kept; callers look at err once, at the end.
type query struct {
	values url.Values
	err    *problem
}

func (x *exchange) query(known ...string) *query {
	q := &query{}
	if x.Request.URL.RawQuery == "" {
		return q
	}
	values, err := url.ParseQuery(x.Request.URL.RawQuery)
	if err != nil {
		q.err = refuse(badParameter, "the query is not well-formed: percent-encode names and values, and join them with &")
		return q
	}
	q.values = values
	for name, given := range values {
		switch {
		case !slices.Contains(known, name):
			q.fault(name, "is not a parameter of this path; it takes %s", orNone(known))
		case len(given) > 1:
			q.fault(name, "is given %d times", len(given))
		}
	}
	return q
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func (q *query) fault(name, format string, args ...any) {
	if q.err == nil {
		q.err = refuse(badParameter, "?%s "+format, append([]any{clip(name)}, args...)...)
	}
}

// done is the first fault, nil if there was none.
func (q *query) done() error {
	if q.err == nil {
		return nil
	}
	return q.err
}

func (q *query) has(name string) bool { return q.values.Has(name) }

func (q *query) text(name string) string { return q.values.Get(name) }

// oneOf reads a word of a closed set; "" if the parameter is absent.
func (q *query) oneOf(name string, words ...string) string {
	v := q.values.Get(name)
	if q.has(name) && !slices.Contains(words, v) {
		q.fault(name, "is %q; it is one of %s", clip(v), strings.Join(words, ", "))
	}
	return v
}

// oneOf is [query.oneOf] for the words of a type.
func oneOf[T ~string](q *query, name string, words []T) T {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = string(w)
	}
	return T(q.oneOf(name, all...))
}

func (q *query) flag(name string) bool {
	return q.oneOf(name, "true", "false") == "true"
}

// country reads the code of a country, however it is written; "" if the parameter is
// absent. What is read stands in its place from then on.
func (q *query) country(name string) string {
	if !q.has(name) {
		return ""
	}
	code, err := register.Country(clip(q.values.Get(name)))
	if err != nil {
		q.fault(name, "is not understood: %v", err)
		return ""
	}
	q.values.Set(name, code)
	return code
}

// number reads a decimal integer without leading zeros; absent if there is none.
func (q *query) number(name string, absent uint64) uint64 {
	v := q.values.Get(name)
	if !q.has(name) {
		return absent
	}
	n, err := strconv.ParseUint(v, 10, 63)
	if err != nil || strconv.FormatUint(n, 10) != v {
		q.fault(name, "is %q; it is a decimal integer", clip(v))
		return absent
	}
	return n
}

func (q *query) limit() int {
	n := q.number("limit", defaultLimit)
	if n < 1 || n > maxLimit {
		q.fault("limit", "is %d; it is from 1 to %d", n, maxLimit)
	}
	return int(n)
}

// instant reads RFC 3339, or a civil date, whose first moment begin knows. The
// zero time if the parameter is absent.
func (q *query) instant(name string, begin func(record.Date) time.Time) time.Time {
	v := q.values.Get(name)
	if !q.has(name) {
		return time.Time{}
	}
	if t, err := time.Parse(time.RFC3339, v); err == nil && strings.HasSuffix(v, "Z") {
		return t.UTC()
	}
	if d, err := record.ParseDate(v); err == nil {
		return begin(d)
	}
	q.fault(name, "is %q; it is an instant like 2027-06-01T00:00:00Z or a date like 2027-06-01", clip(v))
	return time.Time{}
}

// after reads a parameter that is the cursor of an earlier page of that list; the zero
// cursor without one.
func (q *query) after(name string, list byte) cursor {
	if !q.has(name) {
		return cursor{list: list}
	}
	c, err := parseCursor(list, q.values.Get(name))
	if err != nil {
		q.noCursor(name)
	}
	return c
}

func (q *query) noCursor(name string) {
	q.fault(name, "is not a cursor of this list; take it from \"next\" of the page before")
}
