package view

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/screen"
)

// How says in which way a thing matches what was looked for.
type How string

// The ways, the surest first.
const (
	HowIdentifier How = "identifier" // an identifier, a thread, a record ID: the same
	HowExact      How = "exact"      // the name as it is now
	HowAlias      How = "alias"      // a whole alias
	HowFormer     How = "former"     // a name or an identifier that it bore before
	HowPart       How = "part"       // each word begins a word of a name or of an identifier
	HowSimilar    How = "similar"    // a name like it, by the score of screening
)

// Hows are all of them, the surest first.
var Hows = []How{HowIdentifier, HowExact, HowAlias, HowFormer, HowPart, HowSimilar}

// KindRecord is the kind of what was found as a record, by its ID or index. That of any
// other is the family of its thread.
const KindRecord = "record"

// SearchKinds are the kinds of what can be found.
var SearchKinds = []string{
	string(record.FamilyDesignation), string(record.FamilyParty), string(record.FamilyLicence), string(record.FamilyDisclosure),
	string(record.FamilyReseller), string(record.FamilyAssessment), string(record.FamilyResponse), string(record.FamilyCertification),
	string(record.FamilyCustomerLog), string(record.FamilyAbuse), string(record.FamilyAITraining), string(record.FamilyCharter), KindRecord,
}

// Hit is one thing that was found, as it stands at an instant.
type Hit struct {
	Error   bool          `json:"publishedInError,omitempty"`
	Kind    string        `json:"kind"` // the family of its thread, or "record"
	Thread  record.Thread `json:"thread"`
	Name    string        `json:"name,omitempty"`
	Status  string        `json:"status,omitempty"` // of a designation, a party, a licence: at T, all corrections known
	Country string        `json:"country,omitempty"`

	How     How          `json:"how"`
	Scheme  string       `json:"scheme"`          // of what matched: name, thread, record, index, source, website, or an identifier's
	Matched string       `json:"matched"`         // the name or the identifier that did
	Weak    bool         `json:"weak,omitempty"`  // an alias too common to match on alone
	Score   screen.Score `json:"score,omitempty"` // by which equal ways are ranked; of names alone

	Record record.ID `json:"record"` // the newest on the thread, or the record that was looked for
}

// Form is one form in which a question was looked up.
type Form struct {
	Scheme string `json:"scheme"` // what it was compared with
	Value  string `json:"value"`  // as it was compared
	Way    How    `json:"way"`
}

// Words tell it in a line.
func (f Form) Words() string {
	switch {
	case f.Scheme == "words":
		return fmt.Sprintf("names and identifiers with words that begin like each of “%s”", f.Value)
	case f.Scheme == KindRecord && f.Way == HowPart:
		return "record IDs that begin with " + f.Value
	case f.Scheme == KindRecord:
		return "record ID " + f.Value
	case f.Scheme == register.SchemeThread && f.Way == HowSimilar:
		return fmt.Sprintf("threads that differ from “%s” by a slip of the pen", f.Value)
	case f.Scheme == register.SchemeThread:
		return fmt.Sprintf("threads called “%s”, or beginning so", f.Value)
	case f.Scheme == register.SchemeName && f.Way == HowSimilar:
		return fmt.Sprintf("names similar to “%s”, in any script", f.Value)
	case f.Scheme == register.SchemeName:
		return fmt.Sprintf("whole names, aliases and former names: “%s”", f.Value)
	}
	return fmt.Sprintf("%s %s", schemeWords[f.Scheme], f.Value)
}

// schemeWords are what people call identifiers.
var schemeWords = map[string]string{
	register.SchemeLEI: "LEI", "registrationNumber": "registration number", register.SchemeASN: "ASN", register.SchemeDomain: "domain", "index": "index",
}

// SearchStatuses are all that a hit can have: a designation's, a party's, a licence's.
func SearchStatuses() (all []string) {
	for _, s := range Statuses {
		all = append(all, string(s))
	}
	all = append(all, register.StandingActive, "withdrawn")
	slices.Sort(all)
	return slices.Compact(all)
}

// Found is what a search found. Nothing found means that no record among all Entries has
// anything that is like one of the forms Compared; where More is set there is more than what
// was looked at.
type Found struct {
	Query    string       `json:"query"`
	Entries  uint64       `json:"entries"`
	Compared []Form       `json:"compared"`
	Total    int          `json:"total"`          // hits that the filter chooses, on all pages
	More     []string     `json:"more,omitempty"` // words that more things bear than were looked at; "" of work that ended early
	Counts   SearchCounts `json:"counts"`
	Hits     []Hit        `json:"hits"` // of this page
	Next     int          `json:"-"`    // hits up to the end of this page; 0: it is the last
}

