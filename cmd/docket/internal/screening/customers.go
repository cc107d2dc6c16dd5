package screening

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/sheet"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// Field is what a column of a customer list holds.
type Field string

// The fields of a customer.
const (
	FieldID           Field = "id" // echoed, never compared
	FieldName         Field = "name"
	FieldAlias        Field = "alias"
	FieldCountry      Field = "country"
	FieldLEI          Field = "lei"
	FieldRegistration Field = "registrationNumber"
	FieldASN          Field = "asn"
	FieldDomain       Field = "domain"
)

// Fields are all of them, in the order in which people read them.
var Fields = []Field{FieldID, FieldName, FieldAlias, FieldCountry, FieldLEI, FieldRegistration, FieldASN, FieldDomain}

// headings are what columns are commonly called, as [sheet.HeadingKey] evens them out; the
// likeliest first.
var headings = map[Field][]string{
	FieldID: {"id", "customerid", "customernumber", "customerno", "clientid", "accountid", "accountnumber", "partyid", "reference", "ref", "key", "customer", "kunde", "cliente", "nr", "kundennr", "kundennummer", "kundenid", "debitor", "numero", "numéro", "numéroclient", "numeroclient", "codeclient", "numerocliente", "númerocliente", "idcliente", "codicecliente", "códigocliente", "codigocliente"},
	FieldName: {"name", "legalname", "companyname", "company", "customername", "clientname", "accountname", "partyname", "entityname", "organisationname", "organizationname", "businessname", "fullname", "entity", "organisation", "organization", "customer", "client", "party", "vendor", "supplier",
		"firma", "firmenname", "unternehmen", "unternehmensname", "kundenname", "kunde", "gesellschaft",
		"société", "societe", "raisonsociale", "dénomination", "denomination", "dénominationsociale", "nom", "nomclient", "nomduclient", "entreprise",
		"empresa", "razónsocial", "razonsocial", "nombre", "nombrecliente", "denominación", "denominacion",
		"ragionesociale", "denominazione", "azienda", "società", "societa", "nome", "nomecliente", "impresa", "cliente"},
	FieldAlias:        {"alias", "aliases", "aka", "alsoknownas", "altname", "altnames", "othername", "othernames", "tradename", "tradenames", "tradingname", "tradingas", "dba", "doingbusinessas", "formername", "formernames", "aliasname", "aliasnamen", "handelsname", "nomcommercial", "nombrecomercial", "nomecommerciale"},
	FieldCountry:      {"country", "countrycode", "countryofincorporation", "countryofresidence", "jurisdiction", "nationality", "land", "ländercode", "landercode", "laendercode", "länderkürzel", "landeskennzeichen", "staat", "sitzland", "pays", "codepays", "país", "pais", "códigopaís", "codigopais", "paese", "codicepaese", "nazione"},
	FieldLEI:          {"lei", "leicode", "legalentityidentifier"},
	FieldRegistration: {"registrationnumber", "registrationno", "registration", "regnumber", "regno", "companynumber", "companyno", "companyregistrationnumber", "registeredno", "registerednumber", "crn", "handelsregisternummer", "registernummer"},
	FieldASN:          {"asn", "asns", "asnumber", "autonomoussystem", "autonomoussystemnumber"},
	FieldDomain:       {"domain", "domains", "domainname", "website", "web", "url", "homepage", "domäne", "webseite", "siteweb", "sitioweb", "sitoweb"},
}

// Headings are what columns of a field are commonly called, as [sheet.HeadingKey] evens them
// out; the likeliest first.
func Headings(f Field) []string { return headings[f] }

// idBesideName are headings that mean a name, and an id where a name stands beside them.
var idBesideName = []string{"customer", "client", "party", "entity", "kunde", "cliente"}

// Columns says which columns of a list hold what, by their headings or as "#3". Of names and
// aliases, numbers and domains there may be several columns; no field needs to be there but
// the name, an alias or an identifier.
type Columns map[Field][]string

// ParseColumns reads FIELD=HEADING, as people write it; FIELD= is no column at all.
func ParseColumns(texts []string) (Columns, error) {
	c := make(Columns)
	for _, text := range texts {
		field, heading, ok := strings.Cut(text, "=")
		if !ok || !slices.Contains(Fields, Field(field)) {
			names := make([]string, len(Fields))
			for i, f := range Fields {
				names[i] = string(f)
			}
			return nil, fmt.Errorf("%q: want FIELD=HEADING, with one of the fields %s%s", text, strings.Join(names, ", "), schema.DidYouMean(field, names))
		}
		if c[Field(field)] == nil {
			c[Field(field)] = []string{}
		}
		if heading != "" {
			c[Field(field)] = append(c[Field(field)], heading)
		}
	}
	return c, nil
}

