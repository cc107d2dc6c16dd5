package event

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// What is known of a customer follows the data elements of the proposed 15 CFR 7.302(d).
// What a programme demands of them, and for whom, package programme says.

// Opened is the content of the first event of a customer.
type Opened struct {
	Account            string       `json:"account" rule:"required max=200" doc:"the provider's own name of the account" eg:"acct-20417"`
	Type               string       `json:"type" rule:"required enum=person|entity" doc:"whether a natural person or an entity is the customer" eg:"entity"`
	Name               string       `json:"name" rule:"required max=400" doc:"full legal name" eg:"Marsh Lantern Trading"`
	Country            string       `json:"country,omitempty" rule:"usual fmt=country" doc:"ISO 3166-1 alpha-2: of the person's residence, of the entity's law" eg:"XB"`
	Address            *Address     `json:"address,omitempty" rule:"usual" doc:"of residence, of the seat"`
	Email              []string     `json:"email,omitempty" rule:"usual max=320 items=20" doc:"addresses of e-mail" eg:"desk@marsh.example"`
	Telephone          []string     `json:"telephone,omitempty" rule:"usual max=40 items=20" doc:"with the country's code" eg:"+99 555 0101"`
	IP                 []netip.Addr `json:"ip,omitempty" rule:"items=100" doc:"addresses known when the account was opened" eg:"192.0.2.7"`
	Payment            []Payment    `json:"payment,omitempty" rule:"usual items=20" doc:"means and source of payment"`
	BusinessPlace      *Address     `json:"businessPlace,omitempty" doc:"of an entity: principal place of business"`
	Owners             []Owner      `json:"owners,omitempty" rule:"items=100" doc:"of an entity: its beneficial owners"`
	RegistrationNumber string       `json:"registrationNumber,omitempty" rule:"max=100" doc:"of an entity, in its country's register"`
	LEI                string       `json:"lei,omitempty" rule:"fmt=lei" doc:"of an entity: ISO 17442"`
	Foreign            *bool        `json:"foreign,omitempty" rule:"usual" doc:"whether the customer is a foreign person" eg:"true"`
}

// Address is one address.
type Address struct {
	Full    string `json:"full" rule:"required max=1000" doc:"in one line" eg:"12 Quay Street, Port Salt"`
	Country string `json:"country,omitempty" rule:"usual fmt=country" doc:"ISO 3166-1 alpha-2" eg:"XB"`
}

// Payment is one means of payment. A whole card number has no place here.
type Payment struct {
	Kind      string `json:"kind" rule:"required enum=card|bank|wallet|invoice|other" doc:"means of payment" eg:"card"`
	Reference string `json:"reference,omitempty" rule:"usual max=100" doc:"the source, as far as it may be kept: of a card the last four digits" eg:"4242"`
}

// Owner is a beneficial owner.
type Owner struct {
	Name      string   `json:"name" rule:"required max=400" doc:"full legal name" eg:"Ilse Marsh"`
	Country   string   `json:"country,omitempty" rule:"usual fmt=country" doc:"ISO 3166-1 alpha-2" eg:"XB"`
	Address   *Address `json:"address,omitempty" doc:"of residence, of the seat"`
	Email     []string `json:"email,omitempty" rule:"max=320 items=20" doc:"addresses of e-mail"`
	Telephone []string `json:"telephone,omitempty" rule:"max=40 items=20" doc:"with the country's code"`
}

// Kind is KindOpened.
func (*Opened) Kind() Kind { return KindOpened }

func (o *Opened) check(d *schema.Decoder) {
	eachText(d, "email", o.Email, emailFault)
	eachText(d, "telephone", o.Telephone, telephoneFault)
	for i, p := range o.Payment {
		if fault := paymentFault(p.Reference); fault != "" {
			faultAt(d, fault, "payment", i, "reference")
		}
	}
	for i, w := range o.Owners {
		d.Enter("owners")
		d.EnterItem(i)
		eachText(d, "email", w.Email, emailFault)
		eachText(d, "telephone", w.Telephone, telephoneFault)
		d.Leave()
		d.Leave()
	}
	if o.Type == "person" {
		for _, name := range []string{"businessPlace", "owners", "lei"} {
			if f := KindOpened.Shape().Field(name); !f.IsAbsent(f.Of(reflect.ValueOf(o).Elem())) {
				faultAt(d, "is of an entity only, and the customer is a person", name)
			}
		}
	}
}

// faultAt adds a fault at a path of names and items below where the decoder stands.
func faultAt(d *schema.Decoder, detail string, path ...any) {
	for _, step := range path {
		if i, ok := step.(int); ok {
			d.EnterItem(i)
		} else {
			d.Enter(step.(string))
		}
	}
	d.Fault("%s", detail)
	for range path {
		d.Leave()
	}
}

