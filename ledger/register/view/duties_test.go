package view

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// asOfNoon is noon of a day under a charter that gives 30 days to respond and a year
// to certify.
func asOfNoon(n int) asOf {
	periods := record.Periods{Response: record.Period{Days: 30}, Certification: record.Period{Years: 1}}
	return asOf{instant: noon(n), zone: time.UTC, charters: []register.CharterTerms{{Periods: periods, Zone: time.UTC}}}
}

// ordered is a designation at index 10, admitted on day 0, in force on days 100
// to 300, to be answered by day 40.
func ordered(events ...string) *designationTimeline {
	row := timelineOf(register.DesignationRow{Opened: refAt(10, 0)}, events...)
	row.Current.EffectiveFrom, row.Current.EffectiveUntil, row.Current.ResponseDue = dayOrNone(100), dayOrNone(300), dayOrNone(40)
	row.Openings = []register.DutyOpening{{RecordRef: row.Opened, ResponseDue: dayOrNone(40)}}
	return row
}

// partyWith reads "enrolled 20", "suspended 5", "active 8 on 6" (announced on day 6),
// "withdrawn 30", and with "later" what was admitted after the designation, though
// effective before. Without "enrolled" it was there before everything.
func partyWith(story ...string) *partyTimeline {
	p := &partyTimeline{PartyRow: &register.PartyRow{ID: "acme-cloud", Roles: []record.Role{record.RoleProvider}, Enrolled: refAt(2, -30)}}
	for i, s := range story {
		status, on, _ := strings.Cut(s, " ")
		on, later := strings.CutSuffix(on, " later")
		if status == "enrolled" {
			p.Enrolled = refAt(indexOn(number(on), 0), number(on))
			continue
		}
		on, admitted := admittedOn(on)
		index := indexOn(admitted, 1+i)
		if later {
			index, admitted = uint64(60+i), 0 // after the designation
		}
		p.Standing = append(p.Standing, register.StandingChange{RecordRef: refAt(index, admitted), Status: status, EffectiveOn: day(number(on))})
	}
	return p
}

// responsesOf reads "20 acknowledged": given on day 20 about the newest record then;
// "20 winding-down by 60"; "20 no-relationship about 10". They stand behind all else that
// was admitted on that day.
func responsesOf(row *designationTimeline, c asOf, said ...string) *answers {
	var list []responseAt
	for i, s := range said {
		part := strings.Fields(s)
		a := responseAt{refAt(indexOn(number(part[0]), 5+i), number(part[0])), &register.ResponseRow{}}
		a.Status = part[1]
		for _, o := range row.Openings {
			if o.Admitted.Before(a.Admitted) {
				a.About = o.Index
			}
		}
		if len(row.Openings) == 0 {
			a.About = row.Opened.Index
		}
		for j := 2; j < len(part); j += 2 {
			switch n := number(part[j+1]); part[j] {
			case "by":
				a.WindDownBy = dayOrNone(n)
			case "about":
				a.About = uint64(n)
			}
		}
		if !a.Admitted.After(c.instant) {
			list = append(list, a)
		}
	}
	return summed(row, list)
}

// summed sums up responses as the records of a thread do, each by what was there before it.
func summed(row *designationTimeline, list []responseAt) *answers {
	if len(list) == 0 {
		return nil
	}
	sum := register.Answers{}
	for _, a := range list {
		then := register.DesignationRow{Opened: row.Opened}
		if n, _ := slices.BinarySearchFunc(row.Openings, a.Index, func(o register.DutyOpening, index uint64) int { return cmp.Compare(o.Index, index) }); n > 0 {
			then.Opening = &row.Openings[n-1]
		}
		sum = sum.With(a.ResponseRow, a.Index, &then)
		a.Answers = sum
	}
	return &answers{newest: &list[len(list)-1], below: func(index uint64) (*responseAt, error) {
		n, _ := slices.BinarySearchFunc(list, index, func(a responseAt, index uint64) int { return cmp.Compare(a.Index, index) })
		if n == 0 {
			return nil, nil
		}
		return &list[n-1], nil
	}}
}

// mustSubmit is a duty that was found without a fault.
func mustSubmit(d *Duty, err error) *Duty {
	if err != nil {
		panic(err)
	}
	return d
}

// describeDuty is a duty in few words: "open due 40", "late due 40 met 45", "nothing".
func describeDuty(d *Duty) string {
	if d == nil {
		return "nothing"
	}
	s := string(d.State)
	if d.Due != nil {
		s += " due " + dayNumber(*d.Due)
	}
	if d.MetOn != nil {
		s += " met " + dayNumber(*d.MetOn)
	}
	return s
}

// metByRightResponse holds if a duty that was met says by which of those answers.
func metByRightResponse(d *Duty, answers []string) bool {
	return d == nil || d.MetOn == nil && d.Answer == "" || d.Answer != "" && slices.ContainsFunc(answers, func(a string) bool {
		return strings.HasPrefix(a, dayNumber(*d.MetOn)+" "+d.Answer)
	})
}

func dayNumber(d record.Date) string {
	at := time.Date(d.Year, d.Month, d.Day, 12, 0, 0, 0, time.UTC)
	return fmt.Sprint(int(at.Sub(noon(0)) / (24 * time.Hour)))
}