// Customer is one row of a list, as far as it is compared, in the words of the list.
type Customer struct {
	ID                 string   `json:"id,omitempty"`
	Name               string   `json:"name,omitempty"`
	Alias              []string `json:"alias,omitempty"`
	Country            string   `json:"country,omitempty"` // ISO 3166-1 alpha-2
	LEI                string   `json:"lei,omitempty"`
	RegistrationNumber string   `json:"registrationNumber,omitempty"`
	ASN                []int64  `json:"asn,omitempty"`
	Domain             []string `json:"domain,omitempty"`
}

// Row is a row of a list.
type Row struct {
	Number int // as a spreadsheet counts: the header is row 1
	Line   int // on which it begins, as an editor counts
	Customer
	NotScreened string   // why it cannot be; "" if it can
	Warnings    []string // what of it is not compared, and why
	InPart      bool     // something of it could not be read, and might have hit

	unreadCountry string
}

// maxCellChars bounds what is compared of a cell: no name is longer.
const maxCellChars = 1000

// aliasSeparators stand between the aliases in one cell.
const aliasSeparators = ";|\n\r"

// List reads the customers of a list.
type List struct {
	table   *sheet.Reader
	columns map[Field][]int

	// Jurisdictions are those by whose names a country is read too; nil: none.
	Jurisdictions *Designations
}

// NewList reads the header of a list (see [sheet.Reader]) and finds its columns, of which some may be
// given. A [sheet.Error] says what is wrong with the file; another error is the reader's.
func NewList(r io.Reader, given Columns) (*List, error) {
	t, err := sheet.New(r)
	if err != nil {
		return nil, err
	}
	l := &List{table: t, columns: make(map[Field][]int)}
	taken := make(map[int]bool)
	for _, f := range Fields {
		for _, heading := range given[f] {
			i, err := t.Find(heading)
			if err != nil {
				return nil, sheet.Errorf("column %s=%s: %v", f, heading, err)
			}
			l.columns[f] = append(l.columns[f], i)
			taken[i] = true
		}
	}
	for _, f := range []Field{FieldName, FieldID, FieldAlias, FieldCountry, FieldLEI, FieldRegistration, FieldASN, FieldDomain} {
		if _, told := given[f]; told {
			continue
		}
		if err := l.recognise(f, taken); err != nil {
			return nil, err
		}
	}
	if len(l.columns)-len(l.columns[FieldID]) == 0 || l.comparesNothing() {
		return nil, sheet.Errorf("no column is called a name, as in name, company, customer or legal name: the header has %s; say which one it is: --column name=HEADING",
			sheet.Quoted(t.Header))
	}
	return l, nil
}

func (l *List) comparesNothing() bool {
	for _, f := range []Field{FieldName, FieldAlias, FieldLEI, FieldRegistration, FieldASN, FieldDomain} {
		if len(l.columns[f]) > 0 {
			return false
		}
	}
	return true
}

// recognise finds the columns of a field by what they are commonly called. A second one is a
// second name, alias or number; of what a customer has only one of, it is a fault.
func (l *List) recognise(f Field, taken map[int]bool) error {
	seen := make(map[string]int)
	for _, key := range headings[f] {
		for i, h := range l.table.Header {
			if sheet.HeadingKey(h) != key || taken[i] {
				continue
			}
			if before, twice := seen[key]; twice {
				return sheet.Errorf("columns %d and %d are both called %q: say which one is meant, as --column %s=#%d", before+1, i+1, h, f, i+1)
			}
			seen[key] = i
		}
		i, found := seen[key]
		if !found {
			continue
		}
		if one := f == FieldID || f == FieldCountry || f == FieldLEI || f == FieldRegistration; one && len(l.columns[f]) > 0 {
			if f == FieldID {
				continue // a customer number beside an id is shown by its row
			}
			before := l.columns[f][0]
			return sheet.Errorf("columns %d (%s) and %d (%s) may both be the %s: say which one is, as --column %s=#%d",
				before+1, l.table.Header[before], i+1, l.table.Header[i], f, f, before+1)
		}
		if f == FieldName && slices.Contains(idBesideName, key) && len(l.columns[f]) > 0 {
			continue // beside a name, that is an id
		}
		l.columns[f] = append(l.columns[f], i)
		taken[i] = true
	}
	return nil
}

// Columns are those that are used, by their headings, or by number where two are called
// the same. With [Columns.Exactly], [NewList] finds the same ones by them.
func (l *List) Columns() Columns {
	c := make(Columns)
	for _, f := range Fields {
		for _, i := range l.columns[f] {
			heading := l.table.Header[i]
			if at, err := l.table.Find(heading); err != nil || at != i {
				heading = fmt.Sprintf("#%d", i+1)
			}
			c[f] = append(c[f], heading)
		}
	}
	return c
}

// Unused are the headings of the other columns.
func (l *List) Unused() (headings []string) {
	for i, h := range l.table.Header {
		used := false
		for _, columns := range l.columns {
			used = used || slices.Contains(columns, i)
		}
		if !used {
			headings = append(headings, h)
		}
	}
	return headings
}

