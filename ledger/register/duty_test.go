package register

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// clockAt is noon of a day under a charter that gives 30 days to respond and a year
// to certify.
func clockAt(n int) clock {
	periods := record.Periods{Response: record.Period{Days: 30}, Certification: record.Period{Years: 1}}
	return clock{at: noon(n), zone: time.UTC, charters: []charterTerms{{Periods: periods}}}
}

// ordered is a designation at index 10, admitted on day 0, in force on days 100
// to 300, to be answered by day 40.
func ordered(events ...string) *designationLife {
	row := lived(DesignationRow{Opened: step(10, 0)}, events...)
	row.Current.EffectiveFrom, row.Current.EffectiveUntil, row.Current.ResponseDue = dayOrNone(100), dayOrNone(300), dayOrNone(40)
	row.Openings = []Opening{{Step: row.Opened, ResponseDue: day(40)}}
	return row
}

// provider reads "enrolled 20", "suspended 5", "active 8", "withdrawn 30", and with
// "later" what was admitted after the designation, though effective before. Without
// "enrolled" it was there before everything.
func provider(story ...string) *partyLife {
	p := &partyLife{PartyRow: &PartyRow{ID: "acme-cloud", Roles: []record.Role{record.RoleProvider}, Enrolled: step(2, -30)}}
	for i, s := range story {
		status, on, _ := strings.Cut(s, " ")
		on, later := strings.CutSuffix(on, " later")
		if status == "enrolled" {
			p.Enrolled = step(50, number(on))
			continue
		}
		index := uint64(3 + i)
		if later || number(on) >= 0 {
			index += 60 // after the designation
		}
		p.Standing = append(p.Standing, StandingStep{Step: step(index, number(on)), Status: status, EffectiveOn: day(number(on))})
	}
	return p
}

// answered reads "20 acknowledged": given on day 20 about the newest record then;
// "20 winding-down by 60"; "20 no-relationship about 10". They stand at indexes
// from 200 on.
func answered(row *designationLife, c clock, answers ...string) []answer {
	var list []answer
	for i, s := range answers {
		part := strings.Fields(s)
		a := answer{step(uint64(200+i), number(part[0])), &ResponseRow{}}
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
		if !a.Admitted.After(c.at) {
			list = append(list, a)
		}
	}
	return list
}

