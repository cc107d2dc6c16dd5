package demo

import (
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

const timeZone = "America/New_York"

// scenarioDates are computed from today, so that the story is always about now.
type scenarioDates struct {
	today, from, until, due, windDown record.Date
	year                              int
}

func newScenarioDates(now time.Time) (scenarioDates, error) {
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
