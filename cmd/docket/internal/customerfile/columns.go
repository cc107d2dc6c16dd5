package customerfile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/screening"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/sheet"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// A field is what a column holds. Those with a point are parts of what an event says.
type field string

const (
	fieldAccount field = "account"
	fieldID      field = "id" // the provider's own of the event
	fieldTime    field = "time"

	// Of a customer, as [event.Opened] has them.
	fieldType           field = "type"
	fieldName           field = "name"
	fieldCountry        field = "country"
	fieldAddress        field = "address"
	fieldAddressCountry field = "addressCountry"
	fieldEmail          field = "email"
	fieldTelephone      field = "telephone"
	fieldIP             field = "ip"
	fieldPayment        field = "payment" // kind
	fieldReference      field = "paymentReference"
	fieldBusinessPlace  field = "businessPlace"
	fieldOwners         field = "owners"
	fieldRegistration   field = "registrationNumber"
	fieldLEI            field = "lei"
	fieldForeign        field = "foreign"

	// Of his verification.
	fieldVerifiedOn field = "verifiedOn"
	fieldMethod     field = "method"
	fieldOutcome    field = "outcome"
	fieldDocument   field = "document"
	fieldIssuer     field = "documentIssuer"
	fieldNumber     field = "documentNumber"
	fieldExpiresOn  field = "expiresOn"
	fieldVerifiedBy field = "verifiedBy"

	// Of an access.
	fieldAction field = "action"
	fieldPort   field = "port"
	fieldAgent  field = "agent"
)

// A layout is the columns of one sort of table.
type layout struct {
	kind     string // of its rows, in words
	fields   []field
	needs    []field // without which it is no such table
	headings map[field][]string
}

// commonHeadings are those of fields that both layouts have.
var commonHeadings = map[field][]string{
	// The heading id is the account's where nothing else is.
	fieldAccount: append([]string{"account", "accountid", "accountnumber", "accountno", "acct", "acctid", "konto", "kontonummer", "compte", "cuenta"}, screening.Headings(screening.FieldID)...),
	fieldID:      {"eventid", "event", "requestid", "logid", "entryid", "uuid", "id"},
}

var customers = layout{
	kind: "customers",
	fields: []field{
		fieldAccount, fieldID, fieldName, fieldType, fieldTime, fieldForeign, fieldCountry, fieldAddressCountry, fieldAddress, fieldEmail, fieldTelephone, fieldIP,
		fieldPayment, fieldReference, fieldBusinessPlace, fieldOwners, fieldRegistration, fieldLEI,
		fieldVerifiedOn, fieldMethod, fieldOutcome, fieldDocument, fieldIssuer, fieldNumber, fieldExpiresOn, fieldVerifiedBy,
	},
	needs: []field{fieldAccount, fieldName},
	headings: map[field][]string{
		fieldName:           append([]string{"fulllegalname"}, screening.Headings(screening.FieldName)...),
		fieldType:           {"type", "customertype", "clienttype", "entitytype", "accounttype", "kind", "kundentyp", "typ", "art"},
		fieldTime:           {"openedat", "openedon", "opened", "opentime", "opendate", "openingdate", "accountopened", "dateopened", "createdat", "created", "creationdate", "registeredat", "signupdate", "since", "customersince", "time", "date", "eröffnetam", "eroeffnetam", "angelegtam", "erstelltam", "datedecréation", "datedouverture"},
		fieldForeign:        {"foreign", "foreignperson", "isforeign", "nonus"},
		fieldCountry:        screening.Headings(screening.FieldCountry),
		fieldAddressCountry: {"addresscountry", "billingcountry", "mailingcountry"},
		fieldAddress:        {"address", "fulladdress", "postaladdress", "billingaddress", "residentialaddress", "address1", "addressline1", "street", "streetaddress", "address2", "addressline2", "postcode", "postalcode", "zip", "zipcode", "city", "town", "state", "region", "province", "adresse", "anschrift", "straße", "strasse", "plz", "ort", "stadt", "rue", "ville", "codepostal", "dirección", "direccion", "indirizzo"},
		fieldEmail:          {"email", "emailaddress", "emails", "mail", "contactemail", "billingemail", "courriel", "correo"},
		fieldTelephone:      {"telephone", "telephonenumber", "phone", "phonenumber", "phones", "tel", "mobile", "mobilenumber", "cell", "telefon", "telefonnummer", "handy", "téléphone", "teléfono", "telefono"},
		fieldIP:             {"ip", "ipaddress", "ips", "signupip", "registrationip", "lastip", "ipadresse", "adresseip"},
		fieldPayment:        {"payment", "paymentmethod", "paymentkind", "paymenttype", "meansofpayment", "zahlungsart", "zahlungsmittel", "moyendepaiement"},
		fieldReference:      {"paymentreference", "paymentref", "paymentsource", "sourceofpayment", "lastfour", "last4", "cardlast4", "iban"},
		fieldBusinessPlace:  {"businessplace", "placeofbusiness", "principalplaceofbusiness", "businessaddress", "registeredoffice", "sitz"},
		fieldOwners:         {"owners", "owner", "beneficialowner", "beneficialowners", "ubo", "ubos", "wirtschaftlichberechtigte"},
		fieldRegistration:   screening.Headings(screening.FieldRegistration),
		fieldLEI:            screening.Headings(screening.FieldLEI),
		fieldVerifiedOn:     {"verifiedon", "verifiedat", "verified", "verificationdate", "kycdate", "dateverified", "geprüftam"},
		fieldMethod:         {"method", "verificationmethod", "kycmethod"},
		fieldOutcome:        {"outcome", "verificationoutcome", "verificationresult", "kycresult"},
		fieldDocument:       {"document", "documentkind", "documenttype", "iddocument", "iddocumenttype", "ausweisart"},
		fieldIssuer:         {"documentissuer", "issuer", "issuingcountry", "issuedby", "documentcountry"},
		fieldNumber:         {"documentnumber", "idnumber", "passportnumber", "iddocumentnumber", "ausweisnummer"},
		fieldExpiresOn:      {"expireson", "expires", "expirydate", "documentexpiry", "documentexpires", "validuntil", "gültigbis", "gueltigbis"},
		fieldVerifiedBy:     {"verifiedby", "verifier", "kycby", "checkedby", "geprüftvon"},
	},
}