// SearchCounts count the hits, each by one member, of those that the filter chooses by the
// others.
type SearchCounts struct {
	Kind    map[string]int `json:"kind"`
	Status  map[string]int `json:"status"`
	Country map[string]int `json:"country"`
}

// SearchFilter chooses hits; what is empty chooses all.
type SearchFilter struct {
	Kind, Status, Country string
	Limit                 int // hits of a page; 0: all
	After                 int // hits of the pages before
}

// add adds a hit, unless a better one of the thread is known.
func (s *search) add(thread record.Thread, h Hit) error {
	row := &register.ThreadRow{Thread: thread}
	if s.hits[string(thread)] == nil {
		var err error
		if row, err = s.v.rows.Thread(thread); err != nil || row == nil {
			return err
		}
	}
	return s.addRow(row, h)
}

// addRow is add of a thread whose newest version is at hand.
func (s *search) addRow(row *register.ThreadRow, h Hit) error {
	thread := row.Thread
	if h.Scheme == register.SchemeName && h.Score == 0 {
		h.Score = screen.Compare(screen.Query{Name: s.text}, &screen.Subject{Names: []screen.Name{{Text: h.Matched, Use: screen.Current}}}).Score
	}
	if old := s.hits[string(thread)]; old != nil {
		asWritten := old.How == h.How && old.Scheme == h.Scheme && old.Matched == s.text
		if compareWays(&h, old) < 0 || asWritten {
			old.How, old.Scheme, old.Matched, old.Weak, old.Score = h.How, h.Scheme, h.Matched, h.Weak, h.Score
		}
		return nil
	}
	history := &threadHistory{rows: s.v.rows, thread: thread, newestRow: row}
	h.Kind, h.Thread, h.Record = string(thread.Family()), thread, row.ID
	h.Name, h.Country, _ = describe(row)
	if s.standing != nil {
		if err := s.say(&h, history, row, s.standing.current); err != nil {
			return err
		}
	}
	s.hits[string(thread)] = &h
	return nil
}

// say tells how a hit stands.
func (s *search) say(h *Hit, history *threadHistory, row *register.ThreadRow, c asOf) (err error) {
	switch st := row.State.(type) {
	case *register.DesignationRow:
		status, err := history.status(c)
		if err != nil {
			return err
		}
		h.Status, h.Error = string(status), st.Revoked != nil && st.Revoked.Cause == causeError
	case *register.PartyRow:
		h.Status, err = history.standing(row, c)
	case *register.LicenceRow:
		l := licenceOf(row, c.today())
		h.Status, h.Error = string(l.Status), l.Error
	}
	return err
}

// compareWays orders two ways in which one thing matches, the surer first.
func compareWays(a, b *Hit) int {
	weak := func(h *Hit) int {
		if h.Weak {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(slices.Index(Hows, a.How), slices.Index(Hows, b.How)),
		cmp.Compare(weak(a), weak(b)),
		cmp.Compare(b.Score, a.Score),
		cmp.Compare(a.Scheme, b.Scheme),
	)
}

// answer orders, filters, counts and cuts.
func (s *search) answer(f SearchFilter) Found {
	all := slices.SortedFunc(maps.Values(s.hits), func(a, b *Hit) int {
		return cmp.Or(
			compareWays(a, b),
			cmp.Compare(slices.Index(SearchKinds, a.Kind), slices.Index(SearchKinds, b.Kind)),
			cmp.Compare(a.Thread, b.Thread),
			cmp.Compare(a.Record.String(), b.Record.String()),
		)
	})
	found := &s.found
	found.Counts = SearchCounts{Kind: map[string]int{}, Status: map[string]int{}, Country: map[string]int{}}
	for _, h := range all {
		kind, status, country := f.Kind == "" || f.Kind == h.Kind, f.Status == "" || f.Status == h.Status, f.Country == "" || f.Country == h.Country
		if status && country {
			found.Counts.Kind[h.Kind]++
		}
		if kind && country && h.Status != "" {
			found.Counts.Status[h.Status]++
		}
		if kind && status && h.Country != "" {
			found.Counts.Country[h.Country]++
		}
		if !kind || !status || !country {
			continue
		}
		if found.Total++; found.Total <= f.After {
			continue
		}
		if f.Limit > 0 && len(found.Hits) == f.Limit {
			found.Next = f.After + f.Limit
			continue
		}
		found.Hits = append(found.Hits, *h)
	}
	return *found
}

// describe is what a thing is called and where it is, and whether it had other names.
func describe(row *register.ThreadRow) (name, country string, renamed bool) {
	switch st := row.State.(type) {
	case *register.PartyRow:
		return st.LegalName, st.Country, st.Renamed
	case *register.DesignationRow:
		return st.Current.Target.Name, st.Current.Target.Country, st.Renamed
	case *register.LicenceRow:
		return cmp.Or(st.Holder, "everybody"), "", false
	}
	return "", "", false
}
