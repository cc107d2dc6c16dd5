package demo

import (
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// What goes unanswered is known on the day after its last day, and the demo runs within one.
// No clock is set for that: every instant is true. The office's calendar moves, by its second
// charter, across the date line, as Samoa's did at the end of 2011: these two zones are 24 hours
// apart all year, so that it is the same time of the next day.
const (
	zoneAtFirst   = "Pacific/Pago_Pago" // UTC-11
	zoneAfterMove = "Pacific/Apia"      // UTC+13
)

// scenarioDates are computed from today, so that the story is always about now.
type scenarioDates struct {
	today, from, until, due, windDown record.Date
	year                              int
}

// newScenarioDates are those of an instant in a time zone.
func newScenarioDates(now time.Time, timeZone string) (scenarioDates, error) {
	zone, err := rules1.Location(timeZone)
	if err != nil {
		return scenarioDates{}, err
	}
	today := rules1.DateIn(now, zone)
	from := today.AddDays(190)
	return scenarioDates{
		today: today, from: from, until: from.Add(record.Period{Years: 1}).AddDays(-1),
		due: today.AddDays(46), windDown: from.AddDays(-17), year: today.Year,
	}, nil
}