func TestDutyToRespond(t *testing.T) {
	reopened := func(on, due int) func(*designationTimeline) {
		return func(row *designationTimeline) {
			row.Openings = append(row.Openings, register.DutyOpening{RecordRef: refAt(indexOn(on, 0), on), ResponseDue: dayOrNone(due)})
			row.Current.ResponseDue = dayOrNone(due)
		}
	}
	for _, c := range []struct {
		sentence string
		events   []string
		change   func(*designationTimeline)
		party    []string
		answers  []string
		want     map[int]string // asked on that day
	}{
		{sentence: "each provider active at the designation's admission, by responseDue",
			want: map[int]string{0: "open due 40", 40: "open due 40", 41: "overdue due 40", 290: "overdue due 40"}},
		{sentence: "met by a response", answers: []string{"20 no-relationship"},
			want: map[int]string{19: "open due 40", 20: "met due 40 met 20", 299: "met due 40 met 20"}},
		{sentence: "met on the last day", answers: []string{"40 answered"},
			want: map[int]string{41: "met due 40 met 40"}},
		{sentence: "late: met after the due date", answers: []string{"45 acknowledged", "50 no-relationship"},
			want: map[int]string{44: "overdue due 40", 45: "late due 40 met 45", 60: "late due 40 met 45"}},

		// Who owes.
		{sentence: "suspended at the admission: no duty", party: []string{"suspended -5"}, want: map[int]string{1: "nothing"}},
		{sentence: "suspended and active again before it", party: []string{"suspended -9", "active -5"}, want: map[int]string{1: "open due 40"}},
		{sentence: "suspended later from a day before: the duty stays", party: []string{"suspended -5 later"}, want: map[int]string{1: "open due 40"}},
		{sentence: "a suspension ends no duty", party: []string{"suspended 5"}, want: map[int]string{10: "open due 40", 41: "overdue due 40"}},
		{sentence: "a suspension that was announced before it and begins later", party: []string{"suspended 5 on -9"}, want: map[int]string{10: "open due 40"}},
		{sentence: "suspended and back: it owed it already", party: []string{"suspended 5", "active 30"}, want: map[int]string{4: "open due 40", 10: "open due 40", 30: "open due 40", 41: "overdue due 40"}},
		{sentence: "back to active: max(responseDue, that date + response)", party: []string{"suspended -5", "active 5"}, want: map[int]string{4: "nothing", 5: "open due 40"}},
		{sentence: "back to active: the response period counts", party: []string{"suspended -5", "active 50"}, want: map[int]string{49: "nothing", 50: "open due 80", 81: "overdue due 80"}},
		{sentence: "back, suspended, and back again: since the first time", party: []string{"suspended -5", "active 50", "suspended 55", "active 90"}, want: map[int]string{60: "open due 80", 95: "overdue due 80"}},
		{sentence: "back from an announced day on", party: []string{"suspended -5", "active 50 on 20"}, want: map[int]string{49: "nothing", 50: "open due 80"}},
		{sentence: "announced back, and replaced before that day", party: []string{"suspended -5", "active 50 on 20", "suspended 45 on 30", "active 60"}, want: map[int]string{50: "nothing", 59: "nothing", 60: "open due 90"}},
		{sentence: "announced back, and replaced on that day", party: []string{"suspended -5", "active 50 on 20", "suspended 50"}, want: map[int]string{49: "nothing", 50: "open due 80"}},
		{sentence: "back after it had expired", party: []string{"suspended -5", "active 301"}, want: map[int]string{302: "nothing"}},
		{sentence: "back on its last day", party: []string{"suspended -5", "active 300"}, want: map[int]string{300: "open due 330", 301: "lapsed due 330"}},
		{sentence: "enrolled later: max(responseDue, enrolment date + response)", party: []string{"enrolled 5"},
			want: map[int]string{4: "nothing", 6: "open due 40"}},
		{sentence: "enrolled later: the response period counts", party: []string{"enrolled 20"},
			want: map[int]string{21: "open due 50", 50: "open due 50", 51: "overdue due 50"}},
		{sentence: "enrolled after responseDue", party: []string{"enrolled 200"}, want: map[int]string{200: "open due 230"}},
		{sentence: "enrolled after it had expired", party: []string{"enrolled 301"}, want: map[int]string{302: "nothing"}},
		{sentence: "enrolled after it was revoked", party: []string{"enrolled 60"}, events: []string{"revocation 50 lifted"}, want: map[int]string{61: "nothing"}},
		{sentence: "enrolled before it was revoked from an earlier day", party: []string{"enrolled 60"}, events: []string{"revocation 50 lifted on 100"}, want: map[int]string{61: "open due 90", 91: "overdue due 90", 101: "overdue due 90"}},
		{sentence: "enrolled, then suspended and back: since the enrolment", party: []string{"enrolled 20", "suspended 25", "active 60"}, want: map[int]string{21: "open due 50", 61: "overdue due 50"}},
		{sentence: "withdrawn before the due date owes nothing", party: []string{"withdrawn 39"},
			want: map[int]string{38: "open due 40", 39: "nothing", 60: "nothing"}},
		{sentence: "withdrawn on the due date still owes", party: []string{"withdrawn 40"}, want: map[int]string{40: "open due 40", 60: "overdue due 40"}},
		{sentence: "a withdrawal that was announced and replaced", party: []string{"withdrawn 30 on 10", "active 25 on 20"}, want: map[int]string{41: "overdue due 40"}},
		{sentence: "what was met stays met", party: []string{"withdrawn 30"}, answers: []string{"20 no-relationship"}, want: map[int]string{60: "met due 40 met 20"}},

		// Re-opened.
		{sentence: "re-opened: met by the newest record that re-opened it, or a later one", change: reopened(30, 70), answers: []string{"20 no-relationship"},
			want: map[int]string{29: "met due 40 met 20", 30: "open due 70", 71: "overdue due 70"}},
		{sentence: "answered anew", change: reopened(30, 70), answers: []string{"20 no-relationship", "50 no-relationship"},
			want: map[int]string{25: "met due 40 met 20", 49: "open due 70", 50: "met due 70 met 50"}},
		{sentence: "an older subject meets nothing", change: reopened(30, 70), answers: []string{"50 no-relationship about 10"},
			want: map[int]string{50: "open due 70"}},
		{sentence: "any later record of the thread", change: reopened(30, 70), answers: []string{"50 no-relationship about 420"},
			want: map[int]string{50: "met due 70 met 50"}},
		{sentence: "suspended at the re-opening: what was asked before stays, until it is active again", change: reopened(30, 70), party: []string{"suspended 20", "active 60"},
			want: map[int]string{35: "open due 40", 41: "overdue due 40", 59: "overdue due 40", 60: "open due 90"}},
		{sentence: "suspended at the re-opening, and answered before", change: reopened(30, 70), party: []string{"suspended 20", "active 60"}, answers: []string{"10 no-relationship"},
			want: map[int]string{35: "met due 40 met 10", 60: "open due 90"}},
		{sentence: "suspended at the re-opening, and answered all the same", change: reopened(30, 70), party: []string{"suspended 20", "active 60"}, answers: []string{"45 no-relationship"},
			want: map[int]string{44: "overdue due 40", 45: "late due 40 met 45", 60: "met due 90 met 45"}},
		{sentence: "suspended at the designation, active at the re-opening", change: reopened(30, 70), party: []string{"suspended -5", "active 20"},
			want: map[int]string{19: "nothing", 20: "open due 50", 30: "open due 70"}},

		// register.Pauses.
		{sentence: "a pause that has no last day", events: []string{"suspension 20"},
			want: map[int]string{19: "open due 40", 20: "paused", 41: "paused", 299: "paused", 301: "lapsed"}},
		{sentence: "due its last day + 1 + response", events: []string{"suspension 20-49"},
			want: map[int]string{19: "open due 40", 45: "open due 80", 50: "open due 80", 81: "overdue due 80"}},
		{sentence: "known from the admission of the record that announces it", events: []string{"suspension 20-49 on 5"}, want: map[int]string{4: "open due 40", 5: "open due 80"}},
		{sentence: "announced without a last day", events: []string{"suspension 20 on 5"}, want: map[int]string{4: "open due 40", 5: "paused"}},
		{sentence: "announced, and taken back", events: []string{"suspension 20 on 5", "reinstatement 20 on 10"}, want: map[int]string{9: "paused", 10: "open due 40", 41: "overdue due 40"}},
		{sentence: "due reinstatement + response", events: []string{"suspension 20", "reinstatement 60"},
			want: map[int]string{59: "paused", 60: "open due 90", 91: "overdue due 90"}},
		{sentence: "an announced reinstatement", events: []string{"suspension 20", "reinstatement 60 on 50"}, want: map[int]string{49: "paused", 50: "open due 90"}},
		{sentence: "a pause that ends before the due date moves nothing", events: []string{"suspension 2-39"}, want: map[int]string{3: "open due 40", 40: "open due 40", 41: "overdue due 40"}},
		{sentence: "reinstated before the due date", events: []string{"suspension 20", "reinstatement 30"}, want: map[int]string{29: "paused", 30: "open due 40"}},
		{sentence: "a pause whose last day is the due date", events: []string{"suspension 2-40"}, want: map[int]string{3: "open due 71"}},
		{sentence: "a pause whose first day is the due date", events: []string{"suspension 40-49"}, want: map[int]string{39: "open due 40", 40: "open due 80"}},
		{sentence: "answered while paused", events: []string{"suspension 20"}, answers: []string{"45 no-relationship"}, want: map[int]string{46: "met met 45"}},
		{sentence: "answered before it was paused", events: []string{"suspension 20-49"}, answers: []string{"15 no-relationship"}, want: map[int]string{60: "met due 40 met 15"}},
		{sentence: "what was overdue before the pause stays overdue", events: []string{"suspension 45-60"}, want: map[int]string{50: "overdue due 40", 61: "overdue due 40"}},
		{sentence: "again, where the new date falls into another", events: []string{"suspension 20-49", "suspension 70-99"},
			want: map[int]string{60: "open due 80", 70: "open due 130", 75: "open due 130", 100: "open due 130"}},
		{sentence: "again, without a last day", events: []string{"suspension 20-49", "suspension 80"}, want: map[int]string{79: "open due 80", 80: "paused"}},
		{sentence: "reinstated for a while", events: []string{"suspension 20-79", "reinstatement 35-44"}, want: map[int]string{34: "open due 110", 35: "open due 40", 41: "overdue due 40"}},
		{sentence: "a last day so late that there is no day after it", events: []string{"suspension 20-2912077"}, want: map[int]string{20: "paused"}},

		// Ends.
		{sentence: "lifted before it was due", events: []string{"revocation 30 lifted"}, want: map[int]string{29: "open due 40", 30: "lapsed due 40", 50: "lapsed due 40"}},
		{sentence: "lifted on the due date", events: []string{"revocation 40 lifted"}, want: map[int]string{39: "open due 40", 40: "lapsed due 40"}},
		{sentence: "lifted the day after it was due", events: []string{"revocation 41 lifted"}, want: map[int]string{40: "open due 40", 41: "overdue due 40"}},
		{sentence: "lifted after it was due: history is not rewritten", events: []string{"revocation 50 lifted"}, want: map[int]string{49: "overdue due 40", 60: "overdue due 40"}},
		{sentence: "lifted from a day before: from its admission", events: []string{"revocation 10 error on 50"}, want: map[int]string{20: "open due 40", 49: "overdue due 40", 51: "overdue due 40"}},
		{sentence: "lifted from a day before, before it was due", events: []string{"revocation 10 error on 30"}, want: map[int]string{29: "open due 40", 30: "lapsed due 40"}},
		{sentence: "to be lifted", events: []string{"revocation 35 lifted on 30"}, want: map[int]string{34: "open due 40", 35: "lapsed due 40"}},
		{sentence: "what was met stays met when it ends", events: []string{"revocation 30 lifted"}, answers: []string{"20 no-relationship"}, want: map[int]string{50: "met due 40 met 20"}},
		{sentence: "answered on the day of the revocation, after it", events: []string{"revocation 30 lifted"}, answers: []string{"30 no-relationship"}, want: map[int]string{31: "lapsed due 40"}},
		{sentence: "answered after it had ended", events: []string{"revocation 30 lifted"}, answers: []string{"35 no-relationship"}, want: map[int]string{36: "lapsed due 40"}},
		{sentence: "overdue when it ended, answered then", events: []string{"revocation 50 lifted"}, answers: []string{"55 no-relationship"}, want: map[int]string{54: "overdue due 40", 55: "late due 40 met 55"}},
		{sentence: "due on its last day", change: func(row *designationTimeline) { row.Openings[0].ResponseDue = dayOrNone(300) }, want: map[int]string{300: "open due 300", 301: "overdue due 300"}},
		{sentence: "due the day after", change: func(row *designationTimeline) { row.Openings[0].ResponseDue = dayOrNone(301) }, want: map[int]string{300: "open due 301", 301: "lapsed due 301"}},
		{sentence: "put off beyond its end", events: []string{"suspension 20-290"}, want: map[int]string{300: "open due 321", 301: "lapsed due 321"}},

		{sentence: "responseDue absent: no duty", change: func(row *designationTimeline) { row.Openings, row.Current.ResponseDue = nil, nil },
			want: map[int]string{1: "nothing"}},
		{sentence: "a due date that came by correction", change: func(row *designationTimeline) {
			row.Openings = []register.DutyOpening{{RecordRef: refAt(indexOn(10, 0), 10), ResponseDue: dayOrNone(60)}}
		}, answers: []string{"30 no-relationship"}, want: map[int]string{9: "nothing", 29: "open due 60", 30: "met due 60 met 30"}},
		{sentence: "a due date that a correction took back", change: func(row *designationTimeline) { row.Openings[0].ResponseDue = nil }, want: map[int]string{9: "nothing", 41: "nothing"}},
		{sentence: "a deadline amended later", change: func(row *designationTimeline) { row.Openings[0].ResponseDue = dayOrNone(60) },
			want: map[int]string{41: "open due 60", 61: "overdue due 60"}},
	} {
		row := ordered(c.events...)
		if c.change != nil {
			c.change(row)
		}
		for n, want := range c.want {
			clock := asOfNoon(n)
			var d *Duty
			if clock.includes(partyWith(c.party...).Enrolled) {
				d = mustSubmit(clock.respondDuty("designation/2026-014", row.upTo(clock), partyWith(c.party...), responsesOf(row, clock, c.answers...)))
			}
			if got := describeDuty(d); got != want {
				t.Errorf("%s: day %d: got %q, want %q", c.sentence, n, got, want)
			}
			if !metByRightResponse(d, c.answers) {
				t.Errorf("%s: day %d: answered %q by one of %q", c.sentence, n, d.Answer, c.answers)
			}
		}
	}
}