// Next reads the next row; io.EOF after the last. A row that cannot be screened is a row
// like any other, and says why.
func (l *List) Next() (Row, error) {
	raw, err := l.table.Next()
	if err != nil {
		return Row{}, err
	}
	row := Row{Number: raw.Number, Line: raw.Line, NotScreened: raw.Fault}
	if raw.Fault == "" {
		l.fill(&row, raw.Cells)
	}
	return row, nil
}

// fill reads the cells of a row.
func (l *List) fill(row *Row, cells []string) {
	header := l.table.Header
	if len(cells) > len(header) {
		if i := slices.IndexFunc(cells[len(header):], func(c string) bool { return strings.TrimSpace(c) != "" }); i >= 0 {
			row.NotScreened = fmt.Sprintf("the row has %d cells and the header %d: put a cell that holds a separator into quotes", len(header)+i+1, len(header))
			return
		}
	}
	warn := func(i int, format string, args ...any) {
		row.Warnings = append(row.Warnings, fmt.Sprintf("column %s: ", l.table.ColumnName(i))+fmt.Sprintf(format, args...))
	}
	unread := func(i int, format string, args ...any) {
		warn(i, format, args...)
		row.InPart = true
	}
	short := false
	each := func(f Field, take func(i int, text string)) {
		for _, i := range l.columns[f] {
			if i >= len(cells) {
				short = true
				continue
			}
			text := strings.TrimSpace(cells[i])
			if n := utf8.RuneCountInString(text); n > maxCellChars {
				row.NotScreened = fmt.Sprintf("column %s has %d characters, the limit is %d", l.table.ColumnName(i), n, maxCellChars)
				return
			}
			if strings.ContainsRune(text, utf8.RuneError) {
				unread(i, "a character was lost before this file was written (U+FFFD): other spellings are not found by it")
			}
			if text != "" {
				take(i, text)
			}
		}
	}
	each(FieldID, func(_ int, text string) { row.ID = text })
	addAliases := func(_ int, text string) {
		for _, name := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(aliasSeparators, r) }) {
			if name = strings.TrimSpace(name); name != "" && name != row.Name && !slices.Contains(row.Alias, name) {
				row.Alias = append(row.Alias, name)
			}
		}
	}
	each(FieldName, func(i int, text string) {
		if row.Name == "" {
			row.Name = text
		} else {
			addAliases(i, text)
		}
	})
	each(FieldAlias, addAliases)
	each(FieldCountry, func(i int, text string) {
		code, err := readCountry(text, l.Jurisdictions)
		if err != nil {
			unread(i, "%v; screened without it", err)
			row.unreadCountry = text
		}
		row.Country = code
	})
	each(FieldLEI, func(i int, text string) {
		lei := register.IdentifierKey(register.SchemeLEI, text)
		for _, f := range rules1.CheckTarget(&record.Target{LEI: lei}) {
			if strings.HasSuffix(f.Pointer, "/lei") {
				unread(i, "%s; screened without it", f.Detail)
				return
			}
		}
		row.LEI = lei
	})
	each(FieldRegistration, func(_ int, text string) { row.RegistrationNumber = text })
	each(FieldASN, func(i int, text string) {
		for _, word := range words(text) {
			n, err := strconv.ParseUint(strings.TrimPrefix(strings.ToUpper(word), "AS"), 10, 32)
			if err != nil {
				unread(i, "%q is no number of an autonomous system, like AS64496; screened without it", word)
				continue
			}
			row.ASN = append(row.ASN, int64(n))
		}
	})
	each(FieldDomain, func(i int, text string) {
		for _, word := range words(text) {
			host, err := hostOf(word)
			if err != nil {
				unread(i, "%q is no domain name; screened without it", word)
				continue
			}
			row.Domain = append(row.Domain, host)
		}
	})
	switch {
	case row.NotScreened != "":
	case row.Name == "" && len(row.Alias) == 0 && row.LEI == "" && row.RegistrationNumber == "" && len(row.ASN) == 0 && len(row.Domain) == 0:
		row.NotScreened = "the row has nothing to compare: no name and no identifier"
	case short:
		row.Warnings = append(row.Warnings, fmt.Sprintf("the row has %d cells and the header %d; the others are taken as empty", len(cells), len(header)))
	}
	if row.NotScreened != "" {
		row.Warnings, row.InPart = nil, false
	}
}

// words are the parts of a cell that holds several numbers or domains.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || r == ',' || r == ';' || r == '|' })
}

// hostOf is the domain name of a website, as people write either.
func hostOf(text string) (string, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", err
	}
	host := strings.TrimPrefix(register.IdentifierKey(register.SchemeDomain, u.Hostname()), "www.")
	if host == "" || !strings.Contains(host, ".") {
		return "", errors.New("no domain name")
	}
	return host, nil
}
