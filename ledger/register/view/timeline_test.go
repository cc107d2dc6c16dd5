package view

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// Days of the pure tests count from 1 January 2027, UTC.
func day(n int) record.Date { return record.Date{Year: 2027, Month: 1, Day: 1}.AddDays(n) }

func dayOrNone(n int) *record.Date {
	if n < 0 {
		return nil
	}
	d := day(n)
	return &d
}

// noon is an instant on a day; within one, the index orders records.
func noon(n int) time.Time {
	d := day(n)
	return time.Date(d.Year, d.Month, d.Day, 12, 0, 0, 0, time.UTC)
}

// refAt is a record at an index, admitted at noon of a day.
func refAt(index uint64, on int) register.RecordRef {
	return register.RecordRef{Index: index, ID: record.ID{byte(index)}, Admitted: noon(on)}
}

// indexOn is the index of the nth record, below 10, that is admitted on a day.
func indexOn(on, n int) uint64 {
	if on < 0 {
		return uint64(3 + n) // before the designation at index 10
	}
	return uint64(100 + 10*on + n)
}

// admittedOn reads "50 on 20": a record about day 50 that is admitted on day 20.
func admittedOn(text string) (about string, admitted int) {
	about, on, other := strings.Cut(text, " on ")
	if other {
		return about, number(on)
	}
	from, _, _ := strings.Cut(strings.Fields(about)[0], "-")
	if from == "" { // a day before the designation
		from = about
	}
	return about, number(from)
}

// eventsOf reads "suspension 10-20", "reinstatement 15 on 12", "revocation 30 error" as
// events.
func eventsOf(events ...string) []register.LifecycleEvent {
	var list []register.LifecycleEvent
	for i, text := range events {
		kind, text, _ := strings.Cut(text, " ")
		text, admitted := admittedOn(text)
		part := append([]string{kind}, strings.Fields(text)...)
		e := register.LifecycleEvent{Kind: record.Kind(kind)}
		from, until, ends := strings.Cut(part[1], "-")
		e.EffectiveOn = day(number(from))
		if ends {
			e.Until = dayOrNone(number(until))
		}
		if len(part) > 2 {
			e.Cause = part[2]
		}
		e.RecordRef = refAt(indexOn(admitted, 1+i), admitted)
		list = append(list, e)
	}
	return list
}

// timelineOf is a designation to which that happened.
func timelineOf(row register.DesignationRow, events ...string) *designationTimeline {
	life := &designationTimeline{DesignationRow: &row, Events: eventsOf(events...)}
	if n := len(life.Events); n > 0 && life.Events[n-1].Kind == record.KindRevocation {
		row.Revoked = &life.Events[n-1]
	}
	return life
}

func number(s string) (n int) {
	if _, err := fmt.Sscan(s, &n); err != nil {
		panic(err)
	}
	return n
}

func TestStatusOn(t *testing.T) {
	const from, until = 10, 100
	for _, c := range []struct {
		story  string
		events []string
		want   map[int]Status // from that day on
	}{
		{"the clock alone", nil, map[int]Status{0: StatusAnnounced, 10: StatusInForce, 101: StatusExpired}},
		{"suspended while announced", []string{"suspension 5-19"},
			map[int]Status{0: StatusAnnounced, 5: StatusSuspended, 20: StatusInForce, 101: StatusExpired}},
		{"until ends it by the clock", []string{"suspension 5-7"},
			map[int]Status{0: StatusAnnounced, 5: StatusSuspended, 8: StatusAnnounced, 10: StatusInForce, 101: StatusExpired}},
		{"suspended without end, the term runs on", []string{"suspension 50"},
			map[int]Status{0: StatusAnnounced, 10: StatusInForce, 50: StatusSuspended, 101: StatusExpired}},
		{"reinstated", []string{"suspension 50", "reinstatement 60"},
			map[int]Status{0: StatusAnnounced, 10: StatusInForce, 50: StatusSuspended, 60: StatusInForce, 101: StatusExpired}},
		{"reinstated before its until", []string{"suspension 50-80", "reinstatement 60"},
			map[int]Status{0: StatusAnnounced, 10: StatusInForce, 50: StatusSuspended, 60: StatusInForce, 101: StatusExpired}},
		{"reinstated for a while", []string{"suspension 50-80", "reinstatement 60-69"},
			map[int]Status{0: StatusAnnounced, 10: StatusInForce, 50: StatusSuspended, 60: StatusInForce, 70: StatusSuspended, 81: StatusInForce, 101: StatusExpired}},
		{"taken back before it began", []string{"suspension 50", "reinstatement 50"},
			map[int]Status{0: StatusAnnounced, 10: StatusInForce, 101: StatusExpired}},
		{"two suspensions that touch", []string{"suspension 50-59", "suspension 60-69"},
			map[int]Status{0: StatusAnnounced, 10: StatusInForce, 50: StatusSuspended, 70: StatusInForce, 101: StatusExpired}},
		{"revoked", []string{"revocation 40 lifted"}, map[int]Status{0: StatusAnnounced, 10: StatusInForce, 40: StatusRevoked}},
		{"revoked from before it began", []string{"revocation 3 error"}, map[int]Status{0: StatusAnnounced, 3: StatusRevoked}},
		{"revoked while suspended", []string{"suspension 20", "revocation 40 lifted"},
			map[int]Status{0: StatusAnnounced, 10: StatusInForce, 20: StatusSuspended, 40: StatusRevoked}},
		{"revoked after it expired", []string{"revocation 120 court-order"},
			map[int]Status{0: StatusAnnounced, 10: StatusInForce, 101: StatusExpired, 120: StatusRevoked}},
	} {
		row := timelineOf(register.DesignationRow{Opened: refAt(10, 0)}, c.events...)
		row.Current.EffectiveFrom, row.Current.EffectiveUntil = dayOrNone(from), dayOrNone(until)
		want := StatusNone
		for n := range 130 {
			if s, ok := c.want[n]; ok {
				want = s
			}
			if got := row.statusOn(day(n), time.UTC); got != want {
				t.Errorf("%s: day %d: got %s, want %s", c.story, n, got, want)
			}
		}
	}
}

