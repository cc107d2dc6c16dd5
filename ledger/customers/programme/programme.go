// Package programme reads a provider's customer identification programme and computes from
// it what is due: which elements of a customer are missing, by when an identity has to be
// verified or verified again, what becomes of a customer whose identity cannot be verified,
// which hits of screening wait for a decision; and the counts to which a cip-certification
// commits.
//
// A programme is a file that people write ([Template], [Parse]); the elements and methods
// are those of the proposed 15 CFR 7.302 (89 FR 5698). What it demands is asked with a day,
// of a customer's events so far ([History.Due]), and stored nowhere: so a change of the
// programme changes what is due from its day on, and no earlier day.
//
// All days are civil dates, inclusive, in the zone that is handed in, which is the charter's:
// what is due by a day is late from the next one on. The package does no I/O and knows no
// clock.
package programme

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft/form"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// Programme is one version of a provider's programme, in force from a day on.
type Programme struct {
	rules
	digest [sha256.Size]byte // of the file
}

// rules are what the file says.
type rules struct {
	Name         string        `json:"name" rule:"required max=200" doc:"what the provider calls it" eg:"acme-cloud CIP 2027"`
	From         record.Date   `json:"from" rule:"required" doc:"first day on which it is in force" eg:"2027-01-01"`
	Transition   record.Period `json:"transition,omitempty" doc:"what only this version demands is due no earlier than this after its first day" eg:"P30D"`
	Customers    string        `json:"customers" rule:"required enum=foreign|all" doc:"whom it is for; foreign: whoever is not known to be a United States person" eg:"foreign"`
	Elements     Elements      `json:"elements" rule:"required" doc:"what is to be known of a customer"`
	Verification Verification  `json:"verification" rule:"required" doc:"how identities are verified, and when"`
	Risks        []Risk        `json:"risks,omitempty" rule:"items=50" doc:"what raises a duty"`
	Unverifiable Unverifiable  `json:"unverifiable" rule:"required" doc:"what becomes of a customer whose identity cannot be verified"`
	Screening    *Screening    `json:"screening,omitempty" doc:"by when hits are decided"`
}

// Digest is the SHA-256 of the file that was parsed.
func (p *Programme) Digest() [sha256.Size]byte { return p.digest }

// Elements are those that are to be known, as [event.Opened] names them.
type Elements struct {
	Person []string      `json:"person" rule:"required enum=name|country|address|email|telephone|ip|payment" doc:"of a natural person" eg:"[name, address, email, telephone, payment, ip]"`
	Entity []string      `json:"entity" rule:"required enum=name|country|address|email|telephone|ip|payment|businessPlace|owners|registrationNumber|lei" doc:"of an entity" eg:"[name, address, businessPlace, owners, email]"`
	Within record.Period `json:"within" rule:"required" doc:"after the account was opened; P0D: the same day" eg:"P0D"`
}

// Verification says how and when identities are verified.
type Verification struct {
	Methods    []string       `json:"methods" rule:"required enum=documentary|non-documentary|other" doc:"those that count" eg:"[documentary, non-documentary]"`
	Within     record.Period  `json:"within" rule:"required" doc:"after the account was opened" eg:"P30D"`
	Again      *record.Period `json:"again,omitempty" doc:"after the newest verification; absent: never for its age alone" eg:"P1Y"`
	Changed    *Changed       `json:"changed,omitempty" doc:"after a change of what had been verified"`
	Expired    *record.Period `json:"expired,omitempty" doc:"after the last day of the document; absent: an expired one does no harm" eg:"P30D"`
	NoticeDays int64          `json:"noticeDays,omitempty" rule:"lo=0 hi=365" doc:"how many days ahead a verification that is to be repeated is shown" eg:"30"`
}