func TestDutyToConclude(t *testing.T) {
	for _, c := range []struct {
		sentence string
		events   []string
		change   func(*designationTimeline)
		party    []string
		answers  []string
		want     map[int]string
	}{
		{sentence: "after acknowledged, by effectiveFrom", answers: []string{"20 acknowledged"},
			want: map[int]string{19: "nothing", 20: "open due 100", 101: "overdue due 100"}},
		{sentence: "after winding-down, by windDownBy", answers: []string{"20 winding-down by 60"},
			want: map[int]string{20: "open due 60", 61: "overdue due 60"}},
		{sentence: "of several windDownBy the earliest counts", answers: []string{"20 winding-down by 60", "30 winding-down by 90"},
			want: map[int]string{29: "open due 60", 30: "open due 60", 61: "overdue due 60"}},
		{sentence: "also where the newest names no day", answers: []string{"20 winding-down by 60", "30 acknowledged"},
			want: map[int]string{60: "open due 60", 61: "overdue due 60"}},
		{sentence: "also where the newest names an earlier one", answers: []string{"20 winding-down by 60", "30 winding-down by 50"},
			want: map[int]string{29: "open due 60", 30: "open due 50", 51: "overdue due 50"}},
		{sentence: "of several since the duty opened", answers: []string{"20 winding-down by 60", "50 wound-down", "70 winding-down by 90"},
			want: map[int]string{51: "met due 60 met 50", 70: "open due 90"}},
		{sentence: "lapsed", events: []string{"revocation 50 lifted"}, answers: []string{"20 acknowledged"}, want: map[int]string{49: "open due 100", 50: "lapsed due 100"}},
		{sentence: "lapsed, without a day", events: []string{"revocation 50 lifted"}, answers: []string{"20 acknowledged"},
			change: func(row *designationTimeline) { row.Current.EffectiveFrom = nil }, want: map[int]string{49: "open", 50: "lapsed"}},
		{sentence: "overdue when it ended", events: []string{"revocation 70 lifted"}, answers: []string{"20 winding-down by 60"}, want: map[int]string{71: "overdue due 60"}},
		{sentence: "begun after it had ended", events: []string{"revocation 150 lifted"}, answers: []string{"160 acknowledged"}, want: map[int]string{160: "lapsed due 100"}},
		{sentence: "without a day it falls into no pause", events: []string{"suspension 50"}, answers: []string{"20 acknowledged"},
			change: func(row *designationTimeline) { row.Current.EffectiveFrom = nil }, want: map[int]string{60: "open"}},
		{sentence: "neither windDownBy nor effectiveFrom: open", answers: []string{"20 acknowledged"},
			change: func(row *designationTimeline) { row.Current.EffectiveFrom = nil }, want: map[int]string{20: "open", 299: "open"}},
		{sentence: "met by no-relationship", answers: []string{"20 acknowledged", "50 no-relationship"}, want: map[int]string{50: "met due 100 met 50"}},
		{sentence: "met by licensed", answers: []string{"20 acknowledged", "50 licensed"}, want: map[int]string{50: "met due 100 met 50"}},
		{sentence: "met by conditions-met", answers: []string{"20 acknowledged", "50 conditions-met"}, want: map[int]string{50: "met due 100 met 50"}},
		{sentence: "met by wound-down", answers: []string{"20 winding-down by 60", "60 wound-down"}, want: map[int]string{60: "met due 60 met 60"}},
		{sentence: "late", answers: []string{"20 winding-down by 60", "61 wound-down"}, want: map[int]string{60: "open due 60", 61: "late due 60 met 61"}},
		{sentence: "none after answered", answers: []string{"20 winding-down by 60", "30 answered"}, want: map[int]string{29: "open due 60", 61: "nothing"}},
		{sentence: "none that began nothing", answers: []string{"20 no-relationship"}, want: map[int]string{61: "nothing"}},
		{sentence: "begun anew", answers: []string{"20 winding-down by 60", "50 wound-down", "70 acknowledged"}, want: map[int]string{69: "met due 60 met 50", 70: "open due 100"}},
		{sentence: "an older subject meets nothing", answers: []string{"20 acknowledged", "50 wound-down about 10"},
			change: func(row *designationTimeline) {
				row.Openings = append(row.Openings, register.DutyOpening{RecordRef: refAt(indexOn(30, 0), 30), ResponseDue: dayOrNone(70)})
			}, want: map[int]string{50: "open due 100"}},
		{sentence: "paused", events: []string{"suspension 50"}, answers: []string{"20 winding-down by 60"}, want: map[int]string{49: "open due 60", 50: "paused"}},
		{sentence: "suspended, and due when that is over", events: []string{"suspension 50-55"}, answers: []string{"20 winding-down by 60"}, want: map[int]string{50: "open due 60", 61: "overdue due 60"}},
		{sentence: "due reinstatement + response", events: []string{"suspension 50", "reinstatement 70"}, answers: []string{"20 winding-down by 60"},
			want: map[int]string{70: "open due 100", 101: "overdue due 100"}},
		{sentence: "withdrawn before the due date owes nothing", party: []string{"withdrawn 55"}, answers: []string{"20 winding-down by 60"},
			want: map[int]string{54: "open due 60", 55: "nothing"}},
	} {
		row := ordered(c.events...)
		if c.change != nil {
			c.change(row)
		}
		for n, want := range c.want {
			clock := asOfNoon(n)
			d := mustSubmit(clock.concludeDuty("designation/2026-014", row.upTo(clock), partyWith(c.party...), responsesOf(row, clock, c.answers...)))
			if got := describeDuty(d); got != want {
				t.Errorf("%s: day %d: got %q, want %q", c.sentence, n, got, want)
			}
			if !metByRightResponse(d, c.answers) {
				t.Errorf("%s: day %d: answered %q by one of %q", c.sentence, n, d.Answer, c.answers)
			}
		}
	}
}