// An imported designation without dates is in force from its admission, for good.
func TestStatusOfImported(t *testing.T) {
	row := timelineOf(register.DesignationRow{Opened: refAt(10, 5)})
	row.Current.Source = &record.Source{List: "ofac-sdn", ID: "36"}
	for n, want := range map[int]Status{4: StatusAnnounced, 5: StatusInForce, 5000: StatusInForce} {
		if got := row.statusOn(day(n), time.UTC); got != want {
			t.Errorf("day %d: got %s, want %s", n, got, want)
		}
	}
}

// The pauses of any events are apart, in order, and hold exactly the days that
// painting them one over the other gives.
func TestPausesMatchDayByDay(t *testing.T) {
	kinds := []string{"suspension", "reinstatement"}
	spans := []string{"2", "2-3", "2-6", "4", "4-5", "5-7", "3-8"}
	var events [][]string
	for a := range len(spans) {
		for b := range len(spans) * 2 {
			for c := range len(spans) * 2 {
				events = append(events, []string{
					"suspension " + spans[a], kinds[b%2] + " " + spans[b/2], kinds[c%2] + " " + spans[c/2],
				})
			}
		}
	}
	for _, list := range events {
		row := timelineOf(register.DesignationRow{}, list...)
		runs := row.pauses()
		for n := range 12 {
			want := false
			for _, e := range row.Events {
				if !day(n).Before(e.EffectiveOn) && (e.Until == nil || !day(n).After(*e.Until)) {
					want = e.Kind == record.KindSuspension
				}
			}
			if got := slices.ContainsFunc(runs, func(p register.Pause) bool { return p.Contains(day(n)) }); got != want {
				t.Fatalf("%v: day %d paused: got %t, want %t", list, n, got, want)
			}
		}
		for i := 1; i < len(runs); i++ {
			if runs[i-1].Resume == nil || !runs[i-1].Resume.Before(runs[i].From) {
				t.Fatalf("%v: runs %v touch", list, runs)
			}
		}
	}
}

// A record is judged by the newest charter below its index, index 0 by itself.
func TestPeriodsByIndex(t *testing.T) {
	charter := func(index uint64, days int) register.CharterTerms {
		return register.CharterTerms{RecordRef: register.RecordRef{Index: index}, Periods: record.Periods{Response: record.Period{Days: days}}}
	}
	c := asOf{charters: []register.CharterTerms{charter(0, 30), charter(5, 40), charter(9, 50)}}
	for index, want := range map[uint64]int{0: 30, 1: 30, 5: 30, 6: 40, 9: 40, 10: 50, 99: 50} {
		if got := c.periods(index).Response.Days; got != want {
			t.Errorf("index %d: got %d days, want %d", index, got, want)
		}
	}
}

// A civil day is that of the charter in force: a later one with another zone moves neither
// the days before it nor the admission dates of what it did not judge.
func TestZoneOfTheTime(t *testing.T) {
	early, late := time.FixedZone("early", 14*3600), time.FixedZone("late", -5*3600)
	c := asOf{charters: []register.CharterTerms{{RecordRef: refAt(0, 0), Zone: late}, {RecordRef: refAt(7, 50), Zone: early}}}
	for on, want := range map[int]record.Date{-1: day(-1), 10: day(10), 49: day(49), 50: day(51), 60: day(61)} {
		c.instant = noon(on)
		if got := c.withZone().today(); got != want {
			t.Errorf("noon of %s, UTC: today is %s, want %s", day(on), got, want)
		}
	}
	for _, x := range []struct {
		s    register.RecordRef
		want record.Date
	}{{refAt(0, 0), day(0)}, {refAt(6, 50), day(50)}, {refAt(7, 50), day(50)}, {refAt(8, 50), day(51)}} {
		if got := c.admissionDate(x.s); got != x.want {
			t.Errorf("index %d was admitted on %s, want %s", x.s.Index, got, x.want)
		}
	}
}
