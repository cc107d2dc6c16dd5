package record

import (
	"encoding/json"
	"testing"
	"time"
)

func TestDateAdd(t *testing.T) {
	for _, c := range []struct{ from, period, want string }{
		{"2026-01-31", "P1M", "2026-02-28"},
		{"2028-01-31", "P1M", "2028-02-29"},
		{"2026-01-31", "P2M", "2026-03-31"},
		{"2026-03-31", "P1M", "2026-04-30"},
		{"2028-02-29", "P1Y", "2029-02-28"},
		{"2028-02-29", "P4Y", "2032-02-29"},
		{"2096-02-29", "P4Y", "2100-02-28"}, // no leap year
		{"2026-12-01", "P1Y", "2027-12-01"},
		{"2027-12-01", "P365D", "2028-11-30"}, // a leap year lies between
		{"2026-11-23", "P180D", "2027-05-22"},
		{"2026-11-23", "P0D", "2026-11-23"},
		{"2026-11-30", "P14M", "2028-01-30"},
		{"2026-12-31", "P2W", "2027-01-14"},
		{"2026-01-31", "P0Y1M1D", "2026-03-01"}, // clamped before the day is added
		{"2027-01-31", "P1Y1M1D", "2028-03-01"},
		{"2026-12-31", "P0Y2M0D", "2027-02-28"},
	} {
		from, err := ParseDate(c.from)
		if err != nil {
			t.Fatal(err)
		}
		p, err := parsePeriod(c.period)
		if err != nil {
			t.Fatal(err)
		}
		if got := from.Add(p).String(); got != c.want {
			t.Errorf("%s + %s: got %s, want %s", c.from, c.period, got, c.want)
		}
		at := time.Date(from.Year, from.Month, from.Day, 23, 59, 58, 7e6, time.UTC)
		if got := (Instant{at}).Add(p).String(); got != c.want+"T23:59:58.007Z" {
			t.Errorf("%s + %s as an instant: got %s", c.from, c.period, got)
		}
	}
}

// TestPeriodAddToIsUTC: the instant's own zone does not count.
func TestPeriodAddToIsUTC(t *testing.T) {
	zone := time.FixedZone("far", 14*3600)
	at := time.Date(2026, 2, 1, 1, 0, 0, 0, zone) // 31 January 11:00 UTC
	if got, want := (Period{Months: 1}).AddTo(at), time.Date(2026, 2, 28, 11, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestDateOrder(t *testing.T) {
	days := []string{"1000-01-01", "2026-01-31", "2026-02-01", "2026-12-31", "2027-01-01", "9999-12-31"}
	for i, a := range days {
		for j, b := range days {
			x, y := mustDate(a), mustDate(b)
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := x.Compare(*y); got != want || x.Before(*y) != (want < 0) || x.After(*y) != (want > 0) {
				t.Errorf("%s against %s: got %d", a, b, got)
			}
		}
	}
	if got := mustDate("2027-03-01").AddDays(-1).String(); got != "2027-02-28" {
		t.Errorf("the day before 1 March: %s", got)
	}
}

func TestScalarsRefuse(t *testing.T) {
	for _, s := range []string{"", "2026-1-01", "2026-02-29", "2026-13-01", "2026-00-10", "2026-04-31", "0999-01-01", "26-01-01", "2026-01-01 ", "2026/01/01", "+026-01-01", "２026-01-01"} {
		if d, err := ParseDate(s); err == nil {
			t.Errorf("date %q: got %v", s, d)
		}
	}
	for _, s := range []string{"", "2026-01-01T00:00:00", "2026-01-01T00:00:00+00:00", "2026-01-01t00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00,1Z", "2026-01-01T00:00:00.1234Z", "2026-02-30T00:00:00Z", "2026-01-01 00:00:00Z", "2026-01-01T0:00:00Z"} {
		if i, err := parseInstant(s); err == nil {
			t.Errorf("instant %q: got %v", s, i)
		}
	}
	for _, s := range []string{"", "P", "1D", "P1", "PD", "P-1D", "P1.5D", "P01D", "P1D1Y", "P1Y1Y", "P1Y6M", "P1Y1W", "PT1H", "p1d", "P12345D", "P1Y2M3D4D", "P1YMD"} {
		if p, err := parsePeriod(s); err == nil {
			t.Errorf("period %q: got %v", s, p)
		}
	}
}

func TestScalarsRoundTrip(t *testing.T) {
	for in, want := range map[string]string{"2026-11-23T18:19:04Z": "", "2026-11-23T18:19:04.1Z": "", "2026-11-23T18:19:04.123Z": "", "2026-11-23T18:19:04.120Z": "2026-11-23T18:19:04.12Z", "2026-11-23T18:19:04.000Z": "2026-11-23T18:19:04Z"} {
		if want == "" {
			want = in
		}
		i, err := parseInstant(in)
		if err != nil || i.String() != want {
			t.Errorf("%s: got %s, %v", in, i, err)
		}
	}
	for in, want := range map[string]string{"P1Y": "P1Y", "P6M": "P6M", "P2W": "P14D", "P30D": "P30D", "P0D": "P0D", "P0Y": "P0D", "P1Y2M3D": "P1Y2M3D", "P1Y0M0D": "P1Y", "P9999D": "P9999D"} {
		p, err := parsePeriod(in)
		if err != nil || p.String() != want {
			t.Errorf("%s: got %s, %v, want %s", in, p, err, want)
		}
		if again, err := parsePeriod(p.String()); err != nil || again != p {
			t.Errorf("%s: read again: %v, %v", in, again, err)
		}
	}
	type all struct {
		D Date
		I Instant
		P Period
	}
	in := all{*mustDate("2026-11-23"), Instant{time.Date(2026, 11, 23, 1, 2, 3, 4e6, time.UTC)}, Period{Years: 1}}
	raw, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"D":"2026-11-23","I":"2026-11-23T01:02:03.004Z","P":"P1Y"}`; string(raw) != want {
		t.Errorf("got %s, want %s", raw, want)
	}
	var out all
	if err := json.Unmarshal(raw, &out); err != nil || out != in {
		t.Errorf("got %+v, %v", out, err)
	}
}

func TestDateOf(t *testing.T) {
	zone := time.FixedZone("EST", -5*3600)
	if got := DateOf(time.Date(2026, 12, 1, 4, 59, 59, 0, time.UTC), zone).String(); got != "2026-11-30" {
		t.Errorf("got %s", got)
	}
}