func TestDutyToCertify(t *testing.T) {
	// Enrolled on day -30; 29 February 2028 lies between days 299 and 665.
	for _, c := range []struct {
		sentence string
		party    []string
		filed    []string // "300 period 0-299": filed on day 300
		at       int
		want     []string
	}{
		{"enrolment date + certification", nil, nil, 100, []string{"open due 335"}},
		{"overdue", nil, nil, 336, []string{"overdue due 335"}},
		{"initial, then newest periodUntil + certification", nil, []string{"300 0-299"}, 301, []string{"met due 335 met 300", "open due 665"}},
		{"filed late", nil, []string{"340 0-299"}, 341, []string{"late due 335 met 340", "open due 665"}},
		{"not yet filed at the instant", nil, []string{"300 0-299"}, 299, []string{"open due 335"}},
		{"the next period", nil, []string{"300 0-299", "600 300-599"}, 601, []string{"met due 335 met 300", "met due 665 met 600", "open due 964"}},
		{"a gap leaves it open from the first uncovered day", nil, []string{"300 0-299", "600 310-599"}, 601, []string{"met due 335 met 300", "open due 665"}},
		{"the gap closed", nil, []string{"300 0-299", "600 310-599", "610 300-309"}, 611, []string{"met due 335 met 300", "met due 665 met 610", "open due 964"}},
		{"overlaps are claims, not judged", nil, []string{"300 0-299", "600 200-599"}, 601, []string{"met due 335 met 300", "met due 665 met 600", "open due 964"}},
		{"within what was covered", nil, []string{"300 0-299", "320 100-200"}, 321, []string{"met due 335 met 300", "open due 665"}},
		{"a period that ended before the enrolment: from the enrolment date", nil, []string{"10 -200--40"}, 11, []string{"met due 335 met 10", "open due 335"}},
		{"one that ended on the eve of the enrolment", nil, []string{"10 -200--31"}, 11, []string{"met due 335 met 10", "open due 335"}},
		{"one that ended with the enrolment", nil, []string{"10 -200--30"}, 11, []string{"met due 335 met 10", "open due 335"}},
		{"one that ended after it", nil, []string{"10 -200--29"}, 11, []string{"met due 335 met 10", "open due 336"}},
		{"days before the enrolment are no gap", nil, []string{"10 -200--40", "20 -30-10"}, 21, []string{"met due 335 met 10", "met due 335 met 20", "open due 375"}},
		{"the enrolment's own day is one", nil, []string{"10 -200--40", "20 -29-10"}, 21, []string{"met due 335 met 10", "open due 335"}},
		{"suspended: the duty stays", []string{"suspended 100"}, nil, 336, []string{"overdue due 335"}},
		{"three apart, then the gap closed", nil, []string{"300 0-99", "301 120-139", "302 160-179", "303 130-165", "304 100-119"}, 305, []string{"met due 335 met 300", "met due 465 met 304", "open due 545"}},
		{"withdrawn before the due date owes nothing", []string{"withdrawn 334"}, nil, 400, nil},
		{"withdrawn: what was met stays", []string{"withdrawn 400"}, []string{"300 0-299"}, 401, []string{"met due 335 met 300"}},
		{"withdrawn after it was overdue", []string{"withdrawn 340"}, nil, 400, []string{"overdue due 335"}},
	} {
		clock := asOfNoon(c.at)
		var filed []filingAt
		for i, s := range c.filed {
			var on, from, until int
			if _, err := fmt.Sscanf(s, "%d %d-%d", &on, &from, &until); err != nil {
				t.Fatal(err)
			}
			f := filingAt{refAt(uint64(200+i), on), day(from), day(until)}
			if !f.Admitted.After(clock.instant) {
				filed = append(filed, f)
			}
		}
		var got []string
		clock.periodicDuties(&periodicDuties[0], partyWith(c.party...), filed, nil, func(d Duty) bool {
			got = append(got, describeDuty(&d))
			return true
		})
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.sentence, got, c.want)
		}
	}
}

