package register

import (
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// Designation is a designation as it stands at one instant, in both meanings: by
// its dates with every correction known to the view, and by what was knowable then.
type Designation struct {
	// Error says that it was published in error, before anything else is said.
	Error      bool     `json:"publishedInError,omitempty"`
	Thread     string   `json:"thread"`
	Status     Status   `json:"status"`   // in force at T, all corrections known
	Knowable   Status   `json:"knowable"` // knowable at T
	KnowableBy Knowable `json:"knowableBy"`

	Name       string         `json:"name"`
	Alias      []record.Alias `json:"alias,omitempty"`
	FormerName []string       `json:"formerName,omitempty"`
	Schema     string         `json:"schema"`
	Measure    string         `json:"measure"`
	Action     string         `json:"action"`
	Country    string         `json:"country,omitempty"`
	Program    []string       `json:"program"`
	Source     *SourceName    `json:"source,omitempty"`

	LEI                string           `json:"lei,omitempty"`
	RegistrationNumber string           `json:"registrationNumber,omitempty"`
	ASN                []int64          `json:"asn,omitempty"`
	Domain             []string         `json:"domain,omitempty"`
	Address            []record.Address `json:"address,omitempty"`

	EffectiveFrom  record.Date  `json:"effectiveFrom"` // of an imported one perhaps its admission date
	EffectiveUntil *record.Date `json:"effectiveUntil,omitempty"`
	ResponseDue    *record.Date `json:"responseDue,omitempty"`

	Record  record.ID   `json:"record"`  // newest on the thread: what the next one follows
	Opened  record.ID   `json:"opened"`  // the designation itself
	Records []record.ID `json:"records"` // from opened on, oldest first
}

// SourceName names an entity of a published list.
type SourceName struct {
	List string `json:"list"`
	ID   string `json:"id"`
}

// DesignationDetail is one designation with its whole thread.
type DesignationDetail struct {
	Designation
	Current record.Designation `json:"designation"` // with every amendment
	Events  []DesignationEvent `json:"events,omitempty"`
	History []Record           `json:"history"` // the whole thread, earlier lives too, oldest first
}

// DesignationEvent is a suspension, a reinstatement or the revocation.
type DesignationEvent struct {
	Record      record.ID    `json:"record"`
	Kind        record.Kind  `json:"kind"`
	EffectiveOn record.Date  `json:"effectiveOn"`
	Until       *record.Date `json:"until,omitempty"`
	Cause       string       `json:"cause,omitempty"`
	Reason      string       `json:"reason"`
}

// DesignationFilter chooses designations; what is empty chooses all.
type DesignationFilter struct {
	Status  Status // at the instant asked for, all corrections known
	Country string // of the target
	Program string
	List    string // imported from it
	Name    string // exact but for what [rules1.NameKey] evens out: name, alias or former name
	Scheme  string // with Value: an identifier, see [View.Identifier]
	Value   string
	After   string // thread: go on after it
}

// Designation finds a designation by its thread ("designation/2026-014", or
// "2026-014" alone), as it stands at an instant.
func (v *View) Designation(thread string, at time.Time) (DesignationDetail, error) {
	h, err := v.designation(thread)
	if err != nil {
		return DesignationDetail{}, err
	}
	m, err := v.moment(at)
	if err != nil {
		return DesignationDetail{}, err
	}
	d, row, err := v.tellDesignation(h, m)
	if err != nil {
		return DesignationDetail{}, err
	}
	detail := DesignationDetail{Designation: d, Current: row.Current}
	for _, e := range row.Events {
		detail.Events = append(detail.Events, DesignationEvent{e.ID, e.Kind, e.EffectiveOn, e.Until, e.Cause, e.Reason})
	}
	detail.History, err = v.recordsOf(h, 0)
	return detail, err
}

// designation is the history of a designation, by its thread or by its name alone.
func (v *View) designation(thread string) (*history, error) {
	name := strings.TrimPrefix(thread, "designation/")
	h, err := v.history("designation/" + name)
	if h == nil && err == nil {
		err = v.unknown("designation", name)
	}
	return h, err
}

// Designations yields the designations that a filter chooses, by thread, as they
// stand at an instant, until yield returns false.
func (v *View) Designations(f DesignationFilter, at time.Time, yield func(Designation) bool) error {
	m, err := v.moment(at)
	if err != nil {
		return err
	}
	each := func(h *history) (bool, error) {
		d, _, err := v.tellDesignation(h, m)
		if err != nil {
			return false, err
		}
		return !f.chooses(&d) || yield(d), nil
	}
	if f.Name == "" && f.Scheme == "" {
		return v.histories("designation/", f.After, each)
	}
	threads, err := v.designationsNamed(f)
	if err != nil {
		return err
	}
	for _, thread := range threads {
		h, err := v.history(thread)
		if err != nil {
			return err
		}
		if more, err := each(h); err != nil || !more {
			return err
		}
	}
	return nil
}

// designationsNamed are the threads after f.After that bear the name and the
// identifier now, sorted.
func (v *View) designationsNamed(f DesignationFilter) ([]string, error) {
	var threads []string
	narrow := func(scheme, value string) error {
		var found []string
		err := v.uses(scheme, value, func(thread string, _ uint64, use IdentifierUse) bool {
			if use != IdentifierGone && strings.HasPrefix(thread, "designation/") && thread > f.After {
				found = append(found, thread)
			}
			return true
		})
		slices.Sort(found)
		if threads != nil {
			found = slices.DeleteFunc(found, func(t string) bool { return !slices.Contains(threads, t) })
		}
		threads = append([]string{}, found...)
		return err
	}
	if f.Name != "" {
		if err := narrow(SchemeName, f.Name); err != nil {
			return nil, err
		}
	}
	if f.Scheme != "" {
		if err := narrow(f.Scheme, f.Value); err != nil {
			return nil, err
		}
	}
	return threads, nil
}

func (f DesignationFilter) chooses(d *Designation) bool {
	return (f.Status == "" || f.Status == d.Status) &&
		(f.Country == "" || f.Country == d.Country) &&
		(f.Program == "" || slices.Contains(d.Program, f.Program)) &&
		(f.List == "" || d.Source != nil && d.Source.List == f.List)
}

// tellDesignation tells a designation from its thread: its newest life, with the
// statuses of the life that the instant falls into.
func (v *View) tellDesignation(h *history, m moment) (Designation, *designationLife, error) {
	newest, err := h.newest()
	if err != nil {
		return Designation{}, nil, err
	}
	row, err := h.lived(newest)
	if err != nil {
		return Designation{}, nil, err
	}
	c, t := &row.Current, &row.Current.Target
	d := Designation{
		Thread: h.thread, Name: t.Name, Alias: t.Alias, Schema: t.Schema,
		Measure: c.Measure, Action: c.Action, Country: t.Country, Program: c.Program,
		LEI: t.LEI, RegistrationNumber: t.RegistrationNumber, ASN: t.ASN, Domain: t.Domain, Address: t.Address,
		EffectiveFrom: row.from(m.now.zone), EffectiveUntil: c.EffectiveUntil, ResponseDue: c.ResponseDue,
		Record: newest.ID, Opened: row.Opened.ID, Records: h.ids(row.Opened.Index),
	}
	if row.Renamed {
		if d.FormerName, err = v.r.formerNames(h.thread, v.size, t.Name); err != nil {
			return Designation{}, nil, err
		}
	}
	if c.Source != nil {
		d.Source = &SourceName{c.Source.List, c.Source.ID}
	}
	if e := row.revocation(); e != nil && e.Cause == causeError {
		d.Error = true
	}
	if d.Status, err = h.status(m.now); err != nil {
		return Designation{}, nil, err
	}
	d.KnowableBy = m.known
	d.Knowable, err = h.known(m.known.Size).status(m.then)
	return d, row, err
}
