package view

import (
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// Designation is a designation as it stands at one instant, in both meanings: by
// its dates with every correction known to the view, and by what was knowable then.
type Designation struct {
	// Error says that it was published in error, before anything else is said.
	Error      bool          `json:"publishedInError,omitempty"`
	Thread     record.Thread `json:"thread"`
	Status     Status        `json:"status"`   // in force at T, all corrections known
	Knowable   Status        `json:"knowable"` // knowable at T
	KnowableBy Knowable      `json:"knowableBy"`

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
	Records []record.ID `json:"records"` // opened, and the newest of its life: at most 16, oldest first

	// Cut names the members that show less than there is. The thread's records have it all.
	Cut []string `json:"cut,omitempty"`
}

// SourceName names an entity of a published list.
type SourceName struct {
	List string `json:"list"`
	ID   string `json:"id"`
}

// WholeDesignation is a designation with all that its records say, as it stands now.
type WholeDesignation struct {
	Designation
	Current record.Designation       `json:"designation"` // with every amendment
	Revoked *register.LifecycleEvent `json:"revoked,omitempty"`
}

// DesignationDetail is one designation with its thread, or as much of it as one answer
// shows (Cut).
type DesignationDetail struct {
	Designation
	Current record.Designation        `json:"designation"` // with every amendment
	Events  []register.LifecycleEvent `json:"events,omitempty"`
	History []register.RecordRow      `json:"history"` // the thread, earlier lives too, oldest first: the first 100
	Board   Board                     `json:"board"`

	// Life is the life that the instant falls into, day by day; Amendments are the newest ten of the newest life,
	// oldest first.
	Life       []StatusSpan `json:"life,omitempty"`
	Amendments []Amendment  `json:"amendments,omitempty"`
}

// MaxListItems is how many items of each list of its own an answer about one thing shows;
// what it cuts is a list to ask for by itself.
const MaxListItems = 100

// maxFormerNames is how many former names an answer shows.
const maxFormerNames = 16

// DesignationFilter chooses designations; what is empty chooses all.
type DesignationFilter struct {
	Status  Status // at the instant asked for, all corrections known
	Country string // of the target, as [Country] gives it
	Program string
	List    string // imported from it
	Name    string // exact but for what [rules1.NameKey] evens out: name, alias or former name
	Scheme  string // with Value: an identifier, see [View.Identifier]
	Value   string
	After   string // thread: go on after it
}

// DesignationSummary finds a designation by its thread, as it stands at an instant.
func (v *View) DesignationSummary(thread record.Thread, at time.Time) (Designation, error) {
	_, d, _, err := v.designationAt(thread, at)
	return d, err
}

func (v *View) designationAt(thread record.Thread, at time.Time) (h *threadHistory, d Designation, row *register.DesignationRow, err error) {
	if h, err = v.designationHistory(thread); err != nil {
		return nil, Designation{}, nil, err
	}
	m, err := v.momentAt(at)
	if err != nil {
		return nil, Designation{}, nil, err
	}
	d, row, err = v.viewDesignation(h, m)
	return h, d, row, err
}

// Designation is [View.DesignationSummary] with its thread and its board.
func (v *View) Designation(thread record.Thread, at time.Time) (DesignationDetail, error) {
	h, d, row, err := v.designationAt(thread, at)
	if err != nil {
		return DesignationDetail{}, err
	}
	detail := DesignationDetail{Designation: d, Current: row.Current}
	if detail.Events, err = h.lifecycleEvents(h.newestRow, &detail.Cut); err != nil {
		return DesignationDetail{}, err
	}
	if detail.History, err = v.firstRecords(RecordFilter{Thread: h.thread}, "history", &detail.Cut); err != nil {
		return DesignationDetail{}, err
	}
	if detail.Board, err = v.board(h, at, &detail.Cut); err != nil {
		return DesignationDetail{}, err
	}
	if detail.Life, err = v.life(h, at, &detail.Cut); err != nil {
		return DesignationDetail{}, err
	}
	detail.Amendments, err = v.amendments(h, row.Opened.Index, &detail.Cut)
	return detail, err
}

// lifecycleEvents are the newest of the designation's life, and those that decide the days ahead.
func (h *threadHistory) lifecycleEvents(newest *register.ThreadRow, cut *[]string) (list []register.LifecycleEvent, err error) {
	row := newest.State.(*register.DesignationRow)
	var ahead []register.RecordRef
	for _, e := range row.Ahead {
		ahead = append(ahead, e.RecordRef)
	}
	err = h.latestTransitions(newest, row.Opened.Index, ahead, "events", cut,
		func(row *register.ThreadRow) bool { return row.Event() != nil },
		func(row *register.ThreadRow) { list = append(list, *row.Event()) })
	return list, err
}

// firstRecords are the first records that a filter chooses, as many as an answer shows of a list
// that it has by the way.
func (v *View) firstRecords(f RecordFilter, name string, cut *[]string) ([]register.RecordRow, error) {
	list := []register.RecordRow{}
	err := v.partialQuery(name, cut, func(v *View) error {
		return v.Records(f, func(r register.RecordRow) bool {
			if len(list) == MaxListItems {
				*cut = append(*cut, name)
				return false
			}
			list = append(list, r)
			return true
		})
	})
	return list, err
}

// designationHistory is the history of a designation, an [AbsentError] where there is none.
func (v *View) designationHistory(thread record.Thread) (*threadHistory, error) {
	if thread.Family() != record.FamilyDesignation {
		return nil, v.absentError("designation %s", thread)
	}
	h, err := v.threadHistory(thread)
	if h == nil && err == nil {
		err = v.absentWithHint(thread)
	}
	return h, err
}

// Designations yields the designations that a filter chooses, by thread, as they
// stand at an instant, until yield returns false. A [PartialListError] names the thread after
// which it goes on.
func (v *View) Designations(f DesignationFilter, at time.Time, yield func(Designation) bool) error {
	return v.designations(f, at, func(d Designation, _ *register.DesignationRow) bool { return yield(d) })
}

func (v *View) designations(f DesignationFilter, at time.Time, yield func(Designation, *register.DesignationRow) bool) error {
	m, err := v.momentAt(at)
	if err != nil {
		return err
	}
	p := listProgress{startedAfter: f.After, passed: f.After}
	return p.partial(v.matchingDesignations(f, func(h *threadHistory) (bool, error) {
		p.current = string(h.thread)
		d, row, err := v.viewDesignation(h, m)
		if err != nil {
			return false, err
		}
		more := !f.matches(&d) || yield(d, row)
		p.passed = string(h.thread)
		return more, nil
	}, &p))
}

// WholeDesignations is [View.Designations] with all that their records say.
func (v *View) WholeDesignations(f DesignationFilter, at time.Time, yield func(WholeDesignation) bool) error {
	return v.designations(f, at, func(d Designation, row *register.DesignationRow) bool {
		return yield(WholeDesignation{Designation: d, Current: row.Current, Revoked: row.Revoked})
	})
}

// matchingDesignations visits those that bear the name and the identifier that a filter chooses
// now, or all.
func (v *View) matchingDesignations(f DesignationFilter, visit func(*threadHistory) (bool, error), p *listProgress) error {
	designations := record.FamilyDesignation.Prefix()
	scheme, value := f.Scheme, f.Value
	switch {
	case f.Name == "" && f.Scheme == "":
		return v.eachThread(designations, f.After, visit)
	case f.Name != "":
		scheme, value = register.SchemeName, f.Name
	}
	return v.rows.IdentifierUses(scheme, value, max(f.After, designations), func(thread record.Thread, _ uint64, use register.IdentifierUse) (bool, error) {
		switch {
		case thread.Family() != record.FamilyDesignation:
			return false, nil // parties come after
		case use == register.IdentifierGone:
			p.passed = string(thread)
			return true, nil
		}
		p.current = string(thread)
		if f.Name != "" && f.Scheme != "" {
			if other, err := v.rows.IdentifierUse(f.Scheme, f.Value, thread); err != nil {
				return false, err
			} else if other == 0 || other == register.IdentifierGone {
				p.passed = string(thread)
				return true, nil
			}
		}
		h, err := v.threadHistory(thread)
		if err != nil {
			return false, err
		}
		return visit(h)
	})
}

// CountByStatus counts the designations by their status at an instant, all corrections known.
func (v *View) CountByStatus(at time.Time) (map[Status]int, error) {
	m, err := v.momentAt(at)
	if err != nil {
		return nil, err
	}
	by := make(map[Status]int)
	err = v.eachThread(record.FamilyDesignation.Prefix(), "", func(h *threadHistory) (bool, error) {
		status, err := h.status(m.current)
		by[status]++
		return true, err
	})
	if err != nil {
		return nil, err
	}
	return by, nil
}

func (f DesignationFilter) matches(d *Designation) bool {
	return (f.Status == "" || f.Status == d.Status) &&
		(f.Country == "" || f.Country == d.Country) &&
		(f.Program == "" || slices.Contains(d.Program, f.Program)) &&
		(f.List == "" || d.Source != nil && d.Source.List == f.List)
}

// viewDesignation tells a designation from its thread: its newest life, with the
// statuses of the life that the instant falls into.
func (v *View) viewDesignation(h *threadHistory, m instantViews) (Designation, *register.DesignationRow, error) {
	newest, err := h.newest()
	if err != nil {
		return Designation{}, nil, err
	}
	row := newest.State.(*register.DesignationRow)
	c, t := &row.Current, &row.Current.Target
	d := Designation{
		Thread: h.thread, Name: t.Name, Alias: t.Alias, Schema: t.Schema,
		Measure: c.Measure, Action: c.Action, Country: t.Country, Program: c.Program,
		LEI: t.LEI, RegistrationNumber: t.RegistrationNumber, ASN: t.ASN, Domain: t.Domain, Address: t.Address,
		EffectiveFrom: firstDay(row, m.current.zoneAt(row.Opened.Index)), EffectiveUntil: c.EffectiveUntil, ResponseDue: c.ResponseDue,
		Record: newest.ID, Opened: row.Opened.ID,
	}
	if d.Records, err = h.recordIDs(row.Opened, &d.Cut); err != nil {
		return Designation{}, nil, err
	}
	if row.Renamed {
		if d.FormerName, err = h.formerNames(t.Name, &d.Cut); err != nil {
			return Designation{}, nil, err
		}
	}
	if c.Source != nil {
		d.Source = &SourceName{c.Source.List, c.Source.ID}
	}
	if e := row.Revoked; e != nil && e.Cause == causeError {
		d.Error = true
	}
	if d.Status, err = h.status(m.current); err != nil {
		return Designation{}, nil, err
	}
	d.KnowableBy = m.extent
	d.Knowable, err = h.upTo(m.extent.Size).status(m.knowable)
	return d, row, err
}