// Changed says which changes want a verification again.
type Changed struct {
	Elements []string      `json:"elements" rule:"required enum=name|country|address|email|telephone|ip|payment|businessPlace|owners|registrationNumber|lei|type|foreign" doc:"whose change" eg:"[name, country, owners]"`
	Within   record.Period `json:"within" rule:"required" doc:"after the first change that nobody has verified" eg:"P30D"`
}

// Risk raises a duty where all of its conditions hold.
type Risk struct {
	ID       string         `json:"id" rule:"required fmt=name" doc:"what the queue calls it" eg:"high-risk-country"`
	When     When           `json:"when" rule:"required" doc:"conditions, of which all must hold"`
	Elements []string       `json:"elements,omitempty" rule:"enum=country|address|email|telephone|ip|payment|businessPlace|owners|registrationNumber|lei" doc:"elements that are to be known too" eg:"[telephone]"`
	Methods  []string       `json:"methods,omitempty" rule:"enum=documentary|non-documentary|other" doc:"only these verify; absent: any that counts" eg:"[documentary]"`
	Within   record.Period  `json:"within" rule:"required" doc:"after the conditions began to hold" eg:"P7D"`
	Again    *record.Period `json:"again,omitempty" doc:"verified again after this" eg:"P6M"`
}

// When are the conditions of a risk.
type When struct {
	Countries          []string `json:"countries,omitempty" rule:"fmt=country items=300" doc:"one of these is a country of the customer's, of an address or of an owner" eg:"[XB, XC]"`
	OwnersHidden       bool     `json:"ownersHidden,omitempty" doc:"true: an entity none of whose owners is known" eg:"true"`
	NonDocumentaryOnly bool     `json:"nonDocumentaryOnly,omitempty" doc:"true: verified, and never by a document" eg:"true"`
	Type               string   `json:"type,omitempty" rule:"enum=person|entity" doc:"only these" eg:"entity"`
}

// Unverifiable says what follows where a verification failed and none has succeeded since.
type Unverifiable struct {
	Measures []string      `json:"measures,omitempty" rule:"enum=limited-purposes|additional-monitoring|no-new-resources" doc:"what holds from that day until it is verified or closed" eg:"[limited-purposes, additional-monitoring]"`
	Close    record.Period `json:"close" rule:"required" doc:"by then it is verified after all, or closed; P0D: the same day" eg:"P30D"`
}

// Screening says by when hits are decided.
type Screening struct {
	Decide record.Period  `json:"decide" rule:"required" doc:"after the hit" eg:"P7D"`
	Close  *record.Period `json:"close,omitempty" doc:"after the decision that it is a true match, the account is closed; absent: it need not be" eg:"P3D"`
}

// Measures of [Unverifiable] in words.
var measures = map[string]string{
	"limited-purposes":      "the account is used for limited purposes only",
	"additional-monitoring": "the account is monitored additionally",
	"no-new-resources":      "no new resources are given to the account",
}

var shape = (&schema.Types{Scalars: record.Scalars()}).Shape(reflect.TypeFor[rules]())

// maxBytes bounds a file that is read.
const maxBytes = 256 << 10

// Parse reads one version of a programme, YAML or JSON, strictly. The error of what does not
// conform is a *[form.Error] with every fault, its pointer and its line.
func Parse(raw []byte) (*Programme, error) {
	if len(raw) > maxBytes {
		return nil, fmt.Errorf("reading the programme: %d bytes; at most %d are read", len(raw), maxBytes)
	}
	root, err := form.Parse(raw)
	switch {
	case errors.Is(err, form.ErrEmpty):
		return nil, errors.New("reading the programme: the file is empty; docket customers init writes one to begin with")
	case err != nil:
		return nil, fmt.Errorf("reading the programme: %w", err)
	}
	var r form.Reader
	o, ok := r.Value(root, shape, "").(schema.Object)
	if !ok {
		return nil, errors.New("reading the programme: no members like name: and from: stand in it")
	}
	var p Programme
	var d schema.Decoder
	d.Object(o, shape, &p.rules)
	faults := append(r.Faults, r.WithoutNested(d.Faults)...)
	if len(faults) == 0 {
		faults = p.check()
	}
	if len(faults) > 0 {
		return nil, r.Error(faults)
	}
	p.digest = sha256.Sum256(raw)
	return &p, nil
}

