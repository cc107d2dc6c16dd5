package main

import (
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

func (a *app) search() *cobra.Command {
	var f view.SearchFilter
	c := &cobra.Command{
		Use:   "search WORDS…",
		Short: "Find whom or what is meant, by whatever is known of it, from the replayed copy",
		Long: `Looks for a name or parts of one, an alias, a former name, names like it, in any script; an
identifier (an LEI, a registration number, an ASN with or without AS, a domain or a URL;
SCHEME:VALUE for that alone); a thread, with or without its family, or a party; a record by its
ID, the first 8 digits of it or more, or its index ('#13'): all of these at once.

The first column says how a hit matches, the surest first: identifier (the same), exact (its
whole name), alias, former (a whole name that it bore), part (each word begins a word of what
matched), similar (a name like it, by the score of docket screen). The last columns are what
matched, and the record that it rests on. Whom docket search does not find may be known by
another spelling still: what was compared is printed, and the exit status is 1. Countries and
addresses are not searched: docket list designations --country tells who is where.

With --json it is one object, as the server's GET /v1/register/search gives it: the forms that
were compared, the hits, and how many of each kind, status and country there are.`,
		Example: `  docket search --trust trust kestrel host
  docket search --trust trust AS64496 --json
  docket search --trust trust кестрел --status in-force --at 2027-06-01`,
		Args: cobra.MinimumNArgs(1),
	}
	q := a.queryFlags(c, "limit", "wide").addListFlags(c, "HOW", "STATUS", "THREAD", "NAME", "COUNTRY", "MATCHED", "RECORD")
	c.Flags().StringVar(&f.Kind, "kind", "", joinTexts(view.SearchKinds))
	c.Flags().StringVar(&f.Status, "status", "", joinTexts(view.SearchStatuses()))
	c.Flags().StringVar(&f.Country, "country", "", "a country: its name in English, or its ISO 3166-1 code, of two or three letters")
	c.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(view.SearchKinds, cobra.ShellCompDirectiveNoFileComp))
	c.RegisterFlagCompletionFunc("status", cobra.FixedCompletions(view.SearchStatuses(), cobra.ShellCompDirectiveNoFileComp))
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		if f.Kind, err = oneOf("kind", f.Kind, view.SearchKinds); err != nil {
			return err
		}
		if f.Status, err = oneOf("status", f.Status, view.SearchStatuses()); err != nil {
			return err
		}
		if f.Country != "" {
			if f.Country, err = register.Country(f.Country); err != nil {
				return usageError("--country: %w", err)
			}
		}
		words := strings.Join(args, " ")
		if _, err := view.CleanQuery(words); err != nil {
			return usageError("%w", err)
		}
		if q.remote {
			err := q.queryServer(c, "register/search", queryValues("q", words, "kind", f.Kind, "status", f.Status, "country", f.Country))
			if err == nil && q.foundNone {
				err = refusal("nothing for %q, says the server", words).hint("its answer says what was compared")
			}
			return err
		}
		f.Limit = q.limit
		return q.search(words, f)
	}
	return c
}

// search answers from the copy.
func (q *queryFlags) search(words string, f view.SearchFilter) error {
	r, err := q.open()
	if err != nil {
		return err
	}
	defer r.trust.Close()
	found, err := r.Search(words, f, r.at)
	if err != nil {
		return err
	}
	if q.asJSON {
		tree, err := r.trust.TreeAt(q.trust.context(), r.Size())
		if err != nil {
			return err
		}
		err = q.printJSON(struct {
			AsOf map[string]any `json:"asOf"`
			view.Found
		}{map[string]any{"size": r.Size(), "root": tree.Root.String(), "at": r.at}, found})
		if err != nil {
			return err
		}
		return q.sayCompared(found, f.Kind+f.Status+f.Country != "")
	}
	w := q.newTable()
	for _, h := range found.Hits {
		how := string(h.How)
		if h.Weak {
			how = "weak " + how
		}
		matched := h.Matched
		if matched == h.Name || matched == string(h.Thread) || matched == h.Record.String() {
			matched = "" // it stands there
		}
		printRow(w, how, errorPrefix(h.Error)+h.Status, h.Thread, h.Name, h.Country, matched, h.Record)
	}
	if found.Total == 0 {
		w.rows = nil // a header alone
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return q.sayCompared(found, f.Kind+f.Status+f.Country != "")
}

// shortID is what may be the beginning of a record ID, and is too short to be looked up.
var shortID = regexp.MustCompile(`^[0-9a-fA-F]{4,7}$`)

// sayCompared says what a search leaves open: what is beyond its page and its bounds, and
// where it found nothing, what was compared and what was not. Nothing found is a refusal, as
// of docket show, so that a script can tell it from something by the exit status.
func (q *queryFlags) sayCompared(found view.Found, filtered bool) error {
	if found.Total > len(found.Hits) {
		q.app.logf("the first %d of %d; --limit 0 shows all", len(found.Hits), found.Total)
	}
	for _, word := range found.More {
		q.app.logf("more than were looked at bear %q: add a word to see the others", printable(word))
	}
	if found.Total > 0 {
		return nil
	}
	q.app.logf("compared:")
	for _, form := range found.Compared {
		q.app.logf("  %s", printable(form.Words()))
	}
	country := "COUNTRY"
	if code, err := register.Country(found.Query); err == nil {
		country = code
	}
	q.app.logf("  countries and addresses are not searched: docket list designations --country %s lists who is there", country)
	if shortID.MatchString(found.Query) {
		q.app.logf("  record IDs are looked up by their first 8 digits or more: these are %d", len(found.Query))
	}
	none := refusal("nothing for %q among all %s", found.Query, register.FormatEntryCount(found.Entries))
	if filtered {
		return none.hint("without --kind, --status and --country there may be some")
	}
	return none.hint("another spelling, a part of the name or a number that it bears may find it; docket sync fetches what is newer")
}
