package event

import (
	"regexp"
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// What is taken in obeys more than what is read back, so that a rule that is added leaves
// readable what is logged already.

// checkInput adds the faults of a content that is to be logged; the decoder stands at it.
func checkInput(d *schema.Decoder, in Input, content schema.Object) {
	eachString(d, content, "", func(name, text string) {
		switch {
		case name == "telephone":
			if n := digits(text); n > maxTelephone {
				d.Fault("has %d digits, and a telephone number 15 at most, the country's code included (ITU-T E.164)", n)
			}
		case slices.Contains(numbers, name):
			if shortened.MatchString(text) {
				d.Fault("is %s, which a spreadsheet has made of a long number: write the number anew, in a column that is formatted as text", schema.Quote(text))
			}
			if name == "reference" && HasCard(text) && !CardNumber(text) { // which is told already
				d.Fault("%s", wholeCard)
			}
		case !slices.Contains(machines, name) && HasCard(text):
			d.Fault("%s", wholeCard)
		}
	})
	if v, ok := in.Content.(*Verified); ok && v != nil && v.Outcome == "verified" && v.Document != nil && v.Document.ExpiresOn != nil {
		// Somewhere it is still the day before.
		if day := record.DateOf(in.Time, time.UTC).AddDays(-1); day.After(*v.Document.ExpiresOn) {
			faultAt(d, "is "+v.Document.ExpiresOn.String()+", before the verification: verify by a document that is valid, or write the outcome unverifiable", "document", "expiresOn")
		}
	}
}

const (
	maxTelephone = 15 // digits, ITU-T E.164
	wholeCard    = "holds what looks like a whole card number, which this log must not hold: write its last four digits"
)

var (
	// numbers are the elements that hold long numbers, which spreadsheets shorten.
	numbers = []string{"reference", "registrationNumber", "number"}
	// machines are the elements whose long rows of digits are no card's.
	machines = []string{"account", "email", "lei", "ip", "agent", "numberCommitted", "record", "thread", "request", "matched"}
	// shortened is how spreadsheets show a number that is too long for them.
	shortened = regexp.MustCompile(`^[0-9]([.,][0-9]+)?E\+[0-9]+$`)
)

// eachString calls f with each text of a value and the name of the member that it is in, while
// the decoder stands there.
func eachString(d *schema.Decoder, value any, name string, f func(name, text string)) {
	switch v := value.(type) {
	case string:
		f(name, v)
	case schema.Object:
		for _, m := range v {
			d.Enter(m.Name)
			eachString(d, m.Value, m.Name, f)
			d.Leave()
		}
	case []any:
		for i, item := range v {
			d.EnterItem(i)
			eachString(d, item, name, f)
			d.Leave()
		}
	}
}

func digits(s string) (n int) {
	for i := range len(s) {
		if s[i] >= '0' && s[i] <= '9' {
			n++
		}
	}
	return n
}

// HasCard tells whether a text has the number of a payment card somewhere in it: 13 to 19
// digits, together or in the groups that cards have, that begin as those of cards do (ISO/IEC
// 7812-1) and pass its check.
func HasCard(s string) bool { return MaskCards(s) != s }

var (
	cardRun = regexp.MustCompile(`[0-9]+`)
	// grouped is how cards print their numbers.
	grouped = regexp.MustCompile(`\b([0-9]{4}[ -][0-9]{4}[ -][0-9]{4}[ -][0-9]{4}|[0-9]{4}[ -][0-9]{6}[ -][0-9]{5})\b`)
)

// minCard and maxCard are how many digits a card's number has.
const minCard, maxCard = 13, 19

// MaskCards is a text with an x for each digit but the last four of the card numbers in it.
func MaskCards(s string) string {
	if digits(s) < minCard {
		return s // as nearly all are, and the expressions are slow
	}
	mask := func(run string) string {
		var plain []byte
		for i := range len(run) {
			if run[i] >= '0' && run[i] <= '9' {
				plain = append(plain, run[i]-'0')
			}
		}
		if n := len(plain); n < minCard || n > maxCard || !cardStart(plain) || !luhn(plain) {
			return run
		}
		masked, left := []byte(run), len(plain)-4
		for i := range masked {
			if masked[i] >= '0' && masked[i] <= '9' && left > 0 {
				masked[i] = 'x'
				left--
			}
		}
		return string(masked)
	}
	return grouped.ReplaceAllStringFunc(cardRun.ReplaceAllStringFunc(s, mask), mask)
}

// cardStart tells whether digits begin as payment cards' do: 3 to 6, and 22 to 27.
func cardStart(digits []byte) bool {
	return digits[0] >= 3 && digits[0] <= 6 || digits[0] == 2 && digits[1] >= 2 && digits[1] <= 7
}