func eachText(d *schema.Decoder, name string, texts []string, fault func(string) string) {
	for i, s := range texts {
		if detail := fault(s); detail != "" {
			faultAt(d, detail, name, i)
		}
	}
}

func emailFault(s string) string {
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || domain == "" || strings.ContainsAny(s, " <>,;") || strings.Contains(domain, "@") {
		return "is " + schema.Quote(s) + "; want one address of e-mail like desk@marsh.example"
	}
	return ""
}

func telephoneFault(s string) string {
	digits := 0
	for i, r := range s {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case r == '+' && i == 0, strings.ContainsRune(" -./()", r):
		default:
			return "is " + schema.Quote(s) + "; want digits, with the country's code: +99 555 0101"
		}
	}
	if digits < 3 || digits > 20 {
		return "is " + schema.Quote(s) + "; want 3 to 20 digits"
	}
	return ""
}

func paymentFault(s string) string {
	for _, r := range s {
		if r > unicode.MaxASCII && unicode.IsDigit(r) {
			return "has digits other than 0 to 9: write it with those"
		}
	}
	if CardNumber(s) {
		return "looks like a whole card number, which this log must not hold: write its last four digits"
	}
	return ""
}

// CardNumber tells whether a text holds the number of a payment card: 12 to 19 digits in a
// row, perhaps with spaces and hyphens between them, that pass the check of ISO/IEC 7812-1
// (Luhn). Of a longer row the first group is judged, and what is grouped as cards are.
func CardNumber(s string) bool {
	var groups []int // lengths
	var run []byte
	for i := range len(s) + 1 {
		switch {
		case i < len(s) && s[i] >= '0' && s[i] <= '9':
			if len(run) == 0 || s[i-1] < '0' {
				groups = append(groups, 0)
			}
			groups[len(groups)-1]++
			run = append(run, s[i]-'0')
		case i < len(s) && (s[i] == ' ' || s[i] == '-'):
		default:
			if cardWithin(run, groups) {
				return true
			}
			run, groups = run[:0], groups[:0]
		}
	}
	return false
}

func cardWithin(run []byte, groups []int) bool {
	isCard := func(n int) bool { return n >= 12 && n <= 19 && luhn(run[:n]) }
	if len(run) < 12 {
		return false
	}
	return isCard(len(run)) || isCard(groups[0]) ||
		len(groups) > 4 && slices.Equal(groups[:4], []int{4, 4, 4, 4}) && isCard(16) ||
		len(groups) > 3 && slices.Equal(groups[:3], []int{4, 6, 5}) && isCard(15)
}

func luhn(digits []byte) bool {
	sum := 0
	for i, d := range digits {
		n := int(d)
		if (len(digits)-i)%2 == 0 {
			if n *= 2; n > 9 {
				n -= 9
			}
		}
		sum += n
	}
	return sum%10 == 0
}

// Changed replaces elements of what [Opened] said, each as a whole.
type Changed struct {
	Set    schema.Object `json:"set,omitempty" rule:"usual" doc:"elements and their new values; a list is replaced whole"`
	Unset  []string      `json:"unset,omitempty" rule:"enum=country|address|email|telephone|ip|payment|businessPlace|owners|registrationNumber|lei|foreign" doc:"elements that are taken away"`
	Reason string        `json:"reason,omitempty" rule:"fmt=lines max=2000" doc:"why, for people"`
	By     string        `json:"by,omitempty" rule:"max=100" doc:"whose decision it was: a post, or a system" eg:"compliance-1"`
}

// Kind is KindChanged.
func (*Changed) Kind() Kind { return KindChanged }

// check also writes what is set in its one way, so that one change has one content.
func (c *Changed) check(d *schema.Decoder) {
	if len(c.Set) == 0 && len(c.Unset) == 0 {
		d.Fault("changes nothing: write set or unset")
	}
	if c.Set.Lookup("account") != nil {
		faultAt(d, "never changes: close this account and open the other", "set", "account")
	}
	for i, name := range c.Unset {
		if c.Set.Lookup(name) != nil {
			faultAt(d, "is set and unset", "unset", i)
		}
	}
	d.Enter("set")
	var elements Opened
	c.decodeSet(d, &elements)
	elements.check(d)
	d.Leave()
	set := c.Set
	c.Set = nil
	for _, f := range KindOpened.Shape().Fields {
		if set.Lookup(f.Name) == nil {
			continue
		}
		value := f.Of(reflect.ValueOf(&elements).Elem())
		if f.IsAbsent(value) {
			faultAt(d, "is empty: write it under unset", "set", f.Name)
			continue
		}
		v, err := schema.ParseJSON(schema.AppendValue(nil, value, f.Shape))
		if err != nil {
			panic("event: encoding " + f.Name + ": " + err.Error())
		}
		c.Set = append(c.Set, schema.Member{Name: f.Name, Value: v})
	}
}

