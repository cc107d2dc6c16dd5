package customerfile

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/screening"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// filler reads the cells of one row.
type filler struct {
	*Reader
	row *Row
}

func (r *Reader) fill(row *Row) {
	f := filler{r, row}
	if extra := len(row.cells) - len(r.table.Header); extra > 0 {
		if i := slices.IndexFunc(row.cells[len(r.table.Header):], func(c string) bool { return strings.TrimSpace(c) != "" }); i >= 0 {
			row.Faults = []Fault{{Detail: fmt.Sprintf("the row has %d cells and the header %d: put a cell that holds a separator into quotes", len(r.table.Header)+i+1, len(r.table.Header))}}
			return
		}
	}
	if r.columns.layout == &accesses {
		f.access()
	} else {
		f.customer()
	}
}

// cells are the cells of a field that hold something, trimmed.
func (f *filler) cells(of field) (texts []string) {
	for _, i := range f.columns.at[of] {
		if i < len(f.row.cells) {
			if text := strings.TrimSpace(view.FromSpreadsheetText(strings.TrimSpace(f.row.cells[i]))); text != "" {
				texts = append(texts, text)
			}
		}
	}
	return texts
}

func (f *filler) cell(of field) string {
	if texts := f.cells(of); texts != nil {
		return texts[0]
	}
	return ""
}

// list are the items in the cells of a field.
func (f *filler) list(of field, separators string) (items []any) {
	for _, text := range f.cells(of) {
		for _, item := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(separators, r) }) {
			if item = strings.TrimSpace(item); item != "" && !slices.Contains(items, any(item)) {
				items = append(items, item)
			}
		}
	}
	return items
}

func (f *filler) fault(of field, format string, args ...any) {
	f.row.Faults = append(f.row.Faults, Fault{f.where(of), fmt.Sprintf(format, args...)})
}

// where names the column of a field.
func (f *filler) where(of field) string {
	if at := f.columns.at[of]; len(at) > 0 {
		return "column " + f.table.ColumnName(at[0])
	}
	return "no column is " + string(of)
}

// canonical is what [derivedID] hashes: the understood cells in the order of the fields.
func (f *filler) canonical() []byte {
	var b []byte
	for _, of := range f.columns.layout.fields {
		for _, text := range f.cells(of) {
			b = schema.AppendString(append(append(b, of...), '='), text)
			b = append(b, '\n')
		}
	}
	return b
}

func (f *filler) id() string {
	if id := f.cell(fieldID); id != "" {
		return id
	}
	if len(f.columns.at[fieldID]) > 0 {
		f.assume("rows without an ID of the event have one derived of the row")
	} else {
		f.assume("no column is an ID of the event: each has one derived of its row, so that a row that says the same is the same event")
	}
	return derivedID(f.canonical())
}

// add makes an event of a content, and tells the faults by columns.
func (f *filler) add(kind event.Kind, id string, at time.Time, content schema.Object, columnOf map[string]field) {
	in, faults := event.InputOf(schema.ObjectOf("account", f.cell(fieldAccount), "id", id, "kind", string(kind), "time", at.UTC().Format("2006-01-02T15:04:05.000Z"), "content", content))
	for _, fault := range faults {
		of, known := columnOf[fieldPart(fault.Pointer)]
		switch {
		case known:
			f.fault(of, "%s", fault.Detail)
		case fault.Pointer == "/account":
			f.fault(fieldAccount, "%s", fault.Detail)
		case fault.Pointer == "/id":
			f.fault(fieldID, "%s", fault.Detail)
		default:
			f.row.Faults = append(f.row.Faults, Fault{fault.Pointer, fault.Detail})
		}
	}
	f.row.Inputs = append(f.row.Inputs, in)
}

// fieldPart is the element of a content that a pointer leads to, or into; of a payment, an
// address and a document the member too.
func fieldPart(pointer string) string {
	parts := strings.Split(strings.TrimPrefix(pointer, "/content/"), "/")
	switch {
	case parts[0] == "payment" && len(parts) > 2, (parts[0] == "address" || parts[0] == "document") && len(parts) > 1:
		return parts[0] + "." + parts[len(parts)-1]
	}
	return parts[0]
}

// put adds a member that is there.
func put(o *schema.Object, name string, value any) {
	switch v := value.(type) {
	case string:
		if v == "" {
			return
		}
	case []any:
		if len(v) == 0 {
			return
		}
	case schema.Object:
		if len(v) == 0 {
			return
		}
	}
	*o = append(*o, schema.Member{Name: name, Value: value})
}

