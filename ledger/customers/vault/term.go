package vault

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/seed-53cf897a/docket/ledger/register/screen"
)

// Kind says what a text is that a customer is found by.
type Kind byte

// The kinds of terms.
const (
	Any     Kind = iota // in a query: whatever the text can be read as
	Name                // of a person or a body, in any script and spelling
	Email               // also "@example.com" in a query: all addresses there
	Phone               // in a query also without the country's code
	IP                  // an address; in a query also a prefix, such as 10.1.2.0/24
	Account             // as the provider writes it, but for case
	Number              // an LEI, a registration number
)

// kindNames are what kinds are called in a query.
var kindNames = [...]string{"any", "name", "email", "phone", "ip", "account", "number"}

// String is the kind's name.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", byte(k))
}

// Term is one text that a customer is found by, or is looked for.
type Term struct {
	Kind Kind
	Text string
}

const (
	maxTerm      = 1024 // bytes of a term
	maxTerms     = 8    // terms of a query
	minPhone     = 5    // digits
	maxPhone     = 20
	phoneTail    = 8 // digits at the end of a telephone number by which it is looked up
	maxSimilar   = 128
	maxNameWords = 32
)

// Check says why a text cannot be read as its kind; nil if it can.
func (t Term) Check() error {
	switch {
	case len(t.Text) > maxTerm:
		return fmt.Errorf("%s of %d bytes; want at most %d", t.Kind, len(t.Text), maxTerm)
	case !utf8.ValidString(t.Text):
		return fmt.Errorf("%s is not UTF-8", t.Kind)
	}
	ok, want := false, ""
	switch t.Kind {
	case Any:
		ok, want = len(t.readings()) > 0, "a name, an e-mail address, a telephone number, an IP address or prefix, an account or a number"
	case Name:
		ok, want = screen.FormOf(t.Text).Own != "", "a name with a letter or a digit"
	case Email:
		_, domain := emailOf(t.Text)
		ok, want = domain != "", "an e-mail address, such as a@b.example, or @b.example for all there"
	case Phone:
		digits, _ := phoneOf(t.Text)
		ok, want = digits != "", fmt.Sprintf("a telephone number of %d to %d digits, such as +49 30 1234567", minPhone, maxPhone)
	case IP:
		p, err := prefixOf(t.Text)
		if err == nil {
			_, err = stepsOf(p)
		}
		if err != nil {
			return fmt.Errorf("ip %q: %w", t.Text, err)
		}
		ok = true
	case Account:
		ok, want = accountOf(t.Text) != "", "an account"
	case Number:
		ok, want = numberOf(t.Text) != "", "a number with a letter or a digit"
	default:
		return fmt.Errorf("%s is no kind of term", t.Kind)
	}
	if !ok {
		return fmt.Errorf("%s %q: want %s", t.Kind, t.Text, want)
	}
	return nil
}

// readings are the kinds that a text of any kind can be read as.
func (t Term) readings() (all []Term) {
	if t.Kind != Any {
		return []Term{t}
	}
	for _, kind := range []Kind{Email, IP, Phone, Account, Number, Name} {
		if r := (Term{kind, t.Text}); r.Check() == nil {
			all = append(all, r)
		}
	}
	return all
}

// ParseQuery reads what somebody types: words are one term of any kind, and "kind:text" is a
// term of its own, up to the next one: `müller ip:10.1.2.0/24 email:a@b.example`. Whoever is
// found fits all terms.
func ParseQuery(text string) ([]Term, error) {
	var query []Term
	last := Term{Kind: Any}
	put := func() error {
		if last.Text = strings.TrimSpace(last.Text); last.Text == "" && last.Kind == Any {
			return nil
		}
		query = append(query, last)
		return last.Check()
	}
	if !utf8.ValidString(text) {
		return nil, errors.New("the query is not UTF-8")
	}
	for word := range strings.FieldsSeq(text) {
		if kind, rest, ok := cutKind(word); ok {
			if err := put(); err != nil {
				return nil, err
			}
			last, word = Term{Kind: kind}, rest
		}
		last.Text += " " + word
	}
	err := put()
	return query, errors.Join(err, checkQuery(query))
}

func checkQuery(query []Term) error {
	if len(query) == 0 || len(query) > maxTerms {
		return fmt.Errorf("a query of %d terms; want 1 to %d, such as a name or ip:10.1.2.0/24", len(query), maxTerms)
	}
	return nil
}

// cutKind reads a kind in front of a word. An IPv6 address has colons, and no kind's name.
func cutKind(word string) (kind Kind, rest string, ok bool) {
	name, rest, ok := strings.Cut(word, ":")
	for k, known := range kindNames {
		if ok && strings.EqualFold(name, known) {
			return Kind(k), rest, true
		}
	}
	return Any, word, false
}