func (c *Changed) decodeSet(d *schema.Decoder, to *Opened) {
	for _, m := range c.Set {
		f := KindOpened.Shape().Field(m.Name)
		value := f.Of(reflect.ValueOf(to).Elem())
		value.SetZero()
		d.Enter(m.Name)
		d.Value(m.Value, f.Shape, value)
		d.Leave()
	}
}

// elements are the names of what it changes.
func (c *Changed) elements() (names []string) {
	for _, m := range c.Set {
		names = append(names, m.Name)
	}
	return append(names, c.Unset...)
}

// apply changes what is known of a customer; the faults lead from the event's content.
func (c *Changed) apply(to Opened) (Opened, []schema.Fault) {
	for _, name := range c.Unset {
		KindOpened.Shape().Field(name).Of(reflect.ValueOf(&to).Elem()).SetZero()
	}
	var d schema.Decoder
	d.Enter("set")
	c.decodeSet(&d, &to)
	to.check(&d)
	return to, d.Faults
}

// Verified is the outcome of a verification.
type Verified struct {
	Method   string            `json:"method" rule:"required enum=documentary|non-documentary|other" doc:"how" eg:"documentary"`
	Outcome  string            `json:"outcome" rule:"required enum=verified|unverifiable" doc:"with what result" eg:"verified"`
	Document *IdentityDocument `json:"document,omitempty" rule:"usual" doc:"by which document; required with the method documentary"`
	By       string            `json:"by" rule:"required max=100" doc:"who decided: a post" eg:"compliance-1"`
	Note     string            `json:"note,omitempty" rule:"fmt=lines max=2000" doc:"text for people"`
}

// IdentityDocument says by which document; its number in clear, or committed to elsewhere.
type IdentityDocument struct {
	Kind            string       `json:"kind" rule:"required max=100" doc:"passport, certificate of incorporation, …" eg:"passport"`
	Issuer          string       `json:"issuer,omitempty" rule:"usual max=200" doc:"who issued it" eg:"XB"`
	Number          string       `json:"number,omitempty" rule:"max=100" doc:"its number, kept in this log" eg:"P-4401"`
	NumberCommitted string       `json:"numberCommitted,omitempty" rule:"fmt=sha256" doc:"instead: a salted commitment to it, whose opening is kept elsewhere"`
	ExpiresOn       *record.Date `json:"expiresOn,omitempty" rule:"usual" doc:"its last day" eg:"2031-05-31"`
}

// Kind is KindVerified.
func (*Verified) Kind() Kind { return KindVerified }

func (v *Verified) check(d *schema.Decoder) {
	if v.Method == "documentary" && v.Document == nil && v.Outcome == "verified" {
		faultAt(d, "is missing: by which document the identity was verified", "document")
	}
	if v.Document != nil && v.Document.Number != "" && v.Document.NumberCommitted != "" {
		faultAt(d, "is given beside the number itself: keep one of the two", "document", "numberCommitted")
	}
}

// Access is one log-in or act.
type Access struct {
	IP     netip.Addr `json:"ip" rule:"required" doc:"from which address" eg:"192.0.2.7"`
	Port   *int64     `json:"port,omitempty" rule:"lo=0 hi=65535" doc:"from which port" eg:"50122"`
	Action string     `json:"action" rule:"required enum=login|administrative|other" doc:"what was done" eg:"login"`
	Agent  string     `json:"agent,omitempty" rule:"max=400" doc:"with what"`
}

// Kind is KindAccess.
func (*Access) Kind() Kind { return KindAccess }

func (*Access) check(*schema.Decoder) {}

// Flagged is a hit of screening, or a decision about one.
type Flagged struct {
	What    string    `json:"what" rule:"required enum=hit|decision" doc:"a hit, or a decision about one" eg:"hit"`
	Record  record.ID `json:"record,omitzero" rule:"usual" doc:"record ID of the designation's record that was compared"`
	Thread  string    `json:"thread" rule:"required fmt=thread max=200" doc:"the designation's thread" eg:"designation/2026-014"`
	Matched string    `json:"matched,omitempty" rule:"max=400" doc:"which element of the customer's matched" eg:"/owners/0/name"`
	Score   *int64    `json:"score,omitempty" rule:"lo=0 hi=1000" doc:"in thousandths" eg:"812"`
	Outcome string    `json:"outcome" rule:"required enum=open|false-positive|true-match" doc:"open: nobody has decided yet" eg:"open"`
	By      string    `json:"by,omitempty" rule:"max=100" doc:"who decided; required with a decision" eg:"compliance-1"`
	Reason  string    `json:"reason,omitempty" rule:"fmt=lines max=2000" doc:"why; required with a decision"`
}

