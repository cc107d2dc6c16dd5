package programme_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

func addrs(texts ...string) (all []netip.Addr) {
	for _, text := range texts {
		all = append(all, netip.MustParseAddr(text))
	}
	return all
}

func set(members ...any) *event.Changed { return &event.Changed{Set: schema.ObjectOf(members...)} }

// TestDue: around each boundary the day before, the day, and the day after it.
func TestDue(t *testing.T) {
	no := false
	entityOf := func(owners ...event.Owner) func(*event.Opened) {
		return func(c *event.Opened) { c.Owners = owners }
	}
	for _, tt := range []struct {
		name string
		life *life
		days map[string]string // what is due on a day
	}{
		{"verification within a month of days", person(t, "2027-01-04"), map[string]string{
			"2027-01-04": "verify by 2027-02-03", "2027-02-03": "verify by 2027-02-03", "2027-02-04": "verify by 2027-02-03 late",
		}},
		{"of February in a leap year", person(t, "2028-01-30"), map[string]string{"2028-02-29": "verify by 2028-02-29", "2028-03-01": "verify by 2028-02-29 late"}},
		{"of February in another year", person(t, "2027-01-30"), map[string]string{"2027-03-01": "verify by 2027-03-01", "2027-03-02": "verify by 2027-03-01 late"}},
		{"a verified customer has nothing due", person(t, "2027-01-04").add("2027-01-20", verified("documentary")), map[string]string{"2027-01-20": "", "2027-12-20": ""}},
		{"verified by a method that does not count", person(t, "2027-01-04").add("2027-01-20", verified("other")), map[string]string{"2027-02-04": "verify by 2027-02-03 late"}},
		{"no duty towards who is known to be no foreign person", person(t, "2027-01-04", func(c *event.Opened) { c.Foreign = &no }), map[string]string{"2027-12-04": ""}},
		{"nor after the account is closed", person(t, "2027-01-04").add("2027-01-10", &event.Closed{Reason: "by the customer", By: "customer"}), map[string]string{"2027-12-04": ""}},

		{"nor once it is erased", person(t, "2027-01-04").add("2027-01-05", hit("designation/2027-001")).add("2027-01-10", &event.Closed{Reason: "by the customer", By: "customer"}).add("2029-01-11", &event.Erased{Reason: "two years", By: "retention"}), map[string]string{"2029-12-04": ""}},

		{"again after a year, from the notice on", person(t, "2027-01-04").add("2027-01-20", verified("documentary")), map[string]string{
			"2027-12-20": "", "2027-12-21": "reverify age by 2028-01-20", "2028-01-20": "reverify age by 2028-01-20", "2028-01-21": "reverify age by 2028-01-20 late",
		}},
		{"a year after a leap day", person(t, "2028-02-29").add("2028-02-29", verified("documentary")), map[string]string{
			"2029-02-28": "reverify age by 2029-02-28", "2029-03-01": "reverify age by 2029-02-28 late",
		}},
		{"the newest counts, and by its time, however late it was logged", person(t, "2027-01-04").add("2027-03-01", verified("documentary")).add("2027-02-01", verified("documentary")), map[string]string{
			"2028-02-28": "reverify age by 2028-03-01", "2028-03-02": "reverify age by 2028-03-01 late",
		}},
		{"a document that ends, a month later", person(t, "2027-01-04").add("2027-01-20", verified("documentary", expiring(t, "2027-05-31"))), map[string]string{
			"2027-05-30": "", "2027-05-31": "reverify expired by 2027-06-30", "2027-06-30": "reverify expired by 2027-06-30", "2027-07-01": "reverify expired by 2027-06-30 late",
		}},
		{"the month after the last of January", person(t, "2027-01-04").add("2027-01-20", verified("documentary", expiring(t, "2027-01-31"))), map[string]string{
			"2027-02-28": "reverify expired by 2027-02-28", "2027-03-01": "reverify expired by 2027-02-28 late",
		}},
		{"a change of what was verified", person(t, "2027-01-04").add("2027-01-20", verified("documentary")).add("2027-02-10", set("name", "Ana Marsh")), map[string]string{
			"2027-02-10": "reverify changed by 2027-02-20", "2027-02-21": "reverify changed by 2027-02-20 late",
		}},
		{"a second change gives no more time", person(t, "2027-01-04").add("2027-01-20", verified("documentary")).add("2027-02-10", set("name", "Ana Marsh")).add("2027-02-19", set("name", "Ana Reed")).add("2027-02-20", set("country", "XC")), map[string]string{
			"2027-02-21": "reverify changed by 2027-02-20 late",
		}},
		{"a change of what nobody verifies", person(t, "2027-01-04").add("2027-01-20", verified("documentary")).add("2027-02-10", set("email", []any{"a@b.example"})), map[string]string{"2027-03-10": ""}},
		{"a change before the verification", person(t, "2027-01-04").add("2027-01-10", set("name", "Ana Marsh")).add("2027-01-20", verified("documentary")), map[string]string{"2027-03-10": ""}},
		{"a change, verified again", person(t, "2027-01-04").add("2027-01-20", verified("documentary")).add("2027-02-10", set("name", "Ana Marsh")).add("2027-02-12", verified("documentary")), map[string]string{"2027-03-10": ""}},
		{"a change, verified by a method that does not count", person(t, "2027-01-04").add("2027-01-20", verified("documentary")).add("2027-02-10", set("name", "Ana Marsh")).add("2027-02-12", verified("other")), map[string]string{
			"2027-03-10": "reverify changed by 2027-02-20 late",
		}},

		{"elements that are missing, in one line", person(t, "2027-01-04", func(c *event.Opened) { c.Address, c.Email = nil, nil }), map[string]string{
			"2027-01-09": "elements address email by 2027-01-09; verify by 2027-02-03", "2027-01-10": "elements address email by 2027-01-09 late; verify by 2027-02-03",
		}},
		{"an address of an access is known too", person(t, "2027-01-04", func(c *event.Opened) { c.IP = nil }).add("2027-01-05", &event.Access{IP: addrs("192.0.2.7")[0], Action: "login"}), map[string]string{"2027-01-06": "verify by 2027-02-03"}},
		{"without an access", person(t, "2027-01-04", func(c *event.Opened) { c.IP = nil }), map[string]string{"2027-01-06": "elements ip by 2027-01-09; verify by 2027-02-03"}},
		{"an element taken away later", person(t, "2027-01-04").add("2027-01-20", verified("documentary")).add("2027-03-01", &event.Changed{Unset: []string{"email"}}), map[string]string{
			"2027-03-06": "elements email by 2027-03-06", "2027-03-07": "elements email by 2027-03-06 late",
		}},

		{"a country that is a risk", person(t, "2027-01-04", func(c *event.Opened) { c.Country = "XB" }), map[string]string{
			"2027-01-11": "verify country by 2027-01-11; verify by 2027-02-03", "2027-01-12": "verify country by 2027-01-11 late; verify by 2027-02-03",
		}},
		{"that of an address", person(t, "2027-01-04", func(c *event.Opened) { c.Address.Country = "XB" }), map[string]string{"2027-01-11": "verify country by 2027-01-11; verify by 2027-02-03"}},
		{"that of a place of business", entity(t, "2027-01-04", func(c *event.Opened) { c.BusinessPlace = &event.Address{Full: "2 Quay", Country: "XB"} }), map[string]string{"2027-01-11": "verify country by 2027-01-11; verify by 2027-02-03"}},
		{"that of an owner's address", entity(t, "2027-01-04", entityOf(event.Owner{Name: "Ilse Marsh", Address: &event.Address{Full: "3 Quay", Country: "XB"}})), map[string]string{"2027-01-11": "verify country by 2027-01-11; verify by 2027-02-03"}},
		{"it became one by a change", person(t, "2027-01-04").add("2027-01-20", verified("non-documentary")).add("2027-02-10", set("country", "XB")), map[string]string{
			"2027-02-18": "verify country by 2027-02-17 late; reverify changed by 2027-02-20; verify paper by 2027-04-20",
		}},
		{"verified as the risk wants it, and again after six months", person(t, "2027-01-04", func(c *event.Opened) { c.Country = "XB" }).add("2027-01-05", verified("documentary")), map[string]string{
			"2027-06-04": "", "2027-06-05": "reverify country by 2027-07-05", "2027-07-06": "reverify country by 2027-07-05 late",
		}},
		{"owners that are hidden", entity(t, "2027-01-04", entityOf(), func(c *event.Opened) { c.Telephone = nil }), map[string]string{
			"2027-01-07": "elements telephone hidden by 2027-01-07; elements owners by 2027-01-09; verify by 2027-02-03",
			"2027-01-08": "elements telephone hidden by 2027-01-07 late; elements owners by 2027-01-09; verify by 2027-02-03",
		}},
		{"verified without a document", person(t, "2027-01-04").add("2027-01-20", verified("non-documentary")), map[string]string{
			"2027-04-20": "verify paper by 2027-04-20", "2027-04-21": "verify paper by 2027-04-20 late",
		}},
		{"again without a document gives no more time", person(t, "2027-01-04").add("2027-01-20", verified("non-documentary")).add("2027-03-20", verified("non-documentary")).add("2027-04-01", verified("non-documentary")), map[string]string{
			"2027-04-21": "verify paper by 2027-04-20 late",
		}},

		{"an identity that cannot be verified", person(t, "2027-01-04").add("2027-01-20", failed), map[string]string{
			"2027-02-03": "verify by 2027-02-03; resolve by 2027-02-09", "2027-02-10": "verify by 2027-02-03 late; resolve by 2027-02-09 late",
		}},
		{"a second failure gives no more time", person(t, "2027-01-04").add("2027-01-20", failed).add("2027-02-01", failed).add("2027-02-05", failed), map[string]string{"2027-02-10": "verify by 2027-02-03 late; resolve by 2027-02-09 late"}},
		{"verified after all", person(t, "2027-01-04").add("2027-01-20", failed).add("2027-02-01", verified("documentary")), map[string]string{"2027-02-10": ""}},
		{"a failure after a verification", person(t, "2027-01-04").add("2027-01-10", verified("documentary")).add("2027-06-01", failed), map[string]string{"2027-06-22": "resolve by 2027-06-21 late"}},

		{"a hit waits for a decision", person(t, "2027-01-04").add("2027-01-20", verified("documentary")).add("2027-02-01", hit("designation/2027-001")), map[string]string{
			"2027-02-03": "decide designation/2027-001 by 2027-02-03", "2027-02-04": "decide designation/2027-001 by 2027-02-03 late",
		}},
		{"the same hit again gives no more time", person(t, "2027-01-04").add("2027-01-20", verified("documentary")).add("2027-02-01", hit("designation/2027-001")).add("2027-02-03", hit("designation/2027-001")), map[string]string{
			"2027-02-04": "decide designation/2027-001 by 2027-02-03 late",
		}},
		{"a false positive", person(t, "2027-01-04").add("2027-01-20", verified("documentary")).add("2027-02-01", hit("designation/2027-001")).add("2027-02-02", decision("designation/2027-001", "false-positive")), map[string]string{"2027-02-10": ""}},
		{"a true match", person(t, "2027-01-04").add("2027-01-20", verified("documentary")).add("2027-02-01", hit("designation/2027-001")).add("2027-02-02", decision("designation/2027-001", "true-match")), map[string]string{
			"2027-02-03": "close designation/2027-001 by 2027-02-03", "2027-02-04": "close designation/2027-001 by 2027-02-03 late",
		}},
		{"a hit on a closed account", person(t, "2027-01-04").add("2027-01-05", &event.Closed{Reason: "by the customer", By: "customer"}).add("2027-02-01", hit("designation/2027-001")), map[string]string{
			"2027-02-04": "decide designation/2027-001 by 2027-02-03 late",
		}},
		{"a true match, closed", person(t, "2027-01-04").add("2027-02-01", hit("designation/2027-001")).add("2027-02-02", decision("designation/2027-001", "true-match")).add("2027-02-03", &event.Closed{Reason: "designated", By: "compliance-1"}), map[string]string{"2027-03-10": ""}},
	} {
		for day, want := range tt.days {
			t.Run(tt.name+"/"+day, func(t *testing.T) {
				day := date(t, day)
				if got := text(day, history(t, plain).Due(&tt.life.state, time.UTC, day)); got != want {
					t.Errorf("due: %q\nwant %q", got, want)
				}
			})
		}
	}
}