// emailOf is an e-mail address in lower case; its dots and tags stay, since only the one who
// runs the mailbox knows what they mean. local is "" for all of a domain.
func emailOf(text string) (local, domain string) {
	text = strings.ToLower(strings.TrimSpace(text))
	i := strings.LastIndexByte(text, '@')
	if i < 0 || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return "", ""
	}
	return text[:i], strings.TrimSuffix(text[i+1:], ".")
}

// phoneOf are the digits of a telephone number: with the country's code where it begins with
// + or 00, and otherwise without the zeros in front.
func phoneOf(text string) (digits string, international bool) {
	text = strings.ReplaceAll(strings.TrimSpace(text), "(0)", "") // +49 (0)30: dialled within the country alone
	var b strings.Builder
	for i, r := range text {
		switch {
		case '0' <= r && r <= '9':
			b.WriteRune(r)
		case '０' <= r && r <= '９':
			b.WriteRune(r - '０' + '0')
		case (r == '+' || r == '＋') && i == 0:
			international = true
		case unicode.IsSpace(r) || strings.ContainsRune("-–—./()", r):
		default:
			return "", false
		}
	}
	digits = b.String()
	if rest, ok := strings.CutPrefix(digits, "00"); ok && !international {
		digits, international = rest, true
	}
	digits = strings.TrimLeft(digits, "0")
	if len(digits) < minPhone || len(digits) > maxPhone {
		return "", false
	}
	return digits, international
}

// samePhone compares two numbers: by their ends where one has no country's code.
func samePhone(a, b string) bool {
	x, xInternational := phoneOf(a)
	y, yInternational := phoneOf(b)
	switch {
	case x == "" || y == "":
		return false
	case xInternational == yInternational:
		return x == y
	case xInternational:
		return strings.HasSuffix(x, y)
	}
	return strings.HasSuffix(y, x)
}

// tailOf is the end of a number, by which it is looked up with and without its country's code.
func tailOf(digits string) string { return digits[max(0, len(digits)-phoneTail):] }

// prefixOf reads an address, or a prefix of addresses; the bits behind a prefix count for
// nothing.
func prefixOf(text string) (netip.Prefix, error) {
	text = strings.TrimSpace(text)
	if address, bits, ok := strings.Cut(text, "/"); ok {
		p, err := netip.ParsePrefix(text)
		if err != nil || strings.HasPrefix(bits, "0") && bits != "0" {
			return p, errors.New("want a prefix such as 10.1.2.0/24 or 2001:db8::/32")
		}
		if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		} else if a.Is4In6() {
			return p, fmt.Errorf("%s/%s holds more than IPv4 addresses", address, bits)
		}
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, errors.New("want an address such as 10.1.2.3, or a prefix such as 10.1.2.0/24")
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// Lengths of the prefixes that an address has rows for. Between two there are at most three
// bits, so that a prefix of any other length is at most eight of those; from an IPv6 host's
// /64 on, the addresses under it are looked at one by one.
var (
	steps4 = []int{8, 12, 16, 20, 24, 28, 32}
	steps6 = []int{20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64, 128}
)

func stepsFor(a netip.Addr) []int {
	if a.Is4() {
		return steps4
	}
	return steps6
}

// stepsOf are the prefixes with rows under which the addresses of a prefix lie.
func stepsOf(p netip.Prefix) ([]netip.Prefix, error) {
	steps := stepsFor(p.Addr())
	for _, step := range steps {
		switch {
		case step < p.Bits():
			continue
		case p.Bits() <= steps[0]-4:
			return nil, fmt.Errorf("/%d is too wide; want at most /%d", p.Bits(), steps[0]-3)
		case step-p.Bits() > 3:
			q, err := p.Addr().Prefix(64)
			return []netip.Prefix{q}, err
		}
		var all []netip.Prefix
		bytes := p.Addr().AsSlice()
		for i := range 1 << (step - p.Bits()) {
			under := [16]byte{}
			copy(under[:], bytes)
			for bit := range step - p.Bits() {
				if i>>bit&1 == 1 {
					at := step - 1 - bit
					under[at/8] |= 0x80 >> (at % 8)
				}
			}
			a, _ := netip.AddrFromSlice(under[:len(bytes)])
			all = append(all, netip.PrefixFrom(a, step))
		}
		return all, nil
	}
	return nil, errors.New("no such prefix") // a length is at most the last step
}

// accountOf is an account as it is compared.
func accountOf(text string) string { return strings.ToLower(strings.TrimSpace(text)) }

// numberOf is an identifier as it is compared: letters and digits alone, in upper case.
func numberOf(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToUpper(r)
		}
		return -1
	}, text)
}
