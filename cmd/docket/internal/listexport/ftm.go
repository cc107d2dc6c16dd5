package listexport

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/listimport"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// ftm is [NewFTM].
type ftm struct {
	e      *json.Encoder
	source Source
}

// NewFTM begins FollowTheMoney entities (https://followthemoney.tech), one a line: of each
// designation its target, each of its addresses as an Address, and a Sanction. IDs begin
// with the ledger's, so that those of two ledgers differ.
//
// What the model has no property for (how a name is written, the conditions' IDs, what was
// knowable when, which records it rests on) stands under docket in the Sanction, as
// [NewJSON] writes it: a reader of FollowTheMoney keeps such members as context.
func NewFTM(w io.Writer, source Source) Writer {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return &ftm{e, source}
}

// entity is one line: FollowTheMoney's entity.
type entity struct {
	ID         string     `json:"id"`
	Caption    string     `json:"caption,omitempty"`
	Schema     string     `json:"schema"`
	Properties properties `json:"properties"` // json sorts their names
	Docket     *line      `json:"docket,omitempty"`
}

// properties are values by their property's name. Each property holds a set.
type properties map[string][]string

func (p properties) add(name string, values ...string) {
	for _, v := range values {
		if v != "" && !slices.Contains(p[name], v) {
			p[name] = append(p[name], v)
		}
	}
}

func (w *ftm) Add(d view.WholeDesignation) error {
	t := &d.Current.Target
	id := w.id(d.Thread.Name())
	target := entity{ID: id, Caption: t.Name, Schema: ftmSchema(t.Schema), Properties: targetProperties(&d)}
	all := []entity{}
	for _, a := range t.Address {
		address := w.address(a)
		target.Properties.add("addressEntity", address.ID)
		target.Properties.add("address", address.Caption)
		all = append(all, address)
	}
	all = append(all, target, w.sanction(id, d))
	for _, e := range all {
		if err := w.e.Encode(e); err != nil {
			return err
		}
	}
	return nil
}

func (w *ftm) Close() error { return nil }

// id is an entity's ID: letters, digits, dots and hyphens.
func (w *ftm) id(name string) string {
	return "docket-" + hex.EncodeToString(w.source.Ledger[:4]) + "-" + strings.TrimRight(name, ".-")
}

// ftmSchema is a target's schema in FollowTheMoney's model, whose words all but one are.
func ftmSchema(schema string) string {
	if schema == "Jurisdiction" {
		return "Territory"
	}
	return schema
}

// targetProperties are those of a target. Which a schema has, its model says: a vessel or
// an aircraft, being a thing and no legal entity, has no identifier of a company.
func targetProperties(d *view.WholeDesignation) properties {
	t, p := &d.Current.Target, properties{}
	p.add("name", t.Name)
	for _, a := range t.Alias {
		switch {
		case a.Weak:
			p.add("weakAlias", a.Name)
		case a.Type == "fka":
			p.add("previousName", a.Name)
		default:
			p.add("alias", a.Name)
		}
	}
	p.add("previousName", d.FormerName...)
	p.add("topics", topicOf(d))
	p.add("program", d.Current.Program...)
	country := ftmCountry(t.Country)
	switch t.Schema {
	case "Vessel":
		p.add("flag", country)
		p.add("registrationNumber", t.RegistrationNumber)
	case "Airplane":
		p.add("country", country)
		p.add("registrationNumber", t.RegistrationNumber)
	case "Jurisdiction":
		p.add("country", country)
	default:
		p.add("country", country)
		p.add("registrationNumber", t.RegistrationNumber)
		p.add("leiCode", t.LEI)
		for _, domain := range t.Domain {
			p.add("website", "https://"+domain+"/")
		}
	}
	for _, asn := range t.ASN {
		p.add("keywords", fmt.Sprintf("AS%d", asn))
	}
	return p
}

// topicOf is what FollowTheMoney calls who is restricted, or whose restriction is stayed and
// may come back. Nobody is any more once it is over, nor before it begins: its readers act on
// the topic and look at no date. The Sanction's status and startDate tell what is announced.
func topicOf(d *view.WholeDesignation) string {
	switch d.Status {
	case view.StatusInForce, view.StatusSuspended:
		return "sanction"
	}
	return ""
}

// userAssigned are the codes of countries that no country has.
var userAssigned = regexp.MustCompile(`^X[A-JL-Z]$`)

// ftmCountry is a country's code in FollowTheMoney's writing, "" of a fictional one.
func ftmCountry(code string) string {
	if userAssigned.MatchString(code) {
		return ""
	}
	return strings.ToLower(code)
}

// address is an address as an entity, whose ID is that of its content.
func (w *ftm) address(a record.Address) entity {
	full := listimport.AddressLine(a)
	if a.Country != "" {
		full = strings.TrimPrefix(full+", "+a.Country, ", ")
	}
	p := properties{}
	p.add("full", full)
	p.add("street", a.Street)
	p.add("city", a.City)
	p.add("region", a.Region)
	p.add("postalCode", a.PostalCode)
	p.add("country", ftmCountry(a.Country))
	parts, _ := json.Marshal(a) // of strings
	digest := sha256.Sum256(parts)
	return entity{ID: w.id("addr-" + hex.EncodeToString(digest[:10])), Caption: full, Schema: "Address", Properties: p}
}

// sanction is what was ordered about the target.
func (w *ftm) sanction(target string, d view.WholeDesignation) entity {
	c, p := &d.Current, properties{}
	p.add("entity", target)
	p.add("authority", w.source.Name)
	p.add("authorityId", d.Thread.Name())
	p.add("program", c.Program...)
	p.add("status", string(d.Status))
	p.add("startDate", d.EffectiveFrom.String())
	if c.EffectiveUntil != nil {
		p.add("endDate", c.EffectiveUntil.String())
	}
	if c.DeterminedOn != nil {
		p.add("listingDate", c.DeterminedOn.String())
	}
	p.add("provisions", c.Measure+": "+c.Action)
	for _, condition := range c.Conditions {
		p.add("provisions", condition.Text)
	}
	p.add("reason", c.Findings...)
	p.add("country", ftmCountry(c.Target.Country))
	p.add("summary", c.FederalRegisterNotice)
	p.add("recordId", d.Record.String())
	p.add("publisher", w.source.Origin)
	if w.source.URL != "" {
		p.add("sourceUrl", w.source.URL+"/records/"+d.Record.String())
	}
	whole := w.source.line(d)
	return entity{ID: target + "-sanction", Schema: "Sanction", Properties: p, Docket: &whole}
}