// TestDueInTheZone: a day is the charter's, not the machine's nor that of UTC.
func TestDueInTheZone(t *testing.T) {
	newYork, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	l := person(t, "2028-03-01T04:59:59.999Z") // still the leap day in New York, long over in Tokyo
	for _, tt := range []struct {
		zone *time.Location
		want string
	}{{newYork, "verify by 2028-03-30"}, {time.UTC, "verify by 2028-03-31"}, {tokyo, "verify by 2028-03-31"}} {
		if got := text(date(t, "2028-03-02"), history(t, plain).Due(&l.state, tt.zone, date(t, "2028-03-02"))); got != tt.want {
			t.Errorf("in %s: %q, want %q", tt.zone, got, tt.want)
		}
	}
	l = person(t, "2027-11-30T15:00:00Z") // midnight in Tokyo: the next month's first day
	for _, tt := range []struct {
		zone *time.Location
		want string
	}{{time.UTC, "verify by 2027-12-30"}, {tokyo, "verify by 2027-12-31"}} {
		if got := text(date(t, "2027-12-01"), history(t, plain).Due(&l.state, tt.zone, date(t, "2027-12-01"))); got != tt.want {
			t.Errorf("in %s: %q, want %q", tt.zone, got, tt.want)
		}
	}
}

// TestDueByVersions: a version rules from its first day on, and makes nobody late for what
// was not demanded before it.
func TestDueByVersions(t *testing.T) {
	stricter := strings.NewReplacer("2020-01-01", "2027-06-01", "name: plain", "name: stricter\ntransition: P10D", "within: P30D", "within: P14D", "[name, address, email, ip]", "[name, address, email, ip, payment]").Replace(plain)
	laxer := strings.NewReplacer("2020-01-01", "2027-06-01", "name: plain", "name: laxer", "within: P30D", "within: P60D").Replace(plain)
	late := strings.NewReplacer("2020-01-01", "2027-06-01").Replace(plain)
	h := history(t, stricter, plain) // in any order
	for _, tt := range []struct {
		name, opened, day, want string
		versions                []string
	}{
		{"before the first day the old one holds", "2027-05-10", "2027-05-31", "verify by 2027-06-09", nil},
		{"what would have been late already gets the transition, at most the old date", "2027-05-10", "2027-06-01", "verify by 2027-06-09; elements payment by 2027-06-11", nil},
		{"what the old date lies beyond gets the transition", "2027-05-20", "2027-06-01", "elements payment by 2027-06-11; verify by 2027-06-11", nil},
		{"what was late stays late", "2027-03-01", "2027-06-01", "verify by 2027-03-31 late; elements payment by 2027-06-11", nil},
		{"after the transition the new date holds", "2027-05-30", "2027-06-14", "elements payment by 2027-06-11 late; verify by 2027-06-13 late", nil},
		{"a laxer one gives more time", "2027-05-10", "2027-06-20", "verify by 2027-07-09", []string{plain, laxer}},
		{"and not for what was late before it", "2027-03-01", "2027-06-20", "verify by 2027-03-31 late", []string{plain, laxer}},
		{"before the first version nothing is due", "2026-01-01", "2027-05-31", "", []string{late}},
		{"the first makes nobody late either", "2026-01-01", "2027-06-01", "verify by 2027-06-01", []string{late}},
		{"but on the next day", "2026-01-01", "2027-06-02", "verify by 2027-06-01 late", []string{late}},
		{"no version, no duty", "2026-01-01", "2027-06-02", "", []string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			of := h
			if tt.versions != nil {
				of = history(t, tt.versions...)
			}
			day := date(t, tt.day)
			if got := text(day, of.Due(&person(t, tt.opened).state, time.UTC, day)); got != tt.want {
				t.Errorf("due: %q\nwant %q", got, tt.want)
			}
		})
	}
}

