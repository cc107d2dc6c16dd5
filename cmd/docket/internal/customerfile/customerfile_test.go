package customerfile_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/customerfile"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/sheet"
)

var berlin = time.FixedZone("Europe/Berlin", 60*60)

func options() customerfile.Options {
	return customerfile.Options{Zone: berlin, Now: time.Date(2027, 6, 1, 12, 0, 0, 0, time.UTC)}
}

// read is what a file says, a line a row: the events as JSON without their derived IDs, or
// the faults.
func read(t testing.TB, text string, o customerfile.Options) (lines []string, r *customerfile.Reader) {
	t.Helper()
	r, err := customerfile.Open(strings.NewReader(text), o)
	if err != nil {
		t.Fatalf("%v", err)
	}
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return lines, r
		} else if err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, in := range row.Inputs {
			if faults := in.Check(); faults != nil {
				t.Errorf("%s: an event that is none: %v", row.Place(), faults)
			}
			if id, suffix, _ := strings.Cut(in.ID, "/"); strings.HasPrefix(id, "sha256:") {
				if len(id) != len("sha256:")+64 {
					t.Errorf("%s: the ID %q", row.Place(), in.ID)
				}
				in.ID = strings.TrimSuffix("ID/"+suffix, "/")
			}
			said = append(said, string(in.Append(nil)))
		}
		if row.Faults != nil {
			said = append(said, row.Place()+": "+row.Faulty())
		}
		lines = append(lines, strings.Join(said, "\n"))
	}
}