// Days are covered in whatever order they are certified: as a set of days has it, and of a
// hundred thousand periods backwards in a moment (a list kept in order took a minute).
func TestCoverageInAnyOrder(t *testing.T) {
	enrolled := day(0)
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 7))
		var c coverage
		c.extend(day(1), day(1), enrolled)
		days, until := map[int]bool{1: true}, 1
		for range 40 {
			from := 1 + random.IntN(60)
			last := from + random.IntN(3)
			for n := from; n <= last; n++ {
				days[n] = true
			}
			before := until
			for days[until+1] {
				until++
			}
			more := c.extend(day(from), day(last), enrolled)
			if c.until != day(until) || more != (until > before) {
				t.Fatalf("seed %d: %d-%d covers until %s (more: %t), want %s", seed, from, last, c.until, more, day(until))
			}
		}
	}

	const n = 100_000
	var c coverage
	c.extend(day(1), day(1), enrolled)
	for i := range n {
		c.extend(day(3+2*(n-i)), day(4+2*(n-i)), enrolled)
	}
	if c.extend(day(2), day(4), enrolled); c.until != day(4+2*n) {
		t.Errorf("covered until %s, want %s", c.until, day(4+2*n))
	}
}

// What is filed again and again is due by the newest day + commitment, once a first one was
// filed; a month ends where it does, in leap years too.
func TestDutyToFileAgain(t *testing.T) {
	date := func(text string) record.Date { return mustHave(record.ParseDate(text)) }
	for _, c := range []struct {
		sentence string
		period   record.Period
		party    []string
		filed    []string // "300 299": filed on day 300, until day 299
		at       int
		want     []string
	}{
		{"nothing is owed before the first", record.Period{Days: 31}, nil, nil, 900, nil},
		{"the first opens the next", record.Period{Days: 31}, nil, []string{"100 99"}, 130, []string{"open due 130"}},
		{"and a day later it is overdue", record.Period{Days: 31}, nil, []string{"100 99"}, 131, []string{"overdue due 130"}},
		{"met on the last day", record.Period{Days: 31}, nil, []string{"100 99", "130 129"}, 131, []string{"met due 130 met 130", "open due 160"}},
		{"late", record.Period{Days: 31}, nil, []string{"100 99", "131 129"}, 131, []string{"late due 130 met 131", "open due 160"}},
		{"one that reaches no further meets nothing", record.Period{Days: 31}, nil, []string{"100 99", "101 99", "102 40"}, 131, []string{"overdue due 130"}},
		{"a gap opens nothing", record.Period{Days: 31}, nil, []string{"100 99", "180 179"}, 181, []string{"late due 130 met 180", "open due 210"}},
		{"a day before the enrolment counts as it is", record.Period{Days: 31}, nil, []string{"10 -100"}, 11, []string{"overdue due -69"}},
		{"withdrawn before the due date owes nothing", record.Period{Days: 31}, []string{"withdrawn 120"}, []string{"100 99"}, 131, nil},
		{"suspended owes still", record.Period{Days: 31}, []string{"suspended 101"}, []string{"100 99"}, 131, []string{"overdue due 130"}},
	} {
		for _, o := range []*periodicDuty{&periodicDuties[1], &periodicDuties[2]} {
			clock := asOfNoon(c.at)
			clock.charters[0].Periods.Commitment = c.period
			var filed []filingAt
			for i, s := range c.filed {
				var on, until int
				if _, err := fmt.Sscanf(s, "%d %d", &on, &until); err != nil {
					t.Fatal(err)
				}
				filed = append(filed, filingAt{RecordRef: refAt(uint64(200+i), on), until: day(until)})
			}
			var got []string
			clock.periodicDuties(o, partyWith(c.party...), filed, nil, func(d Duty) bool {
				if d.Kind != o.kind {
					t.Errorf("%s: of kind %s", c.sentence, d.Kind)
				}
				got = append(got, describeDuty(&d))
				return true
			})
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: got %q, want %q", c.sentence, got, c.want)
			}
		}
	}
	for until, due := range map[string]string{"2028-01-31": "2028-02-29", "2027-01-31": "2027-02-28", "2028-02-29": "2028-03-29", "2027-12-31": "2028-01-31"} {
		clock := asOfNoon(0)
		clock.charters[0].Periods.Commitment = record.Period{Months: 1}
		clock.periodicDuties(&periodicDuties[1], partyWith(), []filingAt{{RecordRef: refAt(200, 0), until: date(until)}}, nil, func(d Duty) bool {
			if d.Due == nil || *d.Due != date(due) {
				t.Errorf("until %s: due %v, want %s", until, d.Due, due)
			}
			return true
		})
	}
}

