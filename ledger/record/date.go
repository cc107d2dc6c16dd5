package record

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// Instant is an RFC 3339 instant with Z and 0–3 fraction digits.
type Instant struct{ time.Time }

// Date is a civil date, inclusive wherever it ends something (RECORDS.md "Dates").
// The zero Date is no date.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// Period is a civil period: PnY, PnM, PnW, PnD or PnYnMnD.
type Period struct{ Years, Months, Days int }

// The texts of dates, instants and periods, as a JSON Schema says them.
var (
	dateSchema    = schema.ObjectOf("type", "string", "format", "date", "pattern", `^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}$`)
	instantSchema = schema.ObjectOf("type", "string", "format", "date-time", "pattern", `^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,3})?Z$`)
	periodSchema  = schema.ObjectOf("type", "string", "pattern", `^P((0|[1-9][0-9]{0,3})[YMWD]|(0|[1-9][0-9]{0,3})Y(0|[1-9][0-9]{0,3})M(0|[1-9][0-9]{0,3})D)$`)
)

// parseInstant reads exactly 2026-11-23T18:19:04Z, with at most three fraction
// digits. There is no 24:00, no leap second and no year before 1000.
func parseInstant(s string) (Instant, error) {
	bad := fmt.Errorf("%q is not an instant like 2026-11-23T18:19:04Z (UTC, at most 3 fraction digits)", s)
	// Fixed columns first: time.Parse also takes a comma and other widths.
	if len(s) < len("2006-01-02T15:04:05Z") || s[10] != 'T' || s[13] != ':' || s[16] != ':' || s[len(s)-1] != 'Z' {
		return Instant{}, bad
	}
	d, err := ParseDate(s[:10])
	if err != nil {
		return Instant{}, bad
	}
	hour, ok1 := digits(s[11:13])
	minute, ok2 := digits(s[14:16])
	second, ok3 := digits(s[17:19])
	if !ok1 || !ok2 || !ok3 || hour > 23 || minute > 59 || second > 59 {
		return Instant{}, bad
	}
	nanos := 0
	if fraction := s[19 : len(s)-1]; fraction != "" {
		n, ok := digits(fraction[1:])
		if !ok || fraction[0] != '.' || len(fraction) > 4 {
			return Instant{}, bad
		}
		nanos = n * [...]int{0, 1e8, 1e7, 1e6}[len(fraction)-1]
	}
	return Instant{time.Date(d.Year, d.Month, d.Day, hour, minute, second, nanos, time.UTC)}, nil
}

// String is the shortest text that [parseInstant] reads back, whole milliseconds.
func (i Instant) String() string { return string(i.Append(make([]byte, 0, 24))) }

// Append appends [Instant.String].
func (i Instant) Append(b []byte) []byte {
	return i.UTC().Truncate(time.Millisecond).AppendFormat(b, time.RFC3339Nano) // its digits are those of milliseconds
}

func (i Instant) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// MarshalJSON stands before the embedded time's own, which writes nanoseconds.
func (i Instant) MarshalJSON() ([]byte, error) { return []byte(`"` + i.String() + `"`), nil }

// UnmarshalText is [parseInstant].
func (i *Instant) UnmarshalText(text []byte) error {
	v, err := parseInstant(string(text))
	*i = v
	return err
}

// UnmarshalJSON stands before the embedded time's own, which is laxer.
func (i *Instant) UnmarshalJSON(raw []byte) error {
	s, err := strconv.Unquote(string(raw))
	if err != nil {
		return fmt.Errorf("an instant is a JSON string, not %s", raw)
	}
	return i.UnmarshalText([]byte(s))
}

// ParseDate reads exactly 2026-11-23: a day that exists, from the year 1000 on.
func ParseDate(s string) (Date, error) {
	if len(s) != len("2006-01-02") || s[4] != '-' || s[7] != '-' {
		return Date{}, fmt.Errorf("%q is not a date like 2026-11-23", s)
	}
	year, ok1 := digits(s[:4])
	month, ok2 := digits(s[5:7])
	day, ok3 := digits(s[8:])
	if !ok1 || !ok2 || !ok3 {
		return Date{}, fmt.Errorf("%q is not a date like 2026-11-23", s)
	}
	d := Date{year, time.Month(month), day}
	if year < 1000 || month < 1 || month > 12 || day < 1 || day > d.daysInMonth() {
		return Date{}, fmt.Errorf("%q is no day of the calendar", s)
	}
	return d, nil
}

// DateOf is the civil date of an instant in a time zone.
func DateOf(t time.Time, zone *time.Location) Date {
	y, m, d := t.In(zone).Date()
	return Date{y, m, d}
}

func (d Date) String() string               { return fmt.Sprintf("%04d-%02d-%02d", d.Year, int(d.Month), d.Day) }
func (d Date) IsZero() bool                 { return d == Date{} }
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText is [ParseDate].
func (d *Date) UnmarshalText(text []byte) error {
	v, err := ParseDate(string(text))
	*d = v
	return err
}