func TestTables(t *testing.T) {
	entity, person := options(), options()
	entity.Type, person.Type, person.By = "entity", "person", "compliance-1"
	ana := `{"account":"7","id":"ID","kind":"opened","time":"2027-01-04T08:30:12Z","content":{"type":"person","name":"Ana Reed"}}`
	for _, tt := range []struct {
		name, file string
		options    customerfile.Options
		want       []string
	}{
		{"commas", "account,name,type,opened\n7,Ana Reed,person,2027-01-04T09:30:12+01:00\n", options(), []string{ana}},
		{"semicolons, a byte order mark, Windows' line ends", "\ufeffKundennr;Firma;Art;Eröffnet am\r\n7;Ana Reed;Privat;4.1.2027 09:30:12\r\n", options(), []string{ana}},
		{"what a spreadsheet says of its separator", "sep=;\r\nID;Name;Type;Created\r\n7;Ana Reed;individual;2027-01-04 09:30:12\r\n", options(), []string{ana}},
		{"tabs", "customer id\tfull name\ttype\tcreated at\n7\tAna Reed\tP\t2027-01-04 08:30:12 UTC\n", options(), []string{ana}},
		{"a time in seconds", "account,name,type,created\n7,Ana Reed,person,1799051412\n", options(), []string{ana}},
		{"in milliseconds", "account,name,type,created\n7,Ana Reed,person,1799051412000\n", options(), []string{ana}},
		{"an ID of the event", "account,event id,name,type,opened\n7,e-1,Ana Reed,person,2027-01-04\n", options(),
			[]string{`{"account":"7","id":"e-1","kind":"opened","time":"2027-01-03T23:00:00Z","content":{"type":"person","name":"Ana Reed"}}`}},
		{"nothing tells when", "account,name\n7,Ana Reed\n", person, []string{`{"account":"7","id":"ID","kind":"opened","time":"2027-06-01T12:00:00Z","content":{"type":"person","name":"Ana Reed"}}`}},
		{"all that there is",
			"account,name,type,opened,foreign,country,street,city,address country,email,phone,ip,payment method,last4,place of business,owners,company number,lei\n" +
				`7,Marsh Lantern,company,2027-01-04,yes,Germany,"2 Quay",Port Salt,de,desk@marsh.example;ops@marsh.example,"'+99 555 0101",192.0.2.7 2001:DB8::7,Credit Card,4242,"1 Mole, Port Salt","Ilse Marsh (France); Per Reed",HRB 7,` + "\n",
			options(),
			[]string{`{"account":"7","id":"ID","kind":"opened","time":"2027-01-03T23:00:00Z","content":{"type":"entity","name":"Marsh Lantern","country":"DE","address":{"full":"2 Quay, Port Salt","country":"DE"},"email":["desk@marsh.example","ops@marsh.example"],"telephone":["+99 555 0101"],"ip":["192.0.2.7","2001:db8::7"],"payment":[{"kind":"card","reference":"4242"}],"businessPlace":{"full":"1 Mole, Port Salt"},"owners":[{"name":"Ilse Marsh","country":"FR"},{"name":"Per Reed"}],"registrationNumber":"HRB 7","foreign":true}}`}},
		{"a verification", "account,name,opened,verified on,id document,issuer,document number,valid until,verified by\n7,Ana Reed,2027-01-04,2027-01-10,passport,XB,P-1,31.05.2031,kyc-1\n8,Per Reed,2027-01-04,,,,,,\n9,Ida Reed,2027-01-04,2027-01-10,passport,,,,\n", person,
			[]string{
				`{"account":"7","id":"ID","kind":"opened","time":"2027-01-03T23:00:00Z","content":{"type":"person","name":"Ana Reed"}}` + "\n" + `{"account":"7","id":"ID/verified","kind":"verified","time":"2027-01-09T23:00:00Z","content":{"method":"documentary","outcome":"verified","document":{"kind":"passport","issuer":"XB","number":"P-1","expiresOn":"2031-05-31"},"by":"kyc-1"}}`,
				`{"account":"8","id":"ID","kind":"opened","time":"2027-01-03T23:00:00Z","content":{"type":"person","name":"Per Reed"}}`,
				`{"account":"9","id":"ID","kind":"opened","time":"2027-01-03T23:00:00Z","content":{"type":"person","name":"Ida Reed"}}` + "\n" + `{"account":"9","id":"ID/verified","kind":"verified","time":"2027-01-09T23:00:00Z","content":{"method":"documentary","outcome":"verified","document":{"kind":"passport"},"by":"compliance-1"}}`,
			}},
		{"accesses", "timestamp;customer;source ip;port;action;user agent\n2027-01-04T09:30:12.2509Z;7;192.0.2.7;443;ConsoleLogin;curl\n2027-01-04T09:30:13Z;7;::ffff:192.0.2.7;;admin;\n2027-01-04T09:30:14Z;7;192.0.2.7;;DeleteBucket;\n", options(),
			[]string{
				`{"account":"7","id":"ID","kind":"access","time":"2027-01-04T09:30:12.25Z","content":{"ip":"192.0.2.7","port":443,"action":"login","agent":"curl"}}`,
				`{"account":"7","id":"ID","kind":"access","time":"2027-01-04T09:30:13Z","content":{"ip":"192.0.2.7","action":"administrative"}}`,
				`{"account":"7","id":"ID","kind":"access","time":"2027-01-04T09:30:14Z","content":{"ip":"192.0.2.7","action":"other"}}`,
			}},
		{"JSON Lines", "\ufeff" + `{"account":"7","id":"e","kind":"access","time":"2027-01-04T09:30:12Z","content":{"ip":"192.0.2.7","action":"login"}}` + "\r\n\r\n" + `{"kind":"access","account":"7","time":"2027-01-04T09:30:12Z","content":{"action":"login","ip":"192.0.2.7"}}`, options(),
			[]string{
				`{"account":"7","id":"e","kind":"access","time":"2027-01-04T09:30:12Z","content":{"ip":"192.0.2.7","action":"login"}}`,
				`{"account":"7","id":"ID","kind":"access","time":"2027-01-04T09:30:12Z","content":{"ip":"192.0.2.7","action":"login"}}`,
			}},

		// Faults, each with its row and its column.
		{"a whole card number", "account,name,payment method,payment reference\n7,Ana Reed,card,4111 1111 1111 1111\n8,Per Reed,4111-1111-1111-1111,\n9,Ida Reed,card,1111\n", person, []string{
			`row 2: column 4 (payment reference): looks like a whole card number, which this log must not hold: write its last four digits`,
			`row 3: column 3 (payment method): looks like a whole card number, which this log must not hold: write card here, and its last four digits as paymentReference`,
			`{"account":"9","id":"ID","kind":"opened","time":"2027-06-01T12:00:00Z","content":{"type":"person","name":"Ida Reed","payment":[{"kind":"card","reference":"1111"}]}}`,
		}},
		{"several faults of one row", "account,name,type,opened,email,country\n,,robot,1/2/2027,x,Atlantis\n", options(), []string{
			`row 2: column 1 (account): is empty: the provider's own name of the account; column 2 (name): is empty: the customer's full legal name; column 3 (type): "robot": want person or entity; column 6 (country): "Atlantis" is no country: want its name in English or its ISO 3166-1 code, of two or three letters (XA to XZ stand for fictional ones); column 4 (opened): "1/2/2027": which is the day and which the month? Say --dates dmy or --dates mdy, or write 2027-01-31 or 31.1.2027`,
		}},
		{"an address of e-mail that is none", "account,name,email\n7,Ana Reed,\"ana\"\n", person, []string{`row 2: column 3 (email): is "ana"; want one address of e-mail like desk@marsh.example`}},
		{"a person with owners", "account,name,owners\n7,Ana Reed,Per Reed\n", person, []string{`row 2: column 3 (owners): is of an entity only, and the customer is a person`}},
		{"neither person nor entity", "account,name\n7,Ana Reed\n", options(), []string{`row 2: no column is type: whether the customer is a person or an entity: a column type, or --type for all`}},
		{"verified, and nothing tells when", "account,name,verified by\n7,Ana Reed,kyc-1\n", person, []string{`row 2: column 3 (verified by): tells of a verification, and nothing tells when it was (verifiedOn)`}},
		{"verified, and nothing tells how", "account,name,verified on\n7,Ana Reed,2027-01-04\n", entity, []string{`row 2: no column is method: is empty: documentary, non-documentary or other; no column is verifiedBy: is empty: who decided; --by for all`}},
		{"an access from nowhere", "account,time,ip,port\n7,2027-01-04,,\n7,2027-01-04,192.0.2,\n7,2027-01-04,192.0.2.7,x\n7,,192.0.2.7,1\n,2027-01-04,192.0.2.7,1\n7,2027-01-04,192.0.2.7 192.0.2.8,\n", options(), []string{
			`row 2: column 3 (ip): is empty: from which address the access was`,
			`row 3: column 3 (ip): is "192.0.2"; want an IP address like 192.0.2.7 or 2001:db8::7`,
			`row 4: column 4 (port): "x" is no port`,
			`row 5: column 2 (time): is empty: when it was`,
			`row 6: column 1 (account): is empty: whose access it was`,
			`row 7: column 3 (ip): holds 2 addresses: an access is from one; write a row for each`,
		}},
		{"a separator that is no quoted part", "account,name\n7,Reed, Ana\n8,\"Reed\" Per\n9,Ida\n", person, []string{
			`row 2: the row has 3 cells and the header 2: put a cell that holds a separator into quotes`,
			`row 3: a quote stands inside a quoted cell, near column 2 (name): write it twice`,
			`{"account":"9","id":"ID","kind":"opened","time":"2027-06-01T12:00:00Z","content":{"type":"person","name":"Ida"}}`,
		}},
		{"JSON Lines with faults", `{"account":"7","kind":"access","time":"2027-01-04T09:30:12Z","content":{"ip":"x","action":"log"}}` + "\n" + `{"account":` + "\n[]\n" + `{"account":"7","id":"e","kind":"opened","time":"2027-01-04","content":{}}`, options(), []string{
			`row 1: /content/ip: is "x"; want an IP address like 192.0.2.7 or 2001:db8::7; /content/action: is "log"; want one of login, administrative, other; did you mean "login"?`,
			`row 2: /account: JSON at byte 11: a value is missing`,
			`row 3: is no object; want an event: account, id, kind, time, content`,
			`row 4: /time: "2027-01-04" is not an instant like 2026-11-23T18:19:04Z (UTC, at most 3 fraction digits); /content/type: is missing; /content/name: is missing`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := read(t, tt.file, tt.options)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

// TestWindows1252: as a spreadsheet on Windows writes "CSV", under German headings. Nobody guesses that.
func TestWindows1252(t *testing.T) {
	file := "Kundennummer;Firmenname;Typ;Er\xf6ffnet am;Land;Stra\xdfe;Ort;Telefon\r\n7;M\xfcller & S\xf6hne \x80 GmbH;Firma;4.1.2027;\xd6sterreich;Kai 2;Salzhafen;+99 555 0101\r\n"
	o := options()
	if _, err := customerfile.Open(strings.NewReader(file), o); err == nil || !strings.Contains(err.Error(), "--encoding windows-1252") {
		t.Errorf("without a word: %v", err)
	}
	o.Encoding = customerfile.Windows1252
	got, _ := read(t, file, o)
	want := `{"account":"7","id":"ID","kind":"opened","time":"2027-01-03T23:00:00Z","content":{"type":"entity","name":"Müller & Söhne € GmbH","country":"AT","address":{"full":"Kai 2, Salzhafen"},"telephone":["+99 555 0101"]}}`
	if len(got) != 1 || got[0] != want {
		t.Errorf("got  %q\nwant %s", got, want)
	}
	// In a row alone: the header is plain.
	got, _ = read(t, "account,name,type\n7,M\xfcller,person\n8,Reed,person\n", options())
	if len(got) != 2 || !strings.Contains(got[0], "--encoding windows-1252") || !strings.Contains(got[1], "Reed") {
		t.Errorf("got %q", got)
	}
}

// TestDates: what 1/2/2027 means is said by a person.
func TestDates(t *testing.T) {
	for _, tt := range []struct{ text, dmy, mdy string }{
		{"1/2/2027", "2027-01-31T23:00:00Z", "2027-01-01T23:00:00Z"},
		{"1/2/2027 9:30 PM", "2027-02-01T20:30:00Z", "2027-01-02T20:30:00Z"},
		{"01-02-2027 09:30:12", "2027-02-01T08:30:12Z", "2027-01-02T08:30:12Z"},
		{"31/1/2027", "2027-01-30T23:00:00Z", ""},
		{"1/31/2027 23:59", "", "2027-01-31T22:59:00Z"},
		{"2027-01-31", "2027-01-30T23:00:00Z", "2027-01-30T23:00:00Z"},
	} {
		for order, want := range map[customerfile.Dates]string{customerfile.DayFirst: tt.dmy, customerfile.MonthFirst: tt.mdy, "": ""} {
			o := options()
			o.Dates = order
			got, _ := read(t, "account,name,type,opened\n7,Ana Reed,person,"+tt.text+"\n", o)
			switch {
			case order == "" && tt.text == "2027-01-31":
			case order == "" && !strings.Contains(got[0], "--dates dmy or --dates mdy"):
				t.Errorf("%s without a word: %s", tt.text, got)
			case order != "" && want == "" && !strings.Contains(got[0], "is no date in the order "+string(order)):
				t.Errorf("%s as %s: %s", tt.text, order, got)
			case want != "" && !strings.Contains(got[0], `"time":"`+want+`"`):
				t.Errorf("%s as %s: %s, want %s", tt.text, order, got, want)
			}
		}
	}
}

// TestUTF16: as a spreadsheet writes "Unicode text".
func TestUTF16(t *testing.T) {
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune("account\tname\ttype\n7\tŁukasz\tperson\n")) {
		b = append(b, byte(u), byte(u>>8))
	}
	got, _ := read(t, string(b), options())
	if len(got) != 1 || !strings.Contains(got[0], `"name":"Łukasz"`) {
		t.Errorf("got %q", got)
	}
}

func TestOpenRefuses(t *testing.T) {
	told := options()
	told.Columns = []string{"account=Nr"}
	unknown := options()
	unknown.Columns = []string{"acount=Nr"}
	for _, tt := range []struct {
		name, file string
		options    customerfile.Options
		want       string
	}{
		{"nothing", "", options(), "the file is empty"},
		{"a list of JSON", "[{}]", options(), "one object a line"},
		{"a spreadsheet's own file", "PK\x03\x04", options(), "save it there as CSV UTF-8"},
		{"no column for whom", "name,email\nx,y\n", options(), `a table of accesses has account, time, ip; a table of customers has account. The header has "name", "email"; say which column is which: --column account=HEADING`},
		{"two columns of one name", "account,name,country,country\n", options(), `columns 3 and 4 are both called "country": say which one is meant, as --column country=#4`},
		{"a column that is not there", "account,name\n", told, `column account=Nr: no column is called that`},
		{"a field that is none", "account,name\n", unknown, `"acount=Nr": want FIELD=HEADING, with one of the fields account, id, name`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := customerfile.Open(strings.NewReader(tt.file), tt.options)
			var no *sheet.Error
			if !errors.As(err, &no) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// TestSaysWhatItDoesNotRead: which columns it reads as what, which not, and what it takes
// for granted.
func TestSaysWhatItDoesNotRead(t *testing.T) {
	o := options()
	o.Columns = []string{"name=Marke", "country="}
	_, r := read(t, "ID,Marke,Land,Sparte,Umsatz\n7,Ana Reed,DE,person,12\n", o)
	if got := strings.Join(r.Columns(), "; "); got != `account = "ID"; name = "Marke"` {
		t.Errorf("columns: %s", got)
	}
	if got := r.Unused(); !slices.Equal(got, []string{"Land", "Sparte", "Umsatz"}) {
		t.Errorf("not read: %q", got)
	}
	if _, r := read(t, "account,name,type\n7,Ana Reed,person\n8,Per Reed,person\n", options()); len(r.Assumed()) != 2 ||
		!strings.Contains(r.Assumed()[0], "is opened now: 2027-06-01T12:00:00Z") || !strings.Contains(r.Assumed()[1], "no column is an ID") {
		t.Errorf("assumed: %q", r.Assumed())
	}
}

// TestDerivedIDs: the same row is the same event, whatever its separator, its place, its
// other columns and the day of the import; another row is another event.
func TestDerivedIDs(t *testing.T) {
	ids := func(text string, now time.Time) (all []string) {
		o := options()
		o.Now = now
		r, err := customerfile.Open(strings.NewReader(text), o)
		if err != nil {
			t.Fatal(err)
		}
		for {
			row, err := r.Next()
			if err != nil {
				return all
			}
			for _, in := range row.Inputs {
				all = append(all, in.ID)
			}
		}
	}
	first := ids("account,name,type\n7,Ana Reed,person\n8,Per Reed,person\n", options().Now)
	second := ids("\ufeffType;X;Account;Name\r\nperson;;8;Per Reed\r\nperson;1;7;Ana Reed\r\nperson;1;7;Ana  Reed\r\n", options().Now.AddDate(0, 1, 0))
	if len(first) != 2 || len(second) != 3 || first[0] != second[1] || first[1] != second[0] || second[2] == second[1] {
		t.Errorf("%q and %q", first, second)
	}
	// Others can derive it too.
	sum := sha256.Sum256([]byte("account=\"7\"\nname=\"Ana Reed\"\ntype=\"person\"\n"))
	if want := "sha256:" + hex.EncodeToString(sum[:]); first[0] != want {
		t.Errorf("the ID %s, want %s", first[0], want)
	}
}
