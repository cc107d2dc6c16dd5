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
func (v *View) providers(f DutyFilter, c clock) ([]*partyLife, error) {
	var list []*partyLife
	add := func(h *history) (bool, error) {
		row, err := h.newest()
		if err != nil {
			return false, err
		}
		if p := row.State.(*PartyRow); !p.Has(record.RoleProvider) || !c.passed(p.Enrolled) {
			return true, nil
		}
		p, err := h.party(row)
		list = append(list, p)
		return err == nil, err
	}
	if f.Party == "" {
		err := v.histories("party/", "", add)
		return list, err
	}
	h, err := v.history("party/" + f.Party)
	if err != nil {
		return nil, err
	}
	if h == nil {
		return nil, v.unknown("party", f.Party)
	}
	_, err = add(h)
	return list, err
}

// designationDuties visits the duties that come from one designation.
func (v *View) designationDuties(h *history, f DutyFilter, c clock, providers []*partyLife, visit func(*Duty) bool) (more bool, err error) {
	row, err := h.life(c)
	if err != nil || row == nil || !c.passed(row.Opened) {
		return true, err
	}
	asked, err := h.asked(row, c)
	if err != nil {
		return false, err
	}
	answers, err := v.answers(h.thread, row, c, f.Party)
	if err != nil || asked == nil && len(answers) == 0 {
		return true, err
	}
	for _, p := range providers {
		if asked != nil && f.wants(DutyRespond) && !visit(c.respond(h.thread, row, *asked, p, answers[p.ID])) {
			return false, nil
		}
		if f.wants(DutyConclude) && !visit(c.conclude(h.thread, row, p, answers[p.ID])) {
			return false, nil
		}
	}
	return true, nil
}

// asked is the newest record that had opened or re-opened the duty to respond by
// an instant, nil if none had. Its due date is that of the newest version before
// the next one re-opened it: a deadline amended later holds for earlier instants
// too.
func (h *history) asked(row *designationLife, c clock) (*asking, error) {
	opened := row.Openings
	if len(opened) == 0 || opened[0].Index != row.Opened.Index {
		opened = append([]Opening{{Step: row.Opened}}, opened...) // a due date may come by correction
	}
	last := -1
	for i := range opened {
		if c.passed(opened[i].Step) {
			last = i
		}
	}
	if last < 0 {
		return nil, nil
	}
	if last+1 < len(opened) {
		before, err := h.below(opened[last+1].Index)
		if err != nil {
			return nil, err
		}
		row = before.State.(*DesignationRow).ahead()
	}
	if row.Current.ResponseDue == nil {
		return nil, nil
	}
	return &asking{Step: opened[last].Step, due: *row.Current.ResponseDue, amended: row.Amended}, nil
}

// answers are the responses to one life of a designation admitted by an instant,
// by party, oldest first; with a party, that one's alone.
func (v *View) answers(thread string, row *designationLife, c clock, party string) (map[string][]answer, error) {
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
func (v *View) certifyDuties(c clock, providers []*partyLife, visit func(*Duty) bool) error {
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
		for _, d := range c.certify(p, filed) {
			if !visit(&d) {
				return nil
			}
		}
	}
	return nil
}
