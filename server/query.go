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

// params reads the parameters of one request. Each may be given once; one that
// the path does not know is refused, so that a typing error is not taken for
// "everything". The first fault is kept; callers look at err once, at the end.
type params struct {
	values url.Values
	err    *problem
}

func (x *request) parseParams(known ...string) *params {
	q := &params{}
	if x.Request.URL.RawQuery == "" {
		return q
	}
	values, err := url.ParseQuery(x.Request.URL.RawQuery)
	if err != nil {
		q.err = newProblem(problemParameter, "the query is not well-formed: percent-encode names and values, and join them with &")
		return q
	}
	q.values = values
	for name, given := range values {
		switch {
		case !slices.Contains(known, name):
			q.addFault(name, "is not a parameter of this path; it takes %s", joinOrNone(known))
		case len(given) > 1:
			q.addFault(name, "is given %d times", len(given))
		}
	}
	return q
}

func joinOrNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func (q *params) addFault(name, format string, args ...any) {
	if q.err == nil {
		q.err = newProblem(problemParameter, "?%s "+format, append([]any{clipText(name)}, args...)...)
	}
}

// firstFault is the first fault, nil if there was none.
func (q *params) firstFault() error {
	if q.err == nil {
		return nil
	}
	return q.err
}

func (q *params) has(name string) bool { return q.values.Has(name) }

func (q *params) text(name string) string { return q.values.Get(name) }

// oneOf reads a word of a closed set; "" if the parameter is absent.
func (q *params) oneOf(name string, words ...string) string {
	v := q.values.Get(name)
	if q.has(name) && !slices.Contains(words, v) {
		q.addFault(name, "is %q; it is one of %s", clipText(v), strings.Join(words, ", "))
	}
	return v
}

// oneOf is [query.oneOf] for the words of a type.
func oneOf[T ~string](q *params, name string, words []T) T {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = string(w)
	}
	return T(q.oneOf(name, all...))
}

func (q *params) flag(name string) bool {
	return q.oneOf(name, "true", "false") == "true"
}

// country reads the code of a country, however it is written; "" if the parameter is
// absent. What is read stands in its place from then on.
func (q *params) country(name string) string {
	if !q.has(name) {
		return ""
	}
	code, err := register.Country(clipText(q.values.Get(name)))
	if err != nil {
		q.addFault(name, "is not understood: %v", err)
		return ""
	}
	q.values.Set(name, code)
	return code
}

// number reads a decimal integer without leading zeros; absent if there is none.
func (q *params) number(name string, absent uint64) uint64 {
	v := q.values.Get(name)
	if !q.has(name) {
		return absent
	}
	n, err := strconv.ParseUint(v, 10, 63)
	if err != nil || strconv.FormatUint(n, 10) != v {
		q.addFault(name, "is %q; it is a decimal integer", clipText(v))
		return absent
	}
	return n
}

func (q *params) limit() int {
	n := q.number("limit", defaultLimit)
	if n < 1 || n > maxLimit {
		q.addFault("limit", "is %d; it is from 1 to %d", n, maxLimit)
	}
	return int(n)
}

// time reads RFC 3339, or a civil date, whose first moment begin knows. The
// zero time if the parameter is absent.
func (q *params) time(name string, begin func(record.Date) time.Time) time.Time {
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
	q.addFault(name, "is %q; it is an instant like 2027-06-01T00:00:00Z or a date like 2027-06-01", clipText(v))
	return time.Time{}
}

// cursor reads a parameter that is the cursor of an earlier page of that list; the zero
// cursor without one.
func (q *params) cursor(name string, list byte) cursor {
	if !q.has(name) {
		return cursor{list: list}
	}
	c, err := parseCursor(list, q.values.Get(name))
	if err != nil {
		q.addCursorFault(name)
	}
	return c
}

func (q *params) addCursorFault(name string) {
	q.addFault(name, "is not a cursor of this list; take it from \"next\" of the page before")
}