var accesses = layout{
	kind:   "accesses",
	fields: []field{fieldAccount, fieldID, fieldTime, fieldIP, fieldPort, fieldAction, fieldAgent},
	needs:  []field{fieldAccount, fieldTime, fieldIP},
	headings: map[field][]string{
		fieldTime:   {"time", "timestamp", "datetime", "accesstime", "loggedinat", "loginat", "logintime", "eventtime", "at", "when", "date", "ts", "zeit", "zeitpunkt", "zeitstempel", "datum", "heure", "fecha", "ora"},
		fieldIP:     {"ip", "ipaddress", "sourceip", "srcip", "clientip", "remoteip", "remoteaddr", "remoteaddress", "sourceaddress", "ipadresse", "adresseip"},
		fieldPort:   {"port", "sourceport", "srcport", "clientport", "remoteport"},
		fieldAction: {"action", "eventtype", "eventname", "activity", "operation", "type", "aktion"},
		fieldAgent:  {"agent", "useragent", "client", "browser"},
	},
}

func (l *layout) of(f field) []string {
	if own := l.headings[f]; own != nil {
		return own
	}
	return commonHeadings[f]
}

// several are the fields of which a table may have more than one column.
var several = []field{fieldAddress, fieldEmail, fieldTelephone, fieldIP, fieldOwners}

// columns are which columns of a table hold what.
type columns struct {
	layout *layout
	at     map[field][]int
}

// recognise finds the columns by their headings. Told are those that somebody named, as
// FIELD=HEADING; FIELD= is no column.
func recognise(t *sheet.Reader, told []string) (*columns, error) {
	var names []string
	for _, l := range []*layout{&customers, &accesses} {
		for _, f := range l.fields {
			if !slices.Contains(names, string(f)) {
				names = append(names, string(f))
			}
		}
	}
	given := make(map[field][]string)
	for _, text := range told {
		name, heading, ok := strings.Cut(text, "=")
		if !ok || !slices.Contains(names, name) {
			return nil, sheet.Errorf("%q: want FIELD=HEADING, with one of the fields %s%s", text, strings.Join(names, ", "), schema.DidYouMean(name, names))
		}
		if given[field(name)] == nil {
			given[field(name)] = []string{}
		}
		if heading != "" {
			given[field(name)] = append(given[field(name)], heading)
		}
	}
	var lacks []string
	for _, l := range []*layout{&accesses, &customers} { // who is called by a name is a customer
		c, err := l.find(t, given)
		if err != nil {
			return nil, err
		}
		missing := slices.DeleteFunc(slices.Clone(l.needs), func(f field) bool { return len(c.at[f]) > 0 })
		named := l != &accesses || len(mustFind(&customers, t, given).at[fieldName]) == 0
		if len(missing) == 0 && named {
			return c, nil
		}
		if len(missing) > 0 {
			lacks = append(lacks, fmt.Sprintf("a table of %s has %s", l.kind, join(missing)))
		}
	}
	return nil, sheet.Errorf("no column is called what is needed: %s. The header has %s; say which column is which: --column account=HEADING", strings.Join(lacks, "; "), sheet.Quoted(t.Header))
}

// mustFind is [layout.find] where a fault of that layout's columns says nothing yet.
func mustFind(l *layout, t *sheet.Reader, given map[field][]string) *columns {
	c, err := l.find(t, given)
	if err != nil {
		return &columns{l, nil}
	}
	return c
}

func join(fields []field) string {
	texts := make([]string, len(fields))
	for i, f := range fields {
		texts[i] = string(f)
	}
	return strings.Join(texts, ", ")
}

func (l *layout) find(t *sheet.Reader, given map[field][]string) (*columns, error) {
	c := &columns{l, make(map[field][]int)}
	taken := make(map[int]bool)
	for _, f := range l.fields {
		for _, heading := range given[f] {
			i, err := t.Find(heading)
			if err != nil {
				return nil, sheet.Errorf("column %s=%s: %v", f, heading, err)
			}
			c.at[f] = append(c.at[f], i)
			taken[i] = true
		}
	}
	for _, f := range l.fields {
		if _, told := given[f]; told {
			continue
		}
		for _, key := range l.of(f) {
			if len(c.at[f]) > 0 && !slices.Contains(several, f) {
				break
			}
			before := -1
			for i, h := range t.Header {
				if sheet.HeadingKey(h) != key || taken[i] {
					continue
				}
				if before >= 0 && !slices.Contains(several, f) {
					return nil, sheet.Errorf("columns %d and %d are both called %q: say which one is meant, as --column %s=#%d", before+1, i+1, h, f, i+1)
				}
				before, taken[i] = i, true
				c.at[f] = append(c.at[f], i)
			}
		}
	}
	return c, nil
}

// keeps tells whether a column holds what may be a long number and no card's.
func (c *columns) keeps(column int) bool {
	for _, of := range []field{fieldAccount, fieldID, fieldEmail, fieldLEI, fieldRegistration, fieldNumber} {
		if slices.Contains(c.at[of], column) {
			return true
		}
	}
	return false
}
