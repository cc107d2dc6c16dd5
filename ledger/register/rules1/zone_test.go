package rules1

import (
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// A date is over in a zone at an instant, the last time that the clock shows 24:00 of it.
func TestDateIn(t *testing.T) {
	for _, c := range []struct {
		zone string
		date record.Date
		over string
		why  string
	}{
		{"UTC", record.Date{Year: 2026, Month: 12, Day: 31}, "2027-01-01T00:00:00Z", "a year's end"},
		{"America/New_York", record.Date{Year: 2027, Month: 1, Day: 8}, "2027-01-09T05:00:00Z", "winter"},
		{"America/New_York", record.Date{Year: 2027, Month: 7, Day: 8}, "2027-07-09T04:00:00Z", "summer"},
		{"America/New_York", record.Date{Year: 2027, Month: 3, Day: 14}, "2027-03-15T04:00:00Z", "a day of 23 hours"},
		{"America/New_York", record.Date{Year: 2028, Month: 2, Day: 29}, "2028-03-01T05:00:00Z", "a leap day"},
		{"America/Sao_Paulo", record.Date{Year: 2018, Month: 11, Day: 3}, "2018-11-04T03:00:00Z", "clocks skip midnight"},
		{"America/Havana", record.Date{Year: 2027, Month: 3, Day: 13}, "2027-03-14T05:00:00Z", "clocks skip midnight"},
		{"America/Asuncion", record.Date{Year: 2024, Month: 3, Day: 23}, "2024-03-24T04:00:00Z", "24:00 comes twice"},
		{"America/St_Johns", record.Date{Year: 2010, Month: 11, Day: 6}, "2010-11-07T03:30:00Z", "back at 00:01 into the day before"},
		{"Pacific/Apia", record.Date{Year: 2011, Month: 12, Day: 29}, "2011-12-30T10:00:00Z", "the next day never was"},
		{"Pacific/Apia", record.Date{Year: 2011, Month: 12, Day: 30}, "2011-12-30T10:00:00Z", "a day that never was"},
		{"Asia/Kathmandu", record.Date{Year: 2026, Month: 11, Day: 23}, "2026-11-23T18:15:00Z", "45 minutes"},
	} {
		loc, err := Location(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		over, err := time.Parse(time.RFC3339, c.over)
		if err != nil {
			t.Fatal(err)
		}
		if at, before := DateIn(over, loc), DateIn(over.Add(-time.Nanosecond), loc); at.Compare(c.date) <= 0 || before.Compare(c.date) > 0 {
			t.Errorf("%s %v (%s): it is %v at %s, %v just before", c.zone, c.date, c.why, at, c.over, before)
		}
	}
}

func TestLocationRefuses(t *testing.T) {
	for _, name := range []string{"", "Local", "local", "america/new_york", "America", "America/", "../etc/passwd", "EST5EDT4"} {
		if _, err := Location(name); err == nil {
			t.Errorf("Location(%q) is a time zone", name)
		}
	}
}

// The clock of the far future comes from the zone's own rule, not from a table's end.
func TestLocationReachesFar(t *testing.T) {
	loc, err := Location("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	if name, _ := time.Date(2199, 7, 1, 12, 0, 0, 0, loc).Zone(); name != "EDT" {
		t.Errorf("in July 2199: got %s, want EDT", name)
	}
}