// Kind is KindFlagged.
func (*Flagged) Kind() Kind { return KindFlagged }

func (f *Flagged) check(d *schema.Decoder) {
	if f.What == "hit" {
		if f.Outcome != "open" {
			faultAt(d, "is "+f.Outcome+", but a hit is open until it is decided", "outcome")
		}
		return
	}
	if f.By == "" {
		faultAt(d, "is missing: who decided", "by")
	}
	if f.Reason == "" {
		faultAt(d, "is missing: why it was so decided", "reason")
	}
}

// Held keeps a customer from being erased.
type Held struct {
	Reason  string `json:"reason" rule:"required fmt=lines max=2000" doc:"why, for people" eg:"litigation"`
	Request string `json:"request,omitempty" rule:"fmt=thread max=200" doc:"thread of the request that it is for" eg:"disclosure/2027-03"`
	By      string `json:"by" rule:"required max=100" doc:"who decided: a post" eg:"legal-1"`
}

// Kind is KindHeld.
func (*Held) Kind() Kind { return KindHeld }

func (*Held) check(*schema.Decoder) {}

// Released ends the hold for the same request, or the one for none.
type Released struct {
	Reason  string `json:"reason" rule:"required fmt=lines max=2000" doc:"why, for people" eg:"settled"`
	Request string `json:"request,omitempty" rule:"fmt=thread max=200" doc:"thread of the request that the hold was for"`
	By      string `json:"by" rule:"required max=100" doc:"who decided: a post" eg:"legal-1"`
}

// Kind is KindReleased.
func (*Released) Kind() Kind { return KindReleased }

func (*Released) check(*schema.Decoder) {}

// Closed ends the account. After it only verifications, flags and holds are logged.
type Closed struct {
	Reason string `json:"reason" rule:"required fmt=lines max=2000" doc:"why, for people" eg:"by the customer"`
	By     string `json:"by" rule:"required max=100" doc:"whose decision it was" eg:"customer"`
}

// Kind is KindClosed.
func (*Closed) Kind() Kind { return KindClosed }

func (*Closed) check(*schema.Decoder) {}

// Erased says that the customer's key was destroyed. It is sealed by the vault alone.
type Erased struct {
	Reason       string       `json:"reason" rule:"required fmt=lines max=2000" doc:"why, for people"`
	By           string       `json:"by" rule:"required max=100" doc:"whose decision it was"`
	Events       int64        `json:"events" rule:"required lo=0" doc:"how many events the chain had before this one"`
	Filed        string       `json:"filed" rule:"required fmt=sha256" doc:"running digest over their leaf indexes"`
	BackupsUntil *record.Date `json:"backupsUntil,omitempty" doc:"the last day on which a backup of the key store may still hold the key"`
}

// Kind is KindErased.
func (*Erased) Kind() Kind { return KindErased }

func (*Erased) check(*schema.Decoder) {}

// Act is the content of every act of the house.
type Act struct {
	What     Kind         `json:"what" rule:"required enum=searched|shown|exported|prepared|approved|disclosed|published|rotated|screened|unlocked|locked|withdrawn|programme" doc:"the act"`
	By       string       `json:"by" rule:"required max=200" doc:"who: a key's or certificate's name" eg:"reader-1"`
	Query    string       `json:"query,omitempty" rule:"max=1000" doc:"what was searched for"`
	Customer string       `json:"customer,omitempty" rule:"max=32" doc:"handle of whom it concerns"`
	Request  string       `json:"request,omitempty" rule:"fmt=thread max=200" doc:"thread of the request that it is for"`
	Digest   string       `json:"digest,omitempty" rule:"fmt=sha256" doc:"SHA-256 of the file: that left the house, or is to leave it, or of the programme's"`
	From     *record.Date `json:"from,omitempty" doc:"first day on which the programme is in force"`
	Record   record.ID    `json:"record,omitzero" doc:"record ID of the public record that was made"`
	Count    *int64       `json:"count,omitempty" rule:"lo=0" doc:"how many customers were found, events shown, hits"`
	Size     *int64       `json:"size,omitempty" rule:"lo=0" doc:"size of the log that it rests on"`
	Root     string       `json:"root,omitempty" rule:"fmt=root" doc:"root of that log"`
	Until    *record.Date `json:"until,omitempty" doc:"last day of the period"`
	Reason   string       `json:"reason,omitempty" rule:"fmt=lines max=2000" doc:"why, for people"`
}

// Kind is what the act is.
func (a *Act) Kind() Kind { return a.What }

func (a *Act) check(d *schema.Decoder) {
	if a.Customer != "" {
		if _, err := ParseHandle(a.Customer); err != nil {
			faultAt(d, "is not a customer's handle", "customer")
		}
	}
}
