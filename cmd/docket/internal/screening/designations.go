package screening

import (
	"fmt"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/screen"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// InEffect are the statuses of the designations that a list is screened against by default:
// those that bind, will bind, or may bind again.
var InEffect = []view.Status{view.StatusAnnounced, view.StatusInForce, view.StatusSuspended}

// Ended are those of designations that are over.
var Ended = []view.Status{view.StatusExpired, view.StatusRevoked}

// Standing is a designation as it stands on the day of a report.
type Standing struct {
	Thread record.Thread `json:"thread"`
	Name   string        `json:"name"`
	Error  bool          `json:"publishedInError,omitempty"`
	Status view.Status   `json:"status"`
	From   record.Date   `json:"from"`
	Until  *record.Date  `json:"until,omitempty"`
	Record record.ID     `json:"record"` // newest on the thread
}

// Designations are those that customers are compared with.
type Designations struct {
	view          *view.View
	day           time.Time
	index         *screen.Index
	standings     map[string]*Standing   // by thread
	jurisdictions map[string][]*Standing // by country, in the order of their threads
	countries     map[string]string      // by the names of these jurisdictions

	// Cut are those of which more former names are on the ledger than are compared.
	Cut []record.Thread
}

// NewDesignations reads the designations of a view that have one of these statuses at an
// instant.
func NewDesignations(v *view.View, at time.Time, statuses []view.Status) (*Designations, error) {
	d := &Designations{view: v, day: at, standings: make(map[string]*Standing), jurisdictions: make(map[string][]*Standing), countries: make(map[string]string)}
	wanted := make(map[view.Status]bool)
	for _, s := range statuses {
		wanted[s] = true
	}
	var subjects []screen.Subject
	var failed error
	err := v.Designations(view.DesignationFilter{}, at, func(one view.Designation) bool {
		if !wanted[one.Status] {
			return true
		}
		s := &Standing{
			Thread: one.Thread, Name: one.Name, Error: one.Error, Status: one.Status,
			From: one.EffectiveFrom, Until: one.EffectiveUntil, Record: one.Record,
		}
		d.standings[string(one.Thread)] = s
		if one.Schema == jurisdictionSchema {
			d.jurisdictions[one.Country] = append(d.jurisdictions[one.Country], s)
			d.nameJurisdiction(one)
			return true
		}
		head, err := v.Head(one.Thread)
		if err != nil {
			failed = err
			return false
		}
		for _, list := range one.Cut {
			if list == "formerName" {
				d.Cut = append(d.Cut, one.Thread)
			}
		}
		subjects = append(subjects, subjectOf(one, head.Index))
		return true
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return nil, fmt.Errorf("reading the designations: %w", err)
	}
	d.index = screen.NewIndex(subjects)
	return d, nil
}

// jurisdictionSchema is that of a designation that is met by a country, and by no name.
const jurisdictionSchema = "Jurisdiction"

func subjectOf(d view.Designation, index uint64) screen.Subject {
	s := screen.Subject{
		Thread: string(d.Thread), Record: d.Record.String(), Index: index, Schema: d.Schema,
		Names:   []screen.Name{{Text: d.Name, Use: screen.Current}},
		Country: d.Country, LEI: d.LEI, RegistrationNumber: d.RegistrationNumber, ASN: d.ASN, Domain: d.Domain,
	}
	for _, a := range d.Alias {
		use := screen.Alias
		switch {
		case a.Weak:
			use = screen.Weak
		case a.Type == "fka":
			use = screen.Former
		}
		s.Names = append(s.Names, screen.Name{Text: a.Name, Use: use})
	}
	for _, name := range d.FormerName {
		s.Names = append(s.Names, screen.Name{Text: name, Use: screen.Former})
	}
	return s
}

// Len is how many there are.
func (d *Designations) Len() int { return len(d.standings) }
