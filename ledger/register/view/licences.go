package view

import (
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// LicenceStatus is what a licence is on one day.
type LicenceStatus string

const (
	LicenceAnnounced LicenceStatus = "announced" // its first day is still to come
	LicenceActive    LicenceStatus = "active"
	LicenceExpired   LicenceStatus = "expired" // its last day is over
	LicenceRevoked   LicenceStatus = "revoked"
)

// LicenceStatuses are all of them, for parsers of filters.
var LicenceStatuses = []LicenceStatus{LicenceAnnounced, LicenceActive, LicenceExpired, LicenceRevoked}

// Licence is a licence as it stands at one instant, by its dates with all that is known to
// the view.
type Licence struct {
	// Error says that it was published in error, before anything else is said.
	Error   bool                     `json:"publishedInError,omitempty"`
	Thread  record.Thread            `json:"thread"`
	Status  LicenceStatus            `json:"status"`
	Current record.Licence           `json:"licence"`
	Revoked *register.LifecycleEvent `json:"revoked,omitempty"`
	Records []record.ID              `json:"records"` // the licence, and what revoked it
}

// Summary is what it permits whom, in a line.
func (l Licence) Summary() string { return licenceSummary(&l.Current) }

// Licence finds a licence by its thread, as it stands at an instant.
func (v *View) Licence(thread record.Thread, at time.Time) (Licence, error) {
	row, err := v.rows.Thread(thread)
	if err != nil {
		return Licence{}, err
	}
	if row == nil || thread.Family() != record.FamilyLicence {
		return Licence{}, v.absentWithHint(thread)
	}
	return licenceOf(row, v.asOf(at).today()), nil
}

// LicenceFilter chooses licences; what is empty chooses all.
type LicenceFilter struct {
	Status       LicenceStatus // at the instant asked for
	Holder       string        // a general licence is everybody's, and has none
	Designation  string        // that it names
	Jurisdiction string        // of a designation that it names: its target's country, as [register.Country] gives it
	After        string        // thread: go on after it
}

// Licences yields the licences that a filter chooses, by thread, as they stand at an instant,
// until yield returns false. A [PartialListError] names the thread after which it goes on.
func (v *View) Licences(f LicenceFilter, at time.Time, yield func(Licence) bool) error {
	today := v.asOf(at).today()
	p := listProgress{startedAfter: f.After, passed: f.After}
	each := func(visit func(*threadHistory) (bool, error)) error {
		return v.eachThread(record.FamilyLicence.Prefix(), f.After, visit)
	}
	if f.Designation != "" {
		threads, few, err := v.licencesOf(record.DesignationThread(f.Designation), f.After)
		if err != nil {
			return err
		}
		if few {
			each = func(visit func(*threadHistory) (bool, error)) error {
				for _, thread := range threads {
					if more, err := visit(&threadHistory{rows: v.rows, thread: thread}); err != nil || !more {
						return err
					}
				}
				return nil
			}
		}
	}
	return p.partial(each(func(h *threadHistory) (bool, error) {
		p.current = string(h.thread)
		row, err := h.newest()
		if err != nil {
			return false, err
		}
		l := licenceOf(row, today)
		chosen, err := v.choosesLicence(f, l)
		if err != nil {
			return false, err
		}
		more := !chosen || yield(l)
		p.passed = p.current
		return more, nil
	}))
}

// licencesOf are the licences that name a designation and sort after another, in order; few is false where a part of
// the question's work does not find them all.
func (v *View) licencesOf(designation record.Thread, after string) (threads []record.Thread, few bool, err error) {
	var cut []string
	err = v.partialQuery("licences", &cut, func(v *View) error {
		granted, err := v.rows.LicencesOf(designation)
		for _, index := range granted {
			var r register.RecordRow
			if r, err = v.rows.Record(index); err != nil {
				break
			}
			if string(r.Thread) > after {
				threads = append(threads, r.Thread)
			}
		}
		return err
	})
	slices.Sort(threads)
	return threads, len(cut) == 0, err
}

// choosesLicence reports whether a filter chooses a licence.
func (v *View) choosesLicence(f LicenceFilter, l Licence) (bool, error) {
	c := l.Current
	switch {
	case f.Status != "" && f.Status != l.Status, f.Holder != "" && f.Holder != c.Holder, f.Designation != "" && !slices.Contains(c.Designations, f.Designation):
		return false, nil
	case f.Jurisdiction == "":
		return true, nil
	}
	for _, name := range c.Designations {
		row, err := v.rows.Thread(record.DesignationThread(name))
		if err != nil {
			return false, err
		}
		if row == nil {
			continue // of a history with gaps
		}
		if row.State.(*register.DesignationRow).Current.Target.Country == f.Jurisdiction {
			return true, nil
		}
	}
	return false, nil
}

// licenceOf is the licence whose state a version has, on a day.
func licenceOf(row *register.ThreadRow, today record.Date) Licence {
	s := row.State.(*register.LicenceRow)
	l := Licence{Thread: row.Thread, Status: LicenceActive, Current: s.Licence, Revoked: row.Event(), Records: []record.ID{s.Granted.ID}}
	if s.Revoked != nil {
		l.Records, l.Error = append(l.Records, s.Revoked.ID), s.Revoked.Cause == causeError
	}
	switch {
	case s.Revoked != nil && !today.Before(s.Revoked.EffectiveOn):
		l.Status = LicenceRevoked
	case today.After(s.Until):
		l.Status = LicenceExpired
	case today.Before(s.From):
		l.Status = LicenceAnnounced
	}
	return l
}
