package register_test

import (
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// An oracle reads RECORDS.md "Duties", "Pauses", "Ends", "Who owes" and "Standing" over a
// plain list of what was admitted, slowly: day by day, in whole days since 1970. It shares
// no code with the register.
type oracle struct {
	log []entry // by index
}

// entry is one admitted record as the oracle sees it. Which fields count, kind says.
type entry struct {
	kind  string // charter, enrol, standing, designate, amend, suspend, reinstate, revoke, respond, certify
	index int
	at    time.Time
	day   int // admission date

	party, order string
	status       string // standing, respond
	on, until    int    // effectiveOn and until of standing and events; a certification's period
	endless      bool   // an event without until
	due          int    // responseDue from here on, 0: none
	reopens      bool
	from, last   int // effectiveFrom and effectiveUntil from here on
	about        int // respond: index
	by           int // respond: windDownBy, 0: none

	zone     *time.Location // charter
	response int            // charter: days
	months   int            // charter: certification
}

// dayOf counts days since 1970.
func dayOf(t time.Time, zone *time.Location) int {
	y, m, d := t.In(zone).Date()
	return int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

func dateOn(day int) record.Date {
	y, m, d := time.Unix(int64(day)*86400, 0).UTC().Date()
	return record.Date{Year: y, Month: m, Day: d}
}

// monthsAfter adds months, and takes the last day of a month that is too short.
func monthsAfter(day, months int) int {
	y, m, d := time.Unix(int64(day)*86400, 0).UTC().Date()
	for {
		t := time.Date(y, m+time.Month(months), d, 0, 0, 0, 0, time.UTC)
		if (int(t.Month())-int(m)-months)%12 == 0 {
			return int(t.Unix() / 86400)
		}
		d--
	}
}

// moment orders what happens: on a day, at a place in the log, or (index −1) before
// anything that is admitted on it.
type moment struct{ day, index int }

func (m moment) before(o moment) bool { return m.day < o.day || m.day == o.day && m.index < o.index }

func (e entry) moment() moment { return moment{e.day, e.index} }

// effective is when an entry with an effectiveOn acts.
func (e entry) effective() moment {
	if e.on > e.day {
		return moment{e.on, -1}
	}
	return e.moment()
}

// charter judges an index: the newest below it.
func (o *oracle) charter(index int) entry {
	c := o.log[0]
	for _, e := range o.log {
		if e.kind == "charter" && e.index < index {
			c = e
		}
	}
	return c
}

// today is the date of an instant, by the newest charter there.
func (o *oracle) today(at time.Time) int {
	c := o.log[0]
	for _, e := range o.log {
		if e.kind == "charter" && !e.at.After(at) {
			c = e
		}
	}
	return dayOf(at, c.zone)
}

// status of a party on a day by the records below an index, and which record says so.
func (o *oracle) status(party string, below, day int) (string, entry) {
	status, by := "none", entry{}
	for _, e := range o.log {
		switch {
		case e.party != party || e.index >= below:
		case e.kind == "enrol":
			status, by = "active", e
		case e.kind == "standing" && e.on <= day:
			status, by = e.status, e
		}
	}
	return status, by
}

// asked is a record that opened or re-opened the duty, with the day in the end.
type asked struct {
	entry
	due int
}

// order is what stands of a designation: all its corrections, and what opened the duty.
func (o *oracle) order(name string) (newest entry, first entry, opened []asked) {
	due := 0
	for _, e := range o.log {
		if e.order != name || e.kind != "designate" && e.kind != "amend" {
			continue
		}
		if e.kind == "designate" {
			first = e
		}
		newest = e
		if e.due != 0 && (e.reopens || due == 0) {
			opened = append(opened, asked{e, e.due})
		} else if len(opened) > 0 && e.due != due {
			opened[len(opened)-1].due = e.due
		}
		due = e.due
	}
	return newest, first, opened
}

// end of a designation as known at an instant: the first moment of which it is over.
func (o *oracle) end(name string, at time.Time) (end moment, over bool) {
	newest, _, _ := o.order(name)
	end = moment{newest.last + 1, -1}
	for _, e := range o.log {
		if e.order == name && e.kind == "revoke" && !e.at.After(at) && e.effective().before(end) {
			end = e.effective()
		}
	}
	return end, end.day <= o.today(at)
}

// endOfTime is a day after all that a test tells of; what is paused there is so for ever.
const endOfTime = 25000

// postponed is a due date with the pauses that are known below an index, 0 as long as it
// falls into one without a last day.
func (o *oracle) postponed(due int, name string, at time.Time, below int) int {
	for due != 0 {
		paused, by := o.suspendedOn(name, at, below, due)
		if !paused {
			return due
		}
		day := due
		for ; paused && day < endOfTime; day++ {
			var next entry
			if paused, next = o.suspendedOn(name, at, below, day); paused || next.index > by.index { // a reinstatement cut it short
				by = next
			}
		}
		if paused {
			return 0
		}
		due = day - 1 + o.charter(by.index).response // day − 1 is the first that is free
	}
	return 0
}

// suspendedOn says whether a designation is suspended on a day, by which event.
func (o *oracle) suspendedOn(name string, at time.Time, below, day int) (paused bool, by entry) {
	for _, e := range o.log {
		if e.order == name && (e.kind == "suspend" || e.kind == "reinstate") && !e.at.After(at) && e.index < below &&
			day >= e.on && (e.endless || day <= e.until) {
			paused, by = e.kind == "suspend", e
		}
	}
	return paused, by
}

// owes finds the newest asking that a party owes an answer to, and the day it has.
func (o *oracle) owes(party, name string, at time.Time) (a asked, due int, owed bool) {
	_, _, opened := o.order(name)
	today := o.today(at)
	end, over := o.end(name, at)
	for _, a := range slices.Backward(opened) {
		if a.at.After(at) || a.due == 0 {
			continue
		}
		if s, _ := o.status(party, a.index, a.day); s == "active" {
			return a, a.due, true
		}
		for day := a.day; day <= today; day++ {
			moments := []moment{{day, -1}}
			for _, e := range o.log {
				if e.day == day && !e.at.After(at) {
					moments = append(moments, e.moment())
				}
			}
			for _, m := range moments {
				below := m.index + 1 // what the moment's own record says counts
				if m.index < 0 {
					below = 0
					for _, e := range o.log {
						if e.day < day && !e.at.After(at) {
							below = e.index + 1
						}
					}
				}
				s, by := o.status(party, below, day)
				if !a.moment().before(m) || s != "active" {
					continue
				}
				if over && !m.before(end) {
					break
				}
				return a, max(a.due, day+o.charter(by.index).response), true
			}
		}
	}
	return asked{}, 0, false
}

// withdrawn is the day from which a party is withdrawn, 0 if it is not.
func (o *oracle) withdrawn(party string, at time.Time) int {
	for day := o.log[0].day; day <= o.today(at); day++ {
		last := 0
		for _, e := range o.log {
			if !e.at.After(at) {
				last = e.index + 1
			}
		}
		if s, _ := o.status(party, last, day); s == "withdrawn" {
			return day
		}
	}
	return 0
}

// outcome tells a duty of a designation: due is without pauses, 0 for none; met is what met
// it, index 0 for nothing.
func (o *oracle) outcome(name, party string, opened moment, due int, met entry, at time.Time) string {
	end, over := o.end(name, at)
	if met.index > 0 && (!over || met.moment().before(end)) {
		return spelledMet(o.postponed(due, name, at, met.index), met)
	}
	moved := o.postponed(due, name, at, len(o.log))
	lapsed := over && (moved == 0 || moved >= end.day || !opened.before(end))
	if met.index > 0 && !lapsed {
		return spelledMet(moved, met)
	}
	if gone := o.withdrawn(party, at); gone != 0 && (moved == 0 || gone < moved) {
		return ""
	}
	switch {
	case lapsed:
		return spelled("lapsed", moved)
	case due != 0 && moved == 0:
		return "paused"
	case moved != 0 && o.today(at) > moved:
		return spelled("overdue", moved)
	}
	return spelled("open", moved)
}

func spelledMet(due int, met entry) string {
	state := "met"
	if due != 0 && met.day > due {
		state = "late"
	}
	return spelled(state, due) + " met " + dateOn(met.day).String()
}

func spelled(state string, due int) string {
	if due != 0 {
		state += " due " + dateOn(due).String()
	}
	return state
}

// duties are all that parties owe at an instant.
func (o *oracle) duties(parties, orders []string, at time.Time) (told []string) {
	tell := func(d string, words ...string) {
		if d != "" {
			told = append(told, strings.Join(append(words, d), " "))
		}
	}
	for _, p := range parties {
		var enrolled entry
		for _, e := range o.log {
			if e.kind == "enrol" && e.party == p {
				enrolled = e
			}
		}
		if enrolled.index == 0 || enrolled.at.After(at) {
			continue
		}
		for _, name := range orders {
			_, first, _ := o.order(name)
			if first.index == 0 || first.at.After(at) {
				continue
			}
			if a, due, owed := o.owes(p, name, at); owed {
				var met entry
				for _, e := range slices.Backward(o.log) {
					if e.kind == "respond" && e.party == p && e.order == name && !e.at.After(at) && e.about >= a.index {
						met = e
					}
				}
				tell(o.outcome(name, p, a.moment(), due, met, at), p, "respond", name)
			}
			tell(o.conclusion(p, name, at), p, "conclude", name)
		}
		for _, d := range o.certifications(p, enrolled, at) {
			tell(d, p, "certify")
		}
	}
	slices.Sort(told)
	return told
}

func (o *oracle) conclusion(p, name string, at time.Time) string {
	newest, _, opened := o.order(name)
	var began, met entry
	by := 0
	for _, e := range o.log {
		if e.kind != "respond" || e.party != p || e.order != name || e.at.After(at) {
			continue
		}
		asks := 0
		for _, a := range opened {
			if a.index < e.index {
				asks = a.index
			}
		}
		switch e.status {
		case "acknowledged", "winding-down":
			if began.index == 0 || met.index > 0 {
				began, met, by = e, entry{}, 0
			}
			if e.by != 0 && (by == 0 || e.by < by) {
				by = e.by
			}
		case "answered":
			began, met = entry{}, entry{}
		default:
			if met.index == 0 && e.about >= asks {
				met = e
			}
		}
	}
	if began.index == 0 {
		return ""
	}
	if by == 0 {
		by = newest.from
	}
	return o.outcome(name, p, began.moment(), by, met, at)
}

func (o *oracle) certifications(p string, enrolled entry, at time.Time) (told []string) {
	due := monthsAfter(enrolled.day, o.charter(enrolled.index).months)
	covered := make(map[int]bool)
	reach, first := 0, 0
	for _, e := range o.log {
		if e.kind != "certify" || e.party != p || e.at.After(at) {
			continue
		}
		for day := e.on; day <= e.until; day++ {
			covered[day] = true
		}
		if first == 0 {
			first = e.until
		}
		far := first
		for day := first; day < endOfTime; day++ {
			if covered[day] {
				far = day
			} else if day >= enrolled.day {
				break // a gap
			}
		}
		if far <= reach {
			continue
		}
		reach = far
		told = append(told, spelledMet(due, e))
		due = monthsAfter(max(reach, enrolled.day), o.charter(e.index).months)
	}
	if gone := o.withdrawn(p, at); gone != 0 && gone < due {
		return told
	}
	if o.today(at) > due {
		return append(told, spelled("overdue", due))
	}
	return append(told, spelled("open", due))
}