// A filing belongs to the day that it is where the charter's zone is: on the day on which
// clocks change, its last millisecond is in time, and the next is late.
func TestDutyToFileAgainAtMidnight(t *testing.T) {
	zone := mustHave(time.LoadLocation("America/New_York"))
	for _, due := range []record.Date{{Year: 2027, Month: 3, Day: 14}, {Year: 2027, Month: 11, Day: 7}, {Year: 2028, Month: 2, Day: 29}} {
		midnight := time.Date(due.Year, due.Month, due.Day, 24, 0, 0, 0, zone)
		for at, want := range map[time.Time]DutyState{midnight.Add(-time.Millisecond): DutyMet, midnight: DutyLate} {
			periods := record.Periods{Commitment: record.Period{Days: 31}}
			clock := asOf{instant: at, zone: zone, charters: []register.CharterTerms{{Periods: periods, Zone: zone}}}
			first, next := refAt(200, 0), register.RecordRef{Index: 201, ID: record.ID{9}, Admitted: at}
			var got []DutyState
			clock.periodicDuties(&periodicDuties[1], partyWith(), []filingAt{{RecordRef: first, until: due.AddDays(-31)}, {RecordRef: next, until: due}}, nil, func(d Duty) bool {
				got = append(got, d.State)
				return true
			})
			if len(got) != 2 || got[0] != want || got[1] != DutyOpen {
				t.Errorf("due %s, filed %s: %v, want %s and open", due, at, got, want)
			}
		}
	}
}

