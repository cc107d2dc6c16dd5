package register

import (
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// DutyFilter chooses duties; what is empty chooses all.
type DutyFilter struct {
	Party       string
	Designation string // thread, or its name alone
	Kind        DutyKind
	State       DutyState
}

func (f DutyFilter) chooses(d *Duty) bool { return f.State == "" || f.State == d.State }

func (f DutyFilter) wants(k DutyKind) bool { return f.Kind == "" || f.Kind == k }

// Duties yields the duties that a filter chooses, as they stand at an instant:
// those that come from designations, by designation and party, then those to
// certify, by party; until yield returns false. A party or a designation that the
// view does not know is an [AbsentError]: nobody knows what it owes.
func (v *View) Duties(f DutyFilter, at time.Time, yield func(Duty) bool) error {
	c := v.clock(at)
	providers, err := v.providers(f, c)
	if err != nil {
		return err
	}
	var about *history // the one designation asked about
	if f.Designation != "" {
		if about, err = v.designation(f.Designation); err != nil {
			return err
		}
	}
	if len(providers) == 0 {
		return nil
	}
	stopped := false
	choose := func(d *Duty) bool {
		if d != nil && f.chooses(d) {
			stopped = stopped || !yield(*d)
		}
		return !stopped
	}
	if f.wants(DutyRespond) || f.wants(DutyConclude) {
		each := func(h *history) (bool, error) { return v.designationDuties(h, f, c, providers, choose) }
		if about == nil {
			err = v.histories("designation/", "", each)
		} else {
			_, err = each(about)
		}
		if err != nil || stopped {
			return err
		}
	}
	if about != nil || !f.wants(DutyCertify) {
		return nil
	}
	return v.certifyDuties(c, providers, choose)
}

// providers are those enrolled by the instant that a filter asks about, by ID.
func (v *View) providers(f DutyFilter, c clock) ([]*PartyRow, error) {
	var list []*PartyRow
	add := func(row *ThreadRow) bool {
		if p := row.State.(*PartyRow); p.Has(record.RoleProvider) && c.passed(p.Enrolled) {
			list = append(list, p)
		}
		return true
	}
	if f.Party == "" {
		return list, v.r.threadsOf("party/", v.size, add)
	}
	row, err := v.r.newest("party/"+f.Party, v.size)
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, v.unknown("party", f.Party)
	}
	add(row)
	return list, nil
}

// designationDuties visits the duties that come from one designation.
func (v *View) designationDuties(h *history, f DutyFilter, c clock, providers []*PartyRow, visit func(*Duty) bool) (more bool, err error) {
	row, err := h.life(c)
	if err != nil || row == nil || !c.passed(row.Opened) {
		return true, err
	}
	row, err = h.asOf(row, c)
	if err != nil {
		return false, err
	}
	answers, err := v.answers(h.thread, row, c, f.Party)
	if err != nil || len(row.Openings) == 0 && len(answers) == 0 {
		return true, err
	}
	for _, p := range providers {
		if f.wants(DutyRespond) && !visit(c.respond(h.thread, row, p, answers[p.ID])) {
			return false, nil
		}
		if f.wants(DutyConclude) && !visit(c.conclude(h.thread, row, p, answers[p.ID])) {
			return false, nil
		}
	}
	return true, nil
}

// asOf is the designation as duties see it at an instant: of what opened, paused and
// ended it that which had been admitted by then, with everything known of its terms. An
// opening's due date is that of the newest version before the next one: a deadline
// amended later holds for earlier instants too.
func (h *history) asOf(row *DesignationRow, c clock) (*DesignationRow, error) {
	then := *row
	then.Openings, then.Events = nil, slices.DeleteFunc(slices.Clone(row.Events), func(e Event) bool { return !c.passed(e.Step) })
	for i, o := range row.Openings {
		if !c.passed(o.Step) {
			break
		}
		terms := row
		if i+1 < len(row.Openings) {
			before, err := h.below(row.Openings[i+1].Index)
			if err != nil {
				return nil, err
			}
			terms = before.State.(*DesignationRow)
		}
		then.Openings = append(then.Openings, terms.asked(o))
	}
	return &then, nil
}

// asked is an opening of the duty to respond with the day that this version gives it,
// zero where an amendment took it back.
func (d *DesignationRow) asked(o Opening) Opening {
	o.ResponseDue, o.Amended = record.Date{}, d.Amended
	if d.Current.ResponseDue != nil {
		o.ResponseDue = *d.Current.ResponseDue
	}
	return o
}

// answers are the responses to one life of a designation admitted by an instant,
// by party, oldest first; with a party, that one's alone.
func (v *View) answers(thread string, row *DesignationRow, c clock, party string) (map[string][]answer, error) {
	prefix := "response/" + strings.TrimPrefix(thread, "designation/") + "/"
	if party != "" {
		prefix += party + "\x00"
	}
	byParty := make(map[string][]answer)
	err := v.histories(prefix, "", func(h *history) (bool, error) {
		party := h.thread[strings.LastIndexByte(h.thread, '/')+1:]
		for _, x := range slices.Backward(h.versions) {
			if x.index < row.Opened.Index || x.admitted().After(c.at) {
				continue
			}
			version, err := h.below(x.index + 1)
			if err != nil {
				return false, err
			}
			byParty[party] = append(byParty[party], answer{Step{x.index, x.id(), x.admitted()}, version.State.(*ResponseRow)})
		}
		return true, nil
	})
	return byParty, err
}

// certifyDuties visits the duties to certify.
func (v *View) certifyDuties(c clock, providers []*PartyRow, visit func(*Duty) bool) error {
	for _, p := range providers {
		h, err := v.history("cip/" + p.ID)
		if err != nil {
			return err
		}
		var filed []certificate
		if h != nil {
			for _, x := range slices.Backward(h.versions) {
				if x.admitted().After(c.at) {
					continue
				}
				version, err := h.below(x.index + 1)
				if err != nil {
					return err
				}
				filed = append(filed, certificate{Step{x.index, x.id(), x.admitted()}, version.State.(*CertificationRow)})
			}
		}
		more := true
		c.certify(p, filed, func(d Duty) bool {
			more = visit(&d)
			return more
		})
		if !more {
			return nil
		}
	}
	return nil
}
