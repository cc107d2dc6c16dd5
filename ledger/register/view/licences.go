package view

import (
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
	s, today := row.State.(*register.LicenceRow), v.asOf(at).today()
	l := Licence{Thread: thread, Status: LicenceActive, Current: s.Licence, Revoked: row.Event(), Records: []record.ID{s.Granted.ID}}
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
	return l, nil
}
