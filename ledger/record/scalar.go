package record

import "time"

// PEM is a public key as PKIX PEM, LF, one final newline, equal to its own
// re-marshalled form.
type PEM string

// Instant is an RFC 3339 instant with Z and 0–3 fraction digits.
type Instant struct{ time.Time }

// Date is a civil date, inclusive wherever it ends something (RECORDS.md "Dates").
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// Period is a civil period: PnY, PnM, PnW, PnD or PnYnMnD.
type Period struct{ Years, Months, Days int }
