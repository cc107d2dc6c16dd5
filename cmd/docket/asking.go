package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// queryFlags are the flags of the verbs that answer from the replayed copy.
type queryFlags struct {
	app            *app
	trust          *trustFlags
	at             string
	size           string
	remote, asJSON bool
	ahead          bool // what was asked about is a day to come; known once the copy is open
}

// queryFlags adds them to a verb whose answers depend on the day.
func (a *app) queryFlags(c *cobra.Command, own ...string) *queryFlags {
	q := a.askingRecords(c, own...)
	c.Flags().StringVar(&q.at, "at", "", "as it stands at a date (2027-06-01) or an instant (2027-06-01T00:00:00Z); default now")
	return q
}

// askingRecords adds all but the day. Of the verb's own flags, some are for the copy alone.
func (a *app) askingRecords(c *cobra.Command, own ...string) *queryFlags {
	q := &queryFlags{app: a, trust: a.trustFlags(c).asking(c)}
	f := c.Flags()
	f.StringVar(&q.size, "size", "", "as the first N entries have it; default all that the copy has")
	f.BoolVar(&q.remote, "remote", false, "ask the server instead of the copy: its JSON as it comes, a list page by page, UNVERIFIED")
	f.BoolVar(&q.asJSON, "json", false, "print JSON")
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		if !q.remote {
			return idle(c, "without --remote: the copy answers", "ledger")
		}
		if err := idle(c, "beside --remote, which prints the server's JSON as it comes", "json"); err != nil {
			return err
		}
		if c.Flags().Changed("ledger") {
			if err := idle(c, "beside --remote and --ledger: the server answers, and --ledger says where it is", "trust"); err != nil {
				return err
			}
			q.trust.dir = ""
		}
		return idle(c, "beside --remote: the copy alone answers that", own...)
	}
	return q
}

// copyView is the copy as it was asked for.
type copyView struct {
	*register.View
	trust *client.Trust
	at    time.Time
	zone  *time.Location // the charter's
}

// open opens the copy and says on stderr as of what it answers; the caller closes
// its trust.
func (q *queryFlags) open() (*copyView, error) {
	trust, err := q.trust.open()
	if err != nil {
		return nil, err
	}
	r, err := q.openCopy(trust)
	if err != nil {
		return nil, errors.Join(err, trust.Close())
	}
	return r, nil
}

func (q *queryFlags) openCopy(trust *client.Trust) (*copyView, error) {
	reg, err := trust.Register()
	if errors.Is(err, client.ErrNoCopy) {
		return nil, refusal("%w", err).hint("docket sync --trust %s", trust.Dir())
	} else if err != nil {
		return nil, err
	}
	size := reg.Size()
	if q.size != "" {
		if size, err = parseSize(q.size, reg.Size()); err != nil {
			return nil, err
		}
	}
	r := &copyView{trust: trust}
	if r.View, err = trust.ViewAt(size); err != nil {
		return nil, err
	}
	if r.zone, err = r.charterTimeZone(); err != nil {
		return nil, err
	}
	if r.at, err = parseAt(q.at, r.zone); err != nil {
		return nil, err
	}
	q.ahead = r.Ahead(r.at, time.Now())
	state := sizeOf(trust.Checkpoint())
	if size != reg.Size() {
		state = fmt.Sprintf("size %d; the copy is as of %s", size, state)
	}
	if q.ahead {
		state = fmt.Sprintf("%s (a day to come; by what is on the ledger at %s)", r.LocalDate(r.at), state)
	}
	q.app.logf("as of %s; dates are in %s", state, r.zone) // the cosignature's UTC may be of another day
	return r, nil
}