// A gap is told by the first day that is not covered.
func TestDutyToCertifyNamesTheGap(t *testing.T) {
	one := filingAt{refAt(200, 300), day(0), day(299)}
	two := filingAt{refAt(201, 600), day(310), day(599)}
	var last Duty
	asOfNoon(601).periodicDuties(&periodicDuties[0], partyWith(), []filingAt{one, two}, nil, func(d Duty) bool { last = d; return true })
	if last.From == nil || *last.From != day(300) || last.OpenedBy != one.ID {
		t.Errorf("got from %v opened by %s, want %v by %s", last.From, last.OpenedBy, day(300), one.ID)
	}
}

// What rests on a revocation in error says so first.
func TestDutyPublishedInError(t *testing.T) {
	row := ordered("revocation 60 error")
	d := mustSubmit(asOfNoon(70).respondDuty("designation/2026-014", row, partyWith(), nil))
	if d == nil || !d.Error || !slices.Contains(d.Records, row.Events[0].ID) {
		t.Errorf("got %+v, want one that is marked and rests on %s", d, row.Events[0].ID)
	}
}

// A revocation ends no duty before its admission, on that very day neither.
func TestDutyOnTheMorningOfTheRevocation(t *testing.T) {
	row := ordered("revocation 30 lifted")
	morning := asOfNoon(30)
	morning.instant = morning.instant.Add(-time.Hour)
	for c, want := range map[*asOf]string{&morning: "open due 40", new(asOfNoon(30)): "lapsed due 40"} {
		if got := describeDuty(mustSubmit(c.respondDuty("designation/2026-014", row.upTo(*c), partyWith(), nil))); got != want {
			t.Errorf("at %s: got %q, want %q", c.instant, got, want)
		}
	}
}