const (
	listSeparators = ";|,\n\r\t"
	// Names and numbers hold commas and spaces.
	textSeparators = ";|\n\r\t"
)

func (f *filler) access() {
	var content schema.Object
	ips := f.list(fieldIP, listSeparators+" ")
	if len(ips) == 1 {
		put(&content, "ip", ips[0])
	} else if len(ips) > 1 {
		f.fault(fieldIP, "holds %d addresses: an access is from one; write a row for each", len(ips))
	} else {
		f.fault(fieldIP, "is empty: from which address the access was")
	}
	if text := f.cell(fieldPort); text != "" {
		port, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			f.fault(fieldPort, "%q is no port", text)
		}
		put(&content, "port", port)
	}
	put(&content, "action", f.action())
	put(&content, "agent", f.cell(fieldAgent))
	at, ok := f.time(fieldTime, true)
	if f.cell(fieldAccount) == "" {
		f.fault(fieldAccount, "is empty: whose access it was")
	}
	if ok && len(f.row.Faults) == 0 {
		f.add(event.KindAccess, f.id(), at, content, map[string]field{"ip": fieldIP, "port": fieldPort, "action": fieldAction, "agent": fieldAgent})
	}
}

// actions are what accesses are commonly called.
var actions = map[string][]string{
	"login":          {"login", "log-in", "logon", "sign-in", "signin", "signed in", "logged in", "consolelogin", "authenticate", "authentication", "session"},
	"administrative": {"administrative", "admin", "administration", "root", "sudo"},
	"other":          {"other", "access", "api", "request"},
}

// action is that of a row; a word that is none of ours is other, and said once.
func (f *filler) action() string {
	text := f.cell(fieldAction)
	if text == "" {
		f.assume("an access of which nothing tells the action is a login")
		return "login"
	}
	for action, words := range actions {
		if slices.Contains(words, strings.ToLower(text)) {
			return action
		}
	}
	f.assume("an action that is neither login nor administrative is other")
	return "other"
}

func (f *filler) customer() {
	var o schema.Object
	if f.cell(fieldAccount) == "" {
		f.fault(fieldAccount, "is empty: the provider's own name of the account")
	}
	if f.cell(fieldName) == "" {
		f.fault(fieldName, "is empty: the customer's full legal name")
	}
	put(&o, "type", f.customerType())
	put(&o, "name", f.cell(fieldName))
	put(&o, "country", f.country(fieldCountry, f.cell(fieldCountry)))
	var address schema.Object
	if full := strings.Join(f.cells(fieldAddress), ", "); full != "" {
		put(&address, "full", strings.Join(strings.Fields(full), " "))
		put(&address, "country", f.country(fieldAddressCountry, f.cell(fieldAddressCountry)))
	} else if f.cell(fieldAddressCountry) != "" {
		f.fault(fieldAddressCountry, "is the country of an address that is not there")
	}
	put(&o, "address", address)
	put(&o, "email", f.list(fieldEmail, listSeparators+" "))
	put(&o, "telephone", f.list(fieldTelephone, textSeparators+","))
	put(&o, "ip", f.list(fieldIP, listSeparators+" "))
	put(&o, "payment", f.payment())
	if full := f.cell(fieldBusinessPlace); full != "" {
		put(&o, "businessPlace", schema.ObjectOf("full", strings.Join(strings.Fields(full), " ")))
	}
	put(&o, "owners", f.owners())
	put(&o, "registrationNumber", f.cell(fieldRegistration))
	put(&o, "lei", strings.ToUpper(strings.ReplaceAll(f.cell(fieldLEI), " ", "")))
	if text := f.cell(fieldForeign); text != "" {
		if foreign, ok := truth(text); ok {
			put(&o, "foreign", foreign)
		} else {
			f.fault(fieldForeign, "%q: want yes or no", text)
		}
	}
	at, ok := f.time(fieldTime, false)
	if !ok || len(f.row.Faults) > 0 {
		return
	}
	id := f.id()
	f.add(event.KindOpened, id, at, o, map[string]field{
		"type": fieldType, "name": fieldName, "country": fieldCountry, "address.full": fieldAddress, "address.country": fieldAddressCountry, "email": fieldEmail,
		"telephone": fieldTelephone, "ip": fieldIP, "payment": fieldPayment, "payment.kind": fieldPayment, "payment.reference": fieldReference,
		"businessPlace": fieldBusinessPlace, "owners": fieldOwners, "registrationNumber": fieldRegistration, "lei": fieldLEI, "foreign": fieldForeign,
	})
	f.verification(id)
}

