package server

import (
	"slices"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// lifePicture is a designation's life drawn as a bar of its days, which a page shows beside the same
// in words. Positions are in thousandths of its width.
type lifePicture struct {
	Bars  []lifeBar
	Marks []lifeMark
	Spans []lifeSpan
	More  bool   // there are spans after the last one
	First string // day at the left edge
	Last  string // at the right
	Words string // what the picture shows, for who does not see it
	When  string // the day asked about: "today", or "on 2027-07-01"
}

// lifeBar is a run of days. Its height says the status too, for who does not tell its colour.
type lifeBar struct {
	Status              view.Status
	X, Y, Width, Height int
}

// lifeHeights are of the sixtieths of the picture's height: the more is restricted, the more.
var lifeHeights = map[view.Status]int{view.StatusAnnounced: 12, view.StatusInForce: 44, view.StatusSuspended: 24, view.StatusExpired: 4, view.StatusRevoked: 4}

type lifeMark struct {
	Class string // "asked" or "due"
	X     int
	Words string
}

type lifeSpan struct {
	view.StatusSpan
	Now bool // it holds on the day asked about
}

const lifeWidth = 1000

// lifeOf draws the life of a designation, nil where it has none on the day asked about.
func lifeOf(q *registerQuery, d view.DesignationDetail, when string) *lifePicture {
	spans := d.Life
	if len(spans) == 0 {
		return nil // its records, in pages, tell it
	}
	day := q.view.LocalDate(q.asOf.At)
	first, last := spans[0].From, spans[len(spans)-1].From
	for _, end := range []*record.Date{d.EffectiveUntil, d.ResponseDue, &day} {
		if end != nil && end.After(last) {
			last = *end
		}
	}
	if day.Before(first) {
		first = day
	}
	// A margin after the last day shows what comes then.
	total := max(last.DaysSince(first), 1)
	last = last.AddDays(max(total/20, 1))
	total = last.DaysSince(first)
	at := func(d record.Date) int { return min(max(d.DaysSince(first), 0)*lifeWidth/total, lifeWidth) }

	p := &lifePicture{First: first.String(), Last: last.String(), More: slices.Contains(d.Cut, "life"), When: when}
	for i, s := range spans {
		end := lifeWidth
		if i+1 < len(spans) {
			end = at(spans[i+1].From)
		}
		p.Bars = append(p.Bars, lifeBar{s.Status, at(s.From), (60 - lifeHeights[s.Status]) / 2, max(end-at(s.From), 1), lifeHeights[s.Status]})
		now := !day.Before(s.From) && (s.Until == nil || !day.After(*s.Until))
		p.Spans = append(p.Spans, lifeSpan{s, now})
		if p.Words != "" {
			p.Words += "; "
		}
		p.Words += statusWords(s.Status) + " from " + s.From.String() + withWord(" until ", s.Until)
	}
	if d.ResponseDue != nil {
		p.Marks = append(p.Marks, lifeMark{"due", at(*d.ResponseDue), "answers due " + d.ResponseDue.String()})
	}
	p.Marks = append(p.Marks, lifeMark{"asked", at(day), ""})
	return p
}