// MarshalBinary is four bytes, which sort as the dates do.
func (d Date) MarshalBinary() ([]byte, error) {
	return binary.BigEndian.AppendUint32(nil, uint32(d.ordinal())), nil
}

// UnmarshalBinary takes what MarshalBinary makes of the dates that [ParseDate] reads.
func (d *Date) UnmarshalBinary(b []byte) error {
	if len(b) != 4 {
		return fmt.Errorf("a date has 4 bytes, not %d", len(b))
	}
	n := int(binary.BigEndian.Uint32(b))
	v := Date{n >> 9, time.Month(n >> 5 & 15), n & 31}
	if v.Year < 1000 || v.Year > 9999 || v.Month < 1 || v.Month > 12 || v.Day < 1 || v.Day > v.daysInMonth() {
		return fmt.Errorf("%x is no day of the calendar", b)
	}
	*d = v
	return nil
}

// Compare is −1, 0 or +1: d before, on or after other.
func (d Date) Compare(other Date) int {
	return cmp.Compare(d.ordinal(), other.ordinal())
}

func (d Date) Before(other Date) bool { return d.ordinal() < other.ordinal() }
func (d Date) After(other Date) bool  { return d.ordinal() > other.ordinal() }

// ordinal orders dates; it does not count days.
// DaysSince is how many days d comes after an earlier date.
func (d Date) DaysSince(earlier Date) int {
	midnight := func(d Date) time.Time { return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC) }
	return int(midnight(d).Sub(midnight(earlier)) / (24 * time.Hour))
}

func (d Date) ordinal() int { return d.Year<<9 | int(d.Month)<<5 | d.Day }

func (d Date) daysInMonth() int {
	// Day 0 of the next month is the last of this one.
	return time.Date(d.Year, d.Month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// Add is civil addition (RECORDS.md "Dates"): years and months first, the day
// clamped to the month's last, then days. So 31 January + P1M is the last of
// February, and 29 February + P1Y is 28 February.
func (d Date) Add(p Period) Date {
	months := (d.Year+p.Years)*12 + int(d.Month-1) + p.Months
	moved := Date{months / 12, time.Month(months%12 + 1), 1}
	moved.Day = min(d.Day, moved.daysInMonth())
	return moved.AddDays(p.Days)
}

// AddDays is the date n days later, or earlier where n is negative.
func (d Date) AddDays(n int) Date {
	y, m, day := time.Date(d.Year, d.Month, d.Day+n, 0, 0, 0, 0, time.UTC).Date()
	return Date{y, m, day}
}

// parsePeriod reads PnY, PnM, PnW, PnD or PnYnMnD: whole numbers to 9999 without
// leading zeros. P2W is P14D.
func parsePeriod(s string) (Period, error) {
	bad := fmt.Errorf("%q is not a period like P30D, P2W, P6M, P1Y or P1Y6M0D", s)
	rest, ok := strings.CutPrefix(s, "P")
	if !ok {
		return Period{}, bad
	}
	var p Period
	var units string
	for rest != "" {
		end := strings.IndexAny(rest, "YMWD")
		if end < 0 || end > 4 {
			return Period{}, bad
		}
		n, ok := digits(rest[:end])
		if !ok || end > 1 && rest[0] == '0' {
			return Period{}, bad
		}
		switch rest[end] {
		case 'Y':
			p.Years = n
		case 'M':
			p.Months = n
		case 'W':
			p.Days = 7 * n
		case 'D':
			p.Days = n
		}
		units += rest[end : end+1]
		rest = rest[end+1:]
	}
	switch units {
	case "Y", "M", "W", "D", "YMD":
		return p, nil
	}
	return Period{}, bad
}

// String is the period in one unit where one is enough, else PnYnMnD.
func (p Period) String() string {
	switch {
	case p.Years == 0 && p.Months == 0:
		return fmt.Sprintf("P%dD", p.Days)
	case p.Months == 0 && p.Days == 0:
		return fmt.Sprintf("P%dY", p.Years)
	case p.Years == 0 && p.Days == 0:
		return fmt.Sprintf("P%dM", p.Months)
	}
	return fmt.Sprintf("P%dY%dM%dD", p.Years, p.Months, p.Days)
}

func (p Period) IsZero() bool                 { return p == Period{} }
func (p Period) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText is [parsePeriod].
func (p *Period) UnmarshalText(text []byte) error {
	v, err := parsePeriod(string(text))
	*p = v
	return err
}

// AddTo adds the period to an instant: the civil rule on its UTC date, the time
// of day kept.
func (p Period) AddTo(t time.Time) time.Time {
	t = t.UTC()
	d := DateOf(t, time.UTC).Add(p)
	return time.Date(d.Year, d.Month, d.Day, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// Add is the instant one period later, in UTC.
func (i Instant) Add(p Period) Instant { return Instant{p.AddTo(i.Time)} }

// digits reads one or more decimal digits and nothing else.
func digits(s string) (n int, ok bool) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, s != ""
}