// TestDueSaysWhy: the words are for whoever has to act.
func TestDueSaysWhy(t *testing.T) {
	l := person(t, "2027-01-04", func(c *event.Opened) { c.Country = "XB" }).add("2027-01-20", failed).add("2027-02-01", hit("designation/2027-001"))
	var all []string
	for _, d := range history(t, plain).Due(&l.state, time.UTC, date(t, "2027-02-01")) {
		all = append(all, d.Why)
	}
	want := strings.Join([]string{
		"risk country holds since 2027-01-04; to be verified within P7D (documentary)",
		"designation/2027-001 hit it on 2027-02-01 (by its name); to be decided within P2D",
		"opened on 2027-01-04; to be verified within P30D (documentary, non-documentary)",
		"could not be verified on 2027-01-20; to be verified by another way or closed within P20D; until then the account is used for limited purposes only",
	}, "\n")
	if got := strings.Join(all, "\n"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestRisks: conditions that the plain programme does not tell apart.
func TestRisks(t *testing.T) {
	paper := strings.Replace(plain, "{id: paper, when: {nonDocumentaryOnly: true}, methods: [documentary], within: P90D}", "{id: paper, when: {nonDocumentaryOnly: true}, methods: [documentary], within: P90D, again: P2M}", 1)
	typed := strings.Replace(plain, "when: {countries: [XB]}", "when: {countries: [XB], type: entity}", 1)
	for _, tt := range []struct {
		name, programme string
		life            *life
		day, want       string
	}{
		{"a document did it once", paper, person(t, "2027-01-04").add("2027-01-10", verified("documentary")).add("2027-01-20", verified("non-documentary")), "2027-03-10", ""},
		{"a risk of entities, of a person", typed, person(t, "2027-01-04", func(c *event.Opened) { c.Country = "XB" }), "2027-01-05", "verify by 2027-02-03"},
		{"of an entity", typed, entity(t, "2027-01-04", func(c *event.Opened) { c.Country = "XB" }), "2027-01-05", "verify country by 2027-01-11; verify by 2027-02-03"},
		{"owners that are hidden since a change", plain, entity(t, "2027-01-04", func(c *event.Opened) { c.Telephone = nil }).add("2027-01-20", verified("documentary")).add("2027-03-01", &event.Changed{Unset: []string{"owners"}}), "2027-03-02",
			"elements telephone hidden by 2027-03-04; elements owners by 2027-03-06; reverify changed by 2027-03-11"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			day := date(t, tt.day)
			if got := text(day, history(t, tt.programme).Due(&tt.life.state, time.UTC, day)); got != tt.want {
				t.Errorf("due: %q\nwant %q", got, tt.want)
			}
		})
	}
}