// told is a duty in few words: "open due 40", "late due 40 met 45", "nothing".
func told(d *Duty) string {
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

// saysWhat holds if a duty that was met says by which of those answers.
func saysWhat(d *Duty, answers []string) bool {
	return d == nil || d.MetOn == nil && d.Answer == "" || d.Answer != "" && slices.ContainsFunc(answers, func(a string) bool {
		return strings.HasPrefix(a, dayNumber(*d.MetOn)+" "+d.Answer)
	})
}

func dayNumber(d record.Date) string {
	at := time.Date(d.Year, d.Month, d.Day, 12, 0, 0, 0, time.UTC)
	return fmt.Sprint(int(at.Sub(noon(0)) / (24 * time.Hour)))
}

func TestDutyToRespond(t *testing.T) {
	reopened := func(on, due int) func(*designationLife) {
		return func(row *designationLife) {
			row.Openings = append(row.Openings, Opening{Step: step(80, on), ResponseDue: day(due)})
			row.Current.ResponseDue = dayOrNone(due)
		}
	}
	for _, c := range []struct {
		sentence string
		events   []string
		change   func(*designationLife)
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
		{sentence: "suspended at the admission: no duty", party: []string{"suspended -5"}, want: map[int]string{1: "nothing"}},
		{sentence: "suspended and active again before it", party: []string{"suspended -9", "active -5"}, want: map[int]string{1: "open due 40"}},
		{sentence: "suspended later from a day before: the duty stays", party: []string{"suspended -5 later"}, want: map[int]string{1: "open due 40"}},
		{sentence: "suspended later: the duty stays", party: []string{"suspended 5"}, want: map[int]string{10: "open due 40", 41: "overdue due 40"}},
		{sentence: "enrolled later: max(responseDue, enrolment date + response)", party: []string{"enrolled 5"},
			want: map[int]string{4: "nothing", 6: "open due 40"}},
		{sentence: "enrolled later: the response period counts", party: []string{"enrolled 20"},
			want: map[int]string{21: "open due 50", 50: "open due 50", 51: "overdue due 50"}},
		{sentence: "enrolled after responseDue", party: []string{"enrolled 200"}, want: map[int]string{200: "open due 230"}},
		{sentence: "enrolled after it had expired", party: []string{"enrolled 301"}, want: map[int]string{302: "nothing"}},
		{sentence: "enrolled after it was revoked", party: []string{"enrolled 60"}, events: []string{"revocation 50 lifted"}, want: map[int]string{61: "nothing"}},
		{sentence: "withdrawn before the due date owes nothing", party: []string{"withdrawn 39"},
			want: map[int]string{38: "open due 40", 39: "nothing", 60: "nothing"}},
		{sentence: "withdrawn on the due date still owes", party: []string{"withdrawn 40"}, want: map[int]string{40: "open due 40", 60: "overdue due 40"}},
		{sentence: "what was met stays met", party: []string{"withdrawn 30"}, answers: []string{"20 no-relationship"}, want: map[int]string{60: "met due 40 met 20"}},
		{sentence: "re-opened: met by the newest record that re-opened it, or a later one", change: reopened(30, 70), answers: []string{"20 no-relationship"},
			want: map[int]string{29: "met due 40 met 20", 30: "open due 70", 71: "overdue due 70"}},
		{sentence: "answered anew", change: reopened(30, 70), answers: []string{"20 no-relationship", "50 no-relationship"},
			want: map[int]string{25: "met due 40 met 20", 49: "open due 70", 50: "met due 70 met 50"}},
		{sentence: "an older subject meets nothing", change: reopened(30, 70), answers: []string{"50 no-relationship about 10"},
			want: map[int]string{50: "open due 70"}},
		{sentence: "any later record of the thread", change: reopened(30, 70), answers: []string{"50 no-relationship about 90"},
			want: map[int]string{50: "met due 70 met 50"}},
		{sentence: "duties paused", events: []string{"suspension 20"},
			want: map[int]string{19: "open due 40", 20: "paused", 41: "paused", 299: "paused", 301: "nothing"}},
		{sentence: "due the day after until + response", events: []string{"suspension 20-49"},
			want: map[int]string{19: "open due 40", 45: "paused due 80", 50: "open due 80", 81: "overdue due 80"}},
		{sentence: "due reinstatement + response", events: []string{"suspension 20", "reinstatement 60"},
			want: map[int]string{59: "paused due 90", 60: "open due 90", 91: "overdue due 90"}},
		{sentence: "never due earlier than before", events: []string{"suspension 2-4"}, want: map[int]string{3: "paused due 40", 5: "open due 40"}},
		{sentence: "answered while paused", events: []string{"suspension 20"}, answers: []string{"45 no-relationship"}, want: map[int]string{46: "met met 45"}},
		{sentence: "answered before it was paused", events: []string{"suspension 20-49"}, answers: []string{"15 no-relationship"}, want: map[int]string{60: "met due 40 met 15"}},
		{sentence: "overdue before it was suspended", events: []string{"suspension 45-60"}, want: map[int]string{50: "overdue due 40", 61: "overdue due 40"}},
		{sentence: "paused twice", events: []string{"suspension 20-49", "suspension 70-99"}, want: map[int]string{60: "open due 80", 75: "paused due 130", 100: "open due 130"}},
		{sentence: "lifted before it was due: nothing is owed", events: []string{"revocation 30 lifted"}, want: map[int]string{29: "open due 40", 30: "nothing", 50: "nothing"}},
		{sentence: "lifted after it was due: history is not rewritten", events: []string{"revocation 50 lifted"}, want: map[int]string{49: "overdue due 40", 60: "overdue due 40"}},
		{sentence: "responseDue absent: no duty", change: func(row *designationLife) { row.Openings, row.Current.ResponseDue = nil, nil },
			want: map[int]string{1: "nothing"}},
		{sentence: "a due date that came by correction", change: func(row *designationLife) { row.Openings, row.Current.ResponseDue = nil, dayOrNone(60) },
			answers: []string{"30 no-relationship"}, want: map[int]string{29: "open due 60", 30: "met due 60 met 30"}},
		{sentence: "a deadline amended later", change: func(row *designationLife) { row.Current.ResponseDue = dayOrNone(60) },
			want: map[int]string{41: "open due 60", 61: "overdue due 60"}},
	} {
		row := ordered(c.events...)
		if c.change != nil {
			c.change(row)
		}
		for n, want := range c.want {
			clock := clockAt(n)
			var d *Duty
			if asked := askedOf(t, row, clock); asked != nil && clock.passed(provider(c.party...).Enrolled) {
				d = clock.respond("designation/2026-014", row, *asked, provider(c.party...), answered(row, clock, c.answers...))
			}
			if got := told(d); got != want {
				t.Errorf("%s: day %d: got %q, want %q", c.sentence, n, got, want)
			}
			if !saysWhat(d, c.answers) {
				t.Errorf("%s: day %d: answered %q by one of %q", c.sentence, n, d.Answer, c.answers)
			}
		}
	}
}

// askedOf asks a history whose one version is row, and one before each re-opening.
func askedOf(t *testing.T, row *designationLife, c clock) *asking {
	t.Helper()
	h := &history{thread: "designation/2026-014"}
	for i, o := range slices.Backward(row.Openings) {
		version := *row.DesignationRow
		if i+1 < len(row.Openings) {
			version.Current.ResponseDue = &o.ResponseDue
		}
		h.versions = append(h.versions, oneVersion(o.Index, &version))
	}
	asked, err := h.asked(row, c)
	if err != nil {
		t.Fatal(err)
	}
	return asked
}

func oneVersion(index uint64, row *DesignationRow) version {
	return version{index: index, row: &ThreadRow{Thread: "designation/2026-014", Index: index, State: row}}
}

func TestDutyToConclude(t *testing.T) {
	for _, c := range []struct {
		sentence string
		events   []string
		change   func(*designationLife)
		party    []string
		answers  []string
		want     map[int]string
	}{
		{sentence: "after acknowledged, by effectiveFrom", answers: []string{"20 acknowledged"},
			want: map[int]string{19: "nothing", 20: "open due 100", 101: "overdue due 100"}},
		{sentence: "after winding-down, by windDownBy", answers: []string{"20 winding-down by 60"},
			want: map[int]string{20: "open due 60", 61: "overdue due 60"}},
		{sentence: "the newest response counts alone", answers: []string{"20 winding-down by 60", "30 winding-down by 90"},
			want: map[int]string{29: "open due 60", 30: "open due 90", 61: "open due 90"}},
		{sentence: "also where it names no day", answers: []string{"20 winding-down by 60", "30 acknowledged"},
			want: map[int]string{61: "open due 100"}},
		{sentence: "neither windDownBy nor effectiveFrom: open", answers: []string{"20 acknowledged"},
			change: func(row *designationLife) { row.Current.EffectiveFrom = nil }, want: map[int]string{20: "open", 299: "open"}},
		{sentence: "met by no-relationship", answers: []string{"20 acknowledged", "50 no-relationship"}, want: map[int]string{50: "met due 100 met 50"}},
		{sentence: "met by licensed", answers: []string{"20 acknowledged", "50 licensed"}, want: map[int]string{50: "met due 100 met 50"}},
		{sentence: "met by conditions-met", answers: []string{"20 acknowledged", "50 conditions-met"}, want: map[int]string{50: "met due 100 met 50"}},
		{sentence: "met by wound-down", answers: []string{"20 winding-down by 60", "60 wound-down"}, want: map[int]string{60: "met due 60 met 60"}},
		{sentence: "late", answers: []string{"20 winding-down by 60", "61 wound-down"}, want: map[int]string{60: "open due 60", 61: "late due 60 met 61"}},
		{sentence: "none after answered", answers: []string{"20 winding-down by 60", "30 answered"}, want: map[int]string{29: "open due 60", 61: "nothing"}},
		{sentence: "none that began nothing", answers: []string{"20 no-relationship"}, want: map[int]string{61: "nothing"}},
		{sentence: "begun anew", answers: []string{"20 winding-down by 60", "50 wound-down", "70 acknowledged"}, want: map[int]string{69: "met due 60 met 50", 70: "open due 100"}},
		{sentence: "an older subject meets nothing", answers: []string{"20 acknowledged", "50 wound-down about 10"},
			change: func(row *designationLife) {
				row.Openings = append(row.Openings, Opening{Step: step(80, 30), ResponseDue: day(70)})
			}, want: map[int]string{50: "open due 100"}},
		{sentence: "paused", events: []string{"suspension 50"}, answers: []string{"20 winding-down by 60"}, want: map[int]string{49: "open due 60", 50: "paused"}},
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
			clock := clockAt(n)
			d := clock.conclude("designation/2026-014", row, provider(c.party...), answered(row, clock, c.answers...))
			if got := told(d); got != want {
				t.Errorf("%s: day %d: got %q, want %q", c.sentence, n, got, want)
			}
			if !saysWhat(d, c.answers) {
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
		{"withdrawn before the due date owes nothing", []string{"withdrawn 334"}, nil, 400, nil},
		{"withdrawn: what was met stays", []string{"withdrawn 400"}, []string{"300 0-299"}, 401, []string{"met due 335 met 300"}},
		{"withdrawn after it was overdue", []string{"withdrawn 340"}, nil, 400, []string{"overdue due 335"}},
	} {
		clock := clockAt(c.at)
		var filed []certificate
		for i, s := range c.filed {
			var on, from, until int
			if _, err := fmt.Sscanf(s, "%d %d-%d", &on, &from, &until); err != nil {
				t.Fatal(err)
			}
			f := certificate{step(uint64(200+i), on), &CertificationRow{}}
			f.PeriodFrom, f.PeriodUntil = day(from), day(until)
			if !f.Admitted.After(clock.at) {
				filed = append(filed, f)
			}
		}
		var got []string
		for _, d := range clock.certify(provider(c.party...), filed) {
			got = append(got, told(&d))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.sentence, got, c.want)
		}
	}
}

// A gap is told by the first day that is not covered.
func TestDutyToCertifyNamesTheGap(t *testing.T) {
	one := certificate{step(200, 300), &CertificationRow{}}
	one.PeriodFrom, one.PeriodUntil = day(0), day(299)
	two := certificate{step(201, 600), &CertificationRow{}}
	two.PeriodFrom, two.PeriodUntil = day(310), day(599)
	duties := clockAt(601).certify(provider(), []certificate{one, two})
	last := duties[len(duties)-1]
	if last.From == nil || *last.From != day(300) || last.OpenedBy != one.ID {
		t.Errorf("got from %v opened by %s, want %v by %s", last.From, last.OpenedBy, day(300), one.ID)
	}
}

// What rests on a revocation in error says so first.
func TestDutyPublishedInError(t *testing.T) {
	row := ordered("revocation 60 error")
	d := clockAt(70).respond("designation/2026-014", row, asking{Step: row.Opened, due: day(40)}, provider(), nil)
	if d == nil || !d.Error || !slices.Contains(d.Records, row.Events[0].ID) {
		t.Errorf("got %+v, want one that is marked and rests on %s", d, row.Events[0].ID)
	}
}
