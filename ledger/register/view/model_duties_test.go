package view_test

import (
	"slices"
	"strings"
	"time"
)

// asked is a record that opened or re-opened the duty, with the day in the end.
type asked struct {
	entry
	due int
}

// order is what stands of a designation: all its corrections, and what opened the duty.
func (m *model) order(name string, at time.Time) (newest entry, first entry, opened []asked) {
	due := 0
	for _, e := range m.lifeOf(name, at) {
		if e.kind != "designate" && e.kind != "amend" {
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

// lifeOf a designation is what was recorded of its newest life that was admitted by an instant, and of
// the responses to it: what was imported, and delisted, may be designated again.
func (m *model) lifeOf(name string, at time.Time) []entry {
	key := lifeKey{name, at, len(m.log)}
	if life, ok := m.lives[key]; ok {
		return life
	}
	from, to := len(m.log), len(m.log)
	for _, e := range m.log {
		switch {
		case e.order != name || e.kind != "designate":
		case !e.at.After(at) || from == len(m.log):
			from, to = e.index, len(m.log)
		case to == len(m.log):
			to = e.index
		}
	}
	var life []entry
	for _, e := range m.log[from:to] {
		if e.order == name {
			life = append(life, e)
		}
	}
	if m.lives == nil {
		m.lives = make(map[lifeKey][]entry)
	}
	m.lives[key] = life
	return life
}

// lifeKey is what [model.lifeOf] was asked: it is asked again and again, day by day.
type lifeKey struct {
	name string
	at   time.Time
	size int
}

// end of a designation as known at an instant: the first moment of which it is over.
func (m *model) end(name string, at time.Time) (end moment, over bool) {
	newest, _, _ := m.order(name, at)
	if end = (moment{newest.last + 1, -1}); newest.last == 0 {
		end.day = endOfTime
	}
	for _, e := range m.lifeOf(name, at) {
		if e.kind == "revoke" && !e.at.After(at) && e.effective().before(end) {
			end = e.effective()
		}
	}
	return end, end.day <= m.today(at)
}

// endOfTime is a day after all that a test tells of; what is paused there is so for ever.
const endOfTime = 22500

// A paused is whose duty it is, to what: a designation, or "" to certify and to commit to
// the customer log.
type paused struct{ party, name string }

// postponed is a due date with the pauses that are known below an index, 0 as long as it
// falls into one without a last day.
func (m *model) postponed(due int, what paused, at time.Time, below int) int {
	for due != 0 && m.pausedOn(what, at, below, due) {
		day := due
		for ; day < endOfTime && m.pausedOn(what, at, below, day); day++ {
		}
		if day == endOfTime {
			return 0
		}
		due = later(day, m.periods(m.endsPause(what, at, below, day-1)).Response)
	}
	return due
}

// pausedOn says whether a duty is paused on a day: the designation is suspended, or somebody
// has a licence.
func (m *model) pausedOn(what paused, at time.Time, below, day int) bool {
	suspended, _ := m.suspendedOn(what.name, at, below, day)
	return suspended || slices.ContainsFunc(m.log, func(e entry) bool {
		first, last, _ := m.licensed(e, what, at, below)
		return first <= day && day <= last
	})
}

// licensed are the days on which an entry, if it is such a licence, pauses a duty, as known
// below an index, and which record sets the last one.
func (m *model) licensed(e entry, what paused, at time.Time, below int) (first, last, by int) {
	if e.kind != "license" || e.at.After(at) || e.index >= below || e.status != "general" && e.party != what.party {
		return 1, 0, 0
	}
	if what.name == "" && e.status != "adp-exemption" || what.name != "" && !slices.Contains(e.orders, what.name) {
		return 1, 0, 0
	}
	first, last, by = max(e.on, e.day), e.until, e.index
	for _, r := range m.log {
		if r.kind == "unlicense" && r.licence == e.licence && !r.at.After(at) && r.index < below && max(r.on, r.day)-1 < last {
			last, by = max(r.on, r.day)-1, r.index
		}
	}
	return first, last, by
}

// endsPause is the newest record that makes a day the last of a pause.
func (m *model) endsPause(what paused, at time.Time, below, day int) (by int) {
	if suspended, e := m.suspendedOn(what.name, at, below, day); suspended {
		if by = e.index; e.endless || e.until != day { // cut short
			_, cut := m.suspendedOn(what.name, at, below, day+1)
			by = cut.index
		}
	}
	for _, e := range m.log {
		if first, last, ends := m.licensed(e, what, at, below); first <= last && last == day {
			by = max(by, ends)
		}
	}
	return by
}

// suspendedOn says whether a designation is suspended on a day, by which event.
func (m *model) suspendedOn(name string, at time.Time, below, day int) (paused bool, by entry) {
	for _, e := range m.lifeOf(name, at) {
		if (e.kind == "suspend" || e.kind == "reinstate") && !e.at.After(at) && e.index < below &&
			day >= e.on && (e.endless || day <= e.until) {
			paused, by = e.kind == "suspend", e
		}
	}
	return paused, by
}

// owes finds the newest asking that a party owes an answer to, and the day it has.
func (m *model) owes(party, name string, at time.Time) (a asked, due int, owed bool) {
	_, _, opened := m.order(name, at)
	today := m.today(at)
	end, over := m.end(name, at)
	for _, a := range slices.Backward(opened) {
		if a.at.After(at) || a.due == 0 {
			continue
		}
		if s, _ := m.status(party, a.index, a.day); s == "active" {
			return a, a.due, true
		}
		for day := a.day; day <= today; day++ {
			moments := []moment{{day, -1}}
			for _, e := range m.log {
				if e.day == day && !e.at.After(at) {
					moments = append(moments, e.moment())
				}
			}
			for _, now := range moments {
				below := now.index + 1 // what the moment's own record says counts
				if now.index < 0 {
					below = 0
					for _, e := range m.log {
						if e.day < day && !e.at.After(at) {
							below = e.index + 1
						}
					}
				}
				s, by := m.status(party, below, day)
				if !a.moment().before(now) || s != "active" {
					continue
				}
				if over && !now.before(end) {
					break
				}
				return a, max(a.due, later(day, m.periods(by.index).Response)), true
			}
		}
	}
	return asked{}, 0, false
}

// withdrawn is the day from which a party is withdrawn, 0 if it is not.
func (m *model) withdrawn(party string, at time.Time) int {
	for day := m.log[0].day; day <= m.today(at); day++ {
		last := 0
		for _, e := range m.log {
			if !e.at.After(at) {
				last = e.index + 1
			}
		}
		if s, _ := m.status(party, last, day); s == "withdrawn" {
			return day
		}
	}
	return 0
}

// outcome tells a duty of a designation: due is without pauses, 0 for none; met is what met
// it, index 0 for nothing.
func (m *model) outcome(name, party string, opened moment, due int, met entry, at time.Time) string {
	end, over := m.end(name, at)
	if met.index > 0 && (!over || met.moment().before(end)) {
		return spelledMet(m.postponed(due, paused{party, name}, at, met.index), met)
	}
	moved := m.postponed(due, paused{party, name}, at, len(m.log))
	lapsed := over && (moved == 0 || moved >= end.day || !opened.before(end))
	if met.index > 0 && !lapsed {
		return spelledMet(moved, met)
	}
	if gone := m.withdrawn(party, at); gone != 0 && (moved == 0 || gone < moved) {
		return ""
	}
	switch {
	case lapsed:
		return spelled("lapsed", moved)
	case due != 0 && moved == 0:
		return "paused"
	case moved != 0 && m.today(at) > moved:
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
func (m *model) duties(parties, orders []string, at time.Time) (told []string) {
	tell := func(d string, words ...string) {
		if d != "" {
			told = append(told, strings.Join(append(words, d), " "))
		}
	}
	for _, p := range parties {
		var enrolled entry
		for _, e := range m.log {
			if e.kind == "enrol" && e.party == p {
				enrolled = e
			}
		}
		if enrolled.index == 0 || enrolled.at.After(at) {
			continue
		}
		for _, name := range orders {
			_, first, _ := m.order(name, at)
			if first.index == 0 || first.at.After(at) {
				continue
			}
			if a, due, owed := m.owes(p, name, at); owed {
				var met entry
				for _, e := range slices.Backward(m.lifeOf(name, at)) {
					if e.kind == "respond" && e.party == p && !e.at.After(at) && e.about >= a.index {
						met = e
					}
				}
				tell(m.outcome(name, p, a.moment(), due, met, at), p, "respond", name)
			}
			tell(m.conclusion(p, name, at), p, "conclude", name)
		}
		for _, d := range m.certifications(p, enrolled, at) {
			tell(d, p, "certify")
		}
		for _, r := range m.resellers(p) {
			for _, d := range m.reselling(p, r, at) {
				tell(d, p, "reseller", r)
			}
		}
		for _, kind := range []string{"customer-log", "abuse-report"} {
			for _, d := range m.commitments(kind, p, at) {
				tell(d, p, kind)
			}
		}
		for _, run := range []string{"a", "b"} {
			tell(m.trainingRun(run, p, at), p, "ai-training-report", run)
		}
	}
	told = append(told, m.disclosures(at)...)
	slices.Sort(told)
	return told
}

// disclosures are the duties of those whom requests ask, one a request, by what was admitted by
// an instant.
func (m *model) disclosures(at time.Time) (told []string) {
	for _, asked := range m.log {
		if asked.kind != "ask" || asked.status != "requested" || asked.opens || asked.at.After(at) {
			continue
		}
		due, known := asked.due, !asked.sealed
		var challenged, unanswered, withdrawn, answered entry
		for _, e := range m.log {
			switch {
			case e.request != asked.request || e.at.After(at):
			case e.kind == "receipt" && e.status == "answered":
				if answered.index == 0 {
					answered = e
				}
			case e.opens:
				asked.party = e.party
				known, due = true, max(due, later(e.day, m.periods(e.index).Response))
			}
			if e.request == asked.request && !e.at.After(at) {
				switch e.status {
				case "challenged":
					if challenged.index == 0 {
						challenged = e
					}
				case "unanswered":
					unanswered = e
				case "withdrawn":
					withdrawn = e
				}
			}
		}
		if !known {
			continue
		}
		if challenged.index > 0 && challenged.day <= due && unanswered.index == 0 {
			due = 0 // put off
		}
		state := ""
		gone := m.withdrawn(asked.party, at)
		switch {
		case answered.index > 0:
			state = spelledMet(due, answered)
		case gone != 0 && (due == 0 || gone < due):
			continue
		case withdrawn.index > 0:
			state = spelled("lapsed", due)
		case due == 0:
			state = "paused"
		case m.today(at) > due:
			state = spelled("overdue", due)
		default:
			state = spelled("open", due)
		}
		told = append(told, asked.party+" disclose "+asked.request+" "+state)
	}
	return told
}

func (m *model) conclusion(p, name string, at time.Time) string {
	newest, _, opened := m.order(name, at)
	var began, met entry
	by := 0
	for _, e := range m.lifeOf(name, at) {
		if e.kind != "respond" || e.party != p || e.at.After(at) {
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
		by = memberDay(newest.terms, "effectiveFrom")
	}
	return m.outcome(name, p, began.moment(), by, met, at)
}

func (m *model) certifications(p string, enrolled entry, at time.Time) (told []string) {
	due := later(enrolled.day, m.periods(enrolled.index).Certification)
	covered := make(map[int]bool)
	reach, first := 0, 0
	for _, e := range m.log {
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
		told = append(told, spelledMet(m.postponed(due, paused{party: p}, at, e.index), e))
		due = later(max(reach, enrolled.day), m.periods(e.index).Certification)
	}
	return append(told, m.owedBy(p, m.postponed(due, paused{party: p}, at, len(m.log)), at)...)
}

// owedBy tells a duty that nothing met.
func (m *model) owedBy(p string, due int, at time.Time) []string {
	if gone := m.withdrawn(p, at); gone != 0 && gone < due {
		return nil
	}
	if m.today(at) > due {
		return []string{spelled("overdue", due)}
	}
	return []string{spelled("open", due)}
}

// resellers are those of whom a provider spoke.
func (m *model) resellers(p string) (names []string) {
	for _, e := range m.log {
		if e.kind == "resell" && e.party == p && !slices.Contains(names, e.reseller) {
			names = append(names, e.reseller)
		}
	}
	return names
}

// reselling are a provider's duties by one reseller.
func (m *model) reselling(p, reseller string, at time.Time) (told []string) {
	var said []entry
	for _, e := range m.log {
		if e.kind == "resell" && e.party == p && e.reseller == reseller && !e.at.After(at) {
			said = append(said, e)
		}
	}
	verified := 0 // in this life
	for i, e := range said {
		task, due := "", 0
		switch {
		case e.status == "terminated":
			verified = 0
		case e.status == "breach":
			task, due = "terminate ", later(e.day, m.periods(e.index).ResellerBreach)
		case e.status == "active" && e.on > verified:
			verified = e.on
			task, due = "verify ", later(e.on, m.periods(e.index).Certification)
		}
		if task == "" {
			continue
		}
		outcome := ""
		for _, next := range said[i+1:] {
			if next.status == "active" && next.on > e.on && e.status == "active" {
				outcome = spelledMet(due, next)
			}
			if next.status == "terminated" {
				if outcome = spelledMet(due, next); e.status == "active" && next.day <= due {
					outcome = spelled("lapsed", due)
				}
			}
			if outcome != "" {
				told = append(told, task+outcome)
				break
			}
		}
		if outcome == "" {
			for _, owed := range m.owedBy(p, due, at) {
				told = append(told, task+owed)
			}
		}
	}
	return told
}

// commitments are what is filed again and again once a first one was, by the newest
// periodUntil + commitment; to the customer log, later where the party is exempt.
func (m *model) commitments(kind, p string, at time.Time) (told []string) {
	postponed := func(due, below int) int {
		if kind == "customer-log" {
			return m.postponed(due, paused{party: p}, at, below)
		}
		return due
	}
	newest, due := 0, 0
	for _, e := range m.log {
		if e.kind != kind || e.party != p || e.at.After(at) || newest != 0 && e.until <= newest {
			continue
		}
		if newest != 0 {
			told = append(told, spelledMet(postponed(due, e.index), e))
		}
		newest = e.until
		due = later(newest, m.periods(e.index).Commitment)
	}
	if newest == 0 {
		return nil
	}
	return append(told, m.owedBy(p, postponed(due, len(m.log)), at)...)
}

// trainingRun is filed by the earliest knownOn + aiReport, by the first report.
func (m *model) trainingRun(run, p string, at time.Time) string {
	var first, known entry
	for _, e := range m.log {
		if e.kind != "ai-training-report" || e.party != p || e.run != run || e.at.After(at) {
			continue
		}
		if first.index == 0 {
			first = e
		}
		if known.index == 0 || e.until < known.until {
			known = e
		}
	}
	if first.index == 0 {
		return ""
	}
	return spelledMet(later(known.until, m.periods(known.index).AIReport), first)
}