// types are what lists call a person and an entity.
var types = map[string][]string{
	"person": {"person", "individual", "natural person", "natural", "private", "private person", "consumer", "privat", "privatperson", "natürliche person", "particulier", "particular", "persona", "p", "i"},
	"entity": {"entity", "company", "business", "organisation", "organization", "legal entity", "legal person", "legal", "corporate", "corporation", "firm", "firma", "unternehmen", "juristische person", "entreprise", "société", "empresa", "azienda", "e", "c", "o"},
}

func (f *filler) customerType() string {
	text := f.cell(fieldType)
	if text == "" {
		if f.options.Type == "" {
			f.fault(fieldType, "whether the customer is a person or an entity: a column type, or --type for all")
		}
		return f.options.Type
	}
	for name, words := range types {
		if slices.Contains(words, strings.ToLower(text)) {
			return name
		}
	}
	f.fault(fieldType, "%q: want person or entity", text)
	return ""
}

func (f *filler) country(of field, text string) string {
	if text == "" {
		return ""
	}
	code, err := screening.ReadCountry(text)
	if err != nil {
		f.fault(of, "%v", err)
	}
	return code
}

// paymentKinds are what means of payment are commonly called.
var paymentKinds = map[string][]string{
	"card":    {"card", "credit card", "creditcard", "debit card", "debitcard", "visa", "mastercard", "amex", "kreditkarte", "carte", "tarjeta"},
	"bank":    {"bank", "bank transfer", "transfer", "wire", "wire transfer", "iban", "sepa", "ach", "direct debit", "lastschrift", "überweisung", "virement"},
	"wallet":  {"wallet", "e-wallet", "paypal", "crypto", "cryptocurrency"},
	"invoice": {"invoice", "bill", "purchase order", "rechnung", "facture"},
	"other":   {"other"},
}

// payment is the one means of payment of a row.
func (f *filler) payment() []any {
	text, reference := f.cell(fieldPayment), f.cell(fieldReference)
	if text == "" && reference == "" {
		return nil
	}
	kind := "other"
	for name, words := range paymentKinds {
		if slices.Contains(words, strings.ToLower(text)) {
			kind = name
		}
	}
	if kind == "other" && text != "" && !strings.EqualFold(text, "other") {
		if event.CardNumber(text) {
			f.fault(fieldPayment, "looks like a whole card number, which this log must not hold: write card here, and its last four digits as paymentReference")
			return nil
		}
		f.fault(fieldPayment, "%q: want card, bank, wallet, invoice or other", text)
		return nil
	}
	one := schema.ObjectOf("kind", kind)
	put(&one, "reference", reference)
	return []any{one}
}

// owners are names with a country in parentheses or without.
func (f *filler) owners() (all []any) {
	for _, item := range f.list(fieldOwners, textSeparators) {
		name, country := item.(string), ""
		if open := strings.LastIndexByte(name, '('); open > 0 && strings.HasSuffix(name, ")") {
			if code, err := screening.ReadCountry(strings.TrimSpace(name[open+1 : len(name)-1])); err == nil {
				name, country = strings.TrimSpace(name[:open]), code
			}
		}
		owner := schema.ObjectOf("name", name)
		put(&owner, "country", country)
		all = append(all, owner)
	}
	return all
}

// verification is the verification that a row of a customer tells, if any.
func (f *filler) verification(id string) {
	if f.cell(fieldVerifiedOn) == "" {
		for _, of := range []field{fieldMethod, fieldOutcome, fieldDocument, fieldNumber, fieldExpiresOn, fieldVerifiedBy} {
			if f.cell(of) != "" {
				f.fault(of, "tells of a verification, and nothing tells when it was (verifiedOn)")
				return
			}
		}
		return
	}
	at, ok := f.time(fieldVerifiedOn, true)
	if !ok {
		return
	}
	var document schema.Object
	put(&document, "kind", f.cell(fieldDocument))
	put(&document, "issuer", f.cell(fieldIssuer))
	put(&document, "number", f.cell(fieldNumber))
	if f.cell(fieldExpiresOn) != "" {
		on, ok := f.time(fieldExpiresOn, true)
		if !ok {
			return
		}
		put(&document, "expiresOn", on.In(f.options.Zone).Format(time.DateOnly))
	}
	method := strings.ToLower(f.cell(fieldMethod))
	if method == "" && f.cell(fieldDocument) != "" {
		method = "documentary"
	}
	outcome := strings.ToLower(f.cell(fieldOutcome))
	if outcome == "" {
		outcome = "verified"
	}
	by := f.cell(fieldVerifiedBy)
	if by == "" {
		by = f.options.By
	}
	if method == "" {
		f.fault(fieldMethod, "is empty: documentary, non-documentary or other")
	}
	if by == "" {
		f.fault(fieldVerifiedBy, "is empty: who decided; --by for all")
	}
	var o schema.Object
	put(&o, "method", method)
	put(&o, "outcome", outcome)
	put(&o, "document", document)
	put(&o, "by", by)
	if len(f.row.Faults) > 0 {
		return
	}
	f.add(event.KindVerified, id+"/verified", at, o, map[string]field{
		"method": fieldMethod, "outcome": fieldOutcome, "document": fieldDocument, "document.kind": fieldDocument, "document.issuer": fieldIssuer,
		"document.number": fieldNumber, "document.expiresOn": fieldExpiresOn, "by": fieldVerifiedBy,
	})
}