// printJSON prints an answer that depends on the day; of a day to come it says so.
func (q *queryFlags) printJSON(v any) error {
	if !q.ahead {
		return q.app.printJSON(v)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return q.app.printJSON(jsonText(append([]byte(`{"ahead":true,`), text[1:]...)))
}

// charterTimeZone is that of the newest charter; UTC where the view is of no entry.
func (r *copyView) charterTimeZone() (*time.Location, error) {
	c, err := r.Charter()
	var absent *register.AbsentError
	if errors.As(err, &absent) {
		return time.UTC, nil
	} else if err != nil {
		return nil, err
	}
	return rules1.Location(c.Charter.TimeZone)
}

func parseSize(text string, have uint64) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, usageError("size %q: want a number of entries", text)
	}
	if n > have {
		return 0, refusal("size %d: the copy has %s", n, register.FormatEntryCount(have)).hint("docket sync brings it to the newest checkpoint")
	}
	return n, nil
}

// parseAt reads an instant, or a civil date, which stands for its first moment in
// the charter's time zone; "" is now.
func parseAt(text string, zone *time.Location) (time.Time, error) {
	if text == "" {
		return time.Now().UTC(), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UTC(), nil
	}
	t, err := time.ParseInLocation(time.DateOnly, text, zone)
	if err != nil {
		return t, usageError("%q: want a date like 2027-06-01 or an instant like 2027-06-01T00:00:00Z", text)
	}
	return t.UTC(), nil
}

// queryServer asks the server and prints what it says, which nothing proves: of a list page by
// page, until it ends. path stands below /v1.
func (q *queryFlags) queryServer(c *cobra.Command, path string, query url.Values) error {
	var trust *client.Trust
	if q.trust.dir != "" {
		var err error
		if trust, err = q.trust.open(); err != nil {
			return err
		}
		defer trust.Close()
	}
	server, err := q.trust.connect(trust)
	if err != nil {
		return err
	}
	for name, value := range map[string]string{"at": q.at, "size": q.size} {
		if value != "" {
			query.Set(name, value)
		}
	}
	q.app.logf("UNVERIFIED: this is the word of %s, which nothing here has checked", server.URL())
	for {
		body, err := server.GetUnverified(c.Context(), withQuery("/v1/"+path, query))
		if err != nil {
			return err
		}
		if _, err := record.ParseJSON(body); err != nil { // indented, what is deep is long without end
			return refusal("the server's answer: %w", err)
		}
		var text bytes.Buffer
		if err := json.Indent(&text, body, "", "  "); err != nil {
			return refusal("the server's answer is no JSON: %w", err)
		}
		q.app.printf("%s\n", bytes.TrimSpace(text.Bytes()))
		var list struct {
			Next string            `json:"next"`
			More map[string]string `json:"more"`
		}
		if json.Unmarshal(body, &list) != nil {
			list.Next = "" // no list, or none of ours
		}
		for _, name := range slices.Sorted(maps.Keys(list.More)) {
			q.app.logf("there is more: %s is read whole at %s", printable(name), printable(list.More[name]))
		}
		if list.Next == "" || list.Next == query.Get("after") {
			return nil
		}
		query.Set("after", list.Next)
	}
}

// withQuery is a path with these parameters beside those that it has.
func withQuery(path string, query url.Values) string {
	switch {
	case len(query) == 0:
		return path
	case strings.Contains(path, "?"):
		return path + "&" + query.Encode()
	}
	return path + "?" + query.Encode()
}

// oneOf checks a word from a closed set; "" passes.
func oneOf[T ~string](flag, word string, words []T) (T, error) {
	if word == "" {
		return "", nil
	}
	all := make([]string, len(words))
	for i, w := range words {
		if string(w) == word {
			return w, nil
		}
		all[i] = string(w)
	}
	return "", usageError("--%s %q%s", flag, word, record.DidYouMean(word, all)).hint("one of %s", strings.Join(all, ", "))
}

// splitIdentifier splits scheme:value.
func splitIdentifier(text string) (scheme, value string, ok bool) {
	scheme, value, found := strings.Cut(text, ":")
	if !found || value == "" {
		return "", "", false
	}
	for _, s := range register.IdentifierSchemes {
		if strings.EqualFold(s, scheme) {
			return s, value, true
		}
	}
	return "", "", false
}