// What is asked of a long history does not grow with its length squared: that would take
// minutes here.
func TestDutyOfALongLife(t *testing.T) {
	const n = 20_000
	row, p := ordered(), partyWith()
	row.Current.EffectiveUntil, row.Openings = dayOrNone(2*n), nil
	var answers []responseAt
	for i := range n {
		row.Events = append(row.Events, register.LifecycleEvent{RecordRef: refAt(indexOn(2*i, 1), 2*i), Kind: record.KindSuspension, EffectiveOn: day(2 * i), Until: dayOrNone(2 * i)})
		row.Openings = append(row.Openings, register.DutyOpening{RecordRef: refAt(indexOn(2*i, 2), 2*i), ResponseDue: dayOrNone(2*i + 40)})
		p.Standing = append(p.Standing,
			register.StandingChange{RecordRef: refAt(indexOn(2*i, 0), 2*i), Status: register.StandingSuspended, EffectiveOn: day(2 * i)},
			register.StandingChange{RecordRef: refAt(indexOn(2*i, 3), 2*i), Status: register.StandingActive, EffectiveOn: day(2*i + 1)},
		)
		a := responseAt{refAt(indexOn(2*i, 4), 2*i), &register.ResponseRow{Status: "wound-down", About: 10}}
		if i == 0 {
			a.Status = "acknowledged"
		}
		answers = append(answers, a)
	}
	c := asOfNoon(2 * n)
	given := summed(row, answers)
	began := time.Now()
	for range 10 {
		then := row.upTo(c)
		if got := describeDuty(mustSubmit(c.respondDuty("designation/1", then, p, given))); got != fmt.Sprintf("open due %d", 2*n+38) {
			t.Fatalf("respond: %s", got)
		}
		if got := describeDuty(mustSubmit(c.concludeDuty("designation/1", then, p, given))); got != "overdue due 131" {
			t.Fatalf("conclude: %s", got)
		}
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("ten questions took %s", took)
	}
}

// The first response about a record at or behind what asks is found whatever they are about,
// and by reading few of them.
func TestFirstResponseSince(t *testing.T) {
	for seed := range uint64(400) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		row := ordered()
		row.Openings = nil
		records := []uint64{row.Opened.Index}
		var list []responseAt
		asks := rnd.IntN(12)
		for index := row.Opened.Index + 1; len(list) < 300; index += 1 + uint64(rnd.IntN(3)) {
			switch n := rnd.IntN(100); {
			case n < asks:
				row.Openings = append(row.Openings, register.DutyOpening{RecordRef: register.RecordRef{Index: index}})
				records = append(records, index)
			case n < 2*asks:
				records = append(records, index)
			default:
				about := records[len(records)-1]
				if rnd.IntN(2) == 0 {
					about = records[rnd.IntN(len(records))]
				}
				if seed%4 == 0 { // one after another, far behind
					about = records[len(list)*len(records)/300]
				}
				list = append(list, responseAt{register.RecordRef{Index: index}, &register.ResponseRow{About: about}})
			}
		}
		for _, newest := range []int{1, 7, 150, 300} {
			given := summed(row, list[:newest])
			read := 0
			below := given.below
			given.below = func(index uint64) (*responseAt, error) { read++; return below(index) }
			for _, o := range row.Openings {
				read, given.read = 0, nil
				got, err := given.since(o.Index)
				if err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				want := uint64(0)
				if i := slices.IndexFunc(list[:newest], func(a responseAt) bool { return a.About >= o.Index }); i >= 0 {
					want = list[i].Index
				}
				if got == nil && want != 0 || got != nil && got.Index != want {
					t.Fatalf("seed %d: of %d the first since %d is %v, want %d", seed, newest, o.Index, got, want)
				}
				if read > 12 {
					t.Errorf("seed %d: %d of %d were read", seed, read, newest)
				}
			}
		}
	}
}

func mustHave[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