func truth(text string) (value, ok bool) {
	switch strings.ToLower(text) {
	case "yes", "y", "true", "1", "ja", "oui", "sí", "si", "wahr":
		return true, true
	case "no", "n", "false", "0", "nein", "non", "falsch":
		return false, true
	}
	return false, false
}

// form is one way to write times; those without a zone are of [Options.Zone].
type form struct {
	layout string
	zoned  bool
}

// forms are those that mean one thing. With dots the day comes first.
var forms = []form{
	{time.RFC3339Nano, true}, {"2006-01-02 15:04:05Z07:00", true}, {"2006-01-02 15:04:05 -0700", true}, {"2006-01-02 15:04:05.999999999 UTC", true},
	{"2006-01-02 15:04:05.999999999", false}, {"2006-01-02T15:04:05.999999999", false}, {"2006-01-02 15:04", false}, {"2006-01-02T15:04", false}, {"2006-01-02", false},
	{"2.1.2006 15:04:05", false}, {"2.1.2006 15:04", false}, {"2.1.2006", false},
}

// slashed are the forms with slashes or dashes, in which what comes first hangs on the country.
var slashed = func() map[Dates][]form {
	all := make(map[Dates][]form)
	for order, day := range map[Dates]string{DayFirst: "2/1/2006", MonthFirst: "1/2/2006"} {
		for _, clock := range []string{"", " 15:04", " 15:04:05", " 3:04 PM", " 3:04:05 PM"} {
			all[order] = append(all[order], form{day + clock, false}, form{strings.ReplaceAll(day, "/", "-") + clock, false})
		}
	}
	return all
}()

// slashedDay is a date of these forms, with what stands behind it.
var slashedDay = regexp.MustCompile(`^\d{1,2}[/-]\d{1,2}[/-]\d{4}(\s|$)`)

// time reads a point in time, to the millisecond. Where none needs to be, that is now.
func (f *filler) time(of field, needed bool) (time.Time, bool) {
	text := f.cell(of)
	if text == "" {
		if needed {
			f.fault(of, "is empty: when it was")
			return time.Time{}, false
		}
		f.assume("an account of which nothing tells when it was opened is opened now: " + f.options.Now.UTC().Format(time.RFC3339))
		return f.options.Now.UTC().Truncate(time.Millisecond), true
	}
	for _, form := range append(slices.Clip(forms), slashed[f.options.Dates]...) {
		zone := f.options.Zone
		if form.zoned {
			zone = time.UTC
		}
		t, err := time.ParseInLocation(form.layout, text, zone)
		if err != nil {
			continue
		}
		if !form.zoned {
			f.assume(fmt.Sprintf("times without a zone are of %s, and days begin there", f.options.Zone))
		}
		return f.sound(of, t)
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && (len(text) == 10 || len(text) == 13) {
		if len(text) == 10 {
			n *= 1000
		}
		return f.sound(of, time.UnixMilli(n))
	}
	switch {
	case slashedDay.MatchString(text) && f.options.Dates == "":
		f.fault(of, "%q: which is the day and which the month? Say --dates dmy or --dates mdy, or write 2027-01-31 or 31.1.2027", text)
	case slashedDay.MatchString(text):
		f.fault(of, "%q is no date in the order %s", text, f.options.Dates)
	default:
		f.fault(of, "%q is no time like 2027-01-04T09:30:12Z, 2027-01-04 09:30:12, 2027-01-04 or 4.1.2027", text)
	}
	return time.Time{}, false
}

// sound is a time that an event can have.
func (f *filler) sound(of field, t time.Time) (time.Time, bool) {
	if y := t.UTC().Year(); y < 1970 || y > 9999 {
		f.fault(of, "is of the year %d", y)
		return time.Time{}, false
	}
	return t.UTC().Truncate(time.Millisecond), true
}