// check finds what no member alone shows.
func (p *Programme) check() []schema.Fault {
	var d schema.Decoder
	at := func(detail string, path ...any) {
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
	const never = "is no time at all, and would be due for ever: write P1Y, or leave the line out"
	if p.Verification.Again != nil && p.Verification.Again.IsZero() {
		at(never, "verification", "again")
	}
	seen := make(map[string]int)
	for i, r := range p.Risks {
		if j, twice := seen[r.ID]; twice {
			at(fmt.Sprintf("is that of item %d too: what is due is told by it", j), "risks", i, "id")
		}
		seen[r.ID] = i
		w := r.When
		if len(w.Countries) == 0 && !w.OwnersHidden && !w.NonDocumentaryOnly && w.Type == "" {
			at("holds for nobody: name a condition that is true", "risks", i, "when")
		}
		if w.OwnersHidden && w.Type == "person" {
			at("holds for nobody: a person has no owners", "risks", i, "when", "type")
		}
		if len(r.Elements) == 0 && len(r.Methods) == 0 && r.Again == nil && !p.within(r.Within) {
			at("demands nothing beyond the programme: give elements, methods, again, or a shorter within", "risks", i)
		}
		if r.Again != nil && r.Again.IsZero() {
			at(never, "risks", i, "again")
		}
		for j, m := range r.Methods {
			if !slices.Contains(p.Verification.Methods, m) {
				at(fmt.Sprintf("is %s, which does not count by verification.methods", m), "risks", i, "methods", j)
			}
		}
		if w.NonDocumentaryOnly && len(r.Methods) == 0 {
			at("is missing: whoever meets the condition is verified; say by which methods instead, as [documentary]", "risks", i, "methods")
		}
	}
	return d.Faults
}

// within reports whether a period is shorter than that which the programme gives everybody.
func (p *Programme) within(shorter record.Period) bool {
	return p.From.Add(shorter).Before(p.From.Add(p.Verification.Within))
}

// History is a provider's programme through its versions.
type History struct {
	versions []*Programme // by From, which differ
}

// NewHistory orders versions by their first days. None is a history too: nothing is due.
func NewHistory(versions ...*Programme) (*History, error) {
	h := &History{slices.Clone(versions)}
	slices.SortFunc(h.versions, func(a, b *Programme) int { return a.From.Compare(b.From) })
	for i := 1; i < len(h.versions); i++ {
		if a, b := h.versions[i-1], h.versions[i]; a.From == b.From {
			return nil, fmt.Errorf("two versions of the programme are in force from %s: %q and %q", a.From, a.Name, b.Name)
		}
	}
	return h, nil
}

// Versions are all of them, by their first days.
func (h *History) Versions() []*Programme { return slices.Clone(h.versions) }

// On is the version in force on a day; nil before the first.
func (h *History) On(day record.Date) *Programme {
	if i := h.on(day); i >= 0 {
		return h.versions[i]
	}
	return nil
}

func (h *History) on(day record.Date) int {
	i, found := slices.BinarySearchFunc(h.versions, day, func(p *Programme, day record.Date) int { return p.From.Compare(day) })
	if found {
		return i
	}
	return i - 1
}

// concerns reports whether the programme is for a customer.
func (p *Programme) concerns(c *event.Opened) bool {
	return p.Customers == "all" || c.Foreign == nil || *c.Foreign
}

// sortDues orders what is due first, first.
func sortDues(all []Due) {
	slices.SortStableFunc(all, func(a, b Due) int {
		return cmp.Or(a.By.Compare(b.By), cmp.Compare(a.Duty, b.Duty), cmp.Compare(a.About, b.About))
	})
}
