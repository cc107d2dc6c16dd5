package event_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

var testScope = event.NewScope(sha256.Sum256([]byte("charter")), "acme-cloud")

var testTime = time.Date(2027, 1, 4, 9, 30, 12, 250e6, time.UTC)

func testSalt(n int) event.Salt { return sha256.Sum256(fmt.Appendf(nil, "salt %d", n)) }

var testHandle = event.Handle{0x8c, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}

// contents is one of each kind, whole.
var contents = []string{
	`opened {"account":"acct-20417","type":"entity","name":"Marsh Lantern Trading","country":"XB","address":{"full":"12 Quay Street, Port Salt","country":"XB"},"email":["desk@marsh.example","ops@marsh.example"],"telephone":["+99 555 0101"],"ip":["192.0.2.7","2001:db8::7"],"payment":[{"kind":"card","reference":"4242"}],"businessPlace":{"full":"Harbour 3"},"owners":[{"name":"Ilse Marsh","country":"XC","email":["ilse@marsh.example"]}],"registrationNumber":"HR/77","lei":"529900T8BM49AURSDO55","foreign":true}`,
	`verified {"method":"documentary","outcome":"verified","document":{"kind":"passport","issuer":"XB","number":"P-4401","expiresOn":"2031-05-31"},"by":"compliance-1","note":"seen twice\nand copied"}`,
	`changed {"set":{"name":"Marsh Lantern AG","email":["desk@marsh.example"]},"unset":["telephone"],"reason":"new name","by":"compliance-1"}`,
	`access {"ip":"192.0.2.7","port":50122,"action":"login","agent":"cli/2.1"}`,
	`flagged {"what":"hit","record":"3fa95c8e07d64b1f9b2a6c31d0e4f5872b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e","thread":"designation/2026-014","matched":"/owners/0/name","score":812,"outcome":"open"}`,
	`held {"reason":"litigation","request":"disclosure/2027-03","by":"legal-1"}`,
	`released {"reason":"settled","request":"disclosure/2027-03","by":"legal-1"}`,
	`closed {"reason":"by the customer","by":"customer"}`,
	`erased {"reason":"retention is over","by":"compliance-1","events":0,"filed":"0000000000000000000000000000000000000000000000000000000000000000","backupsUntil":"2029-03-01"}`,
	`searched {"what":"searched","by":"reader-1","query":"marsh","count":2}`,
	`disclosed {"what":"disclosed","by":"discloser-1","customer":"8c0102030405060708090a0b0c0d0e0f","request":"disclosure/2027-03","digest":"3fa95c8e07d64b1f9b2a6c31d0e4f5872b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e","count":12,"size":2000,"root":"qL9zRVx4XNwZC0b6H3B8H0G3S2cT1kQyq0V7mP4dLhE=","until":"2027-01-31"}`,
}

func decode(t testing.TB, text string) event.Content {
	t.Helper()
	kind, raw, _ := strings.Cut(text, " ")
	v, err := schema.ParseJSON([]byte(raw))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	c, faults := event.Decode(event.Kind(kind), v.(schema.Object))
	if len(faults) > 0 {
		t.Fatalf("%s: %v", text, faults)
	}
	return c
}

// testEvents is one event of each kind, in one chain's numbers.
func testEvents(t testing.TB) (events []*event.Event) {
	for i, text := range contents {
		c := decode(t, text)
		e := &event.Event{Header: event.Header{Handle: testHandle, Kind: c.Kind(), Time: testTime, Logged: testTime.Add(time.Second), Number: uint64(i), Before: uint64(100 * i)}, ID: fmt.Sprintf("id-%d", i), Salt: testSalt(i), Content: c}
		if c.Kind().OfHouse() {
			e.Handle = event.House
		}
		if i == 0 {
			e.Before = 0
		}
		events = append(events, e)
	}
	return events
}

// Every kind has an example, but of acts, which have one content, two.
func TestExamplesAreWhole(t *testing.T) {
	for _, k := range event.Kinds() {
		found := false
		for _, text := range contents {
			found = found || strings.HasPrefix(text, string(k)+" ")
		}
		if !found && !k.OfHouse() {
			t.Errorf("no example of %s", k)
		}
	}
	for _, text := range contents {
		kind, raw, _ := strings.Cut(text, " ")
		if got := string(event.AppendContent(nil, decode(t, text))); got != raw {
			t.Errorf("%s\nis written again as\n%s", raw, got)
		}
		for _, f := range event.Kind(kind).Shape().Fields {
			if f.Doc == "" {
				t.Errorf("%s: %s has no words", kind, f.Name)
			}
		}
	}
}

// The vectors from which somebody else could implement the format.
func TestVectors(t *testing.T) {
	var all []any
	for _, e := range testEvents(t) {
		openings, err := testScope.Openings(e)
		if err != nil {
			t.Fatal(err)
		}
		o, err := schema.ParseJSON(event.AppendOpenings(nil, openings))
		if err != nil {
			t.Fatal(err)
		}
		content, err := schema.ParseJSON(event.AppendContent(nil, e.Content))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, schema.ObjectOf(
			"salt", hex.EncodeToString(e.Salt[:]), "kind", string(e.Kind), "content", content,
			"openings", o, "leaf", string(testScope.Leaf(e)), "plaintext", hex.EncodeToString(e.Append(nil))))
	}
	root := sha256.Sum256([]byte("root"))
	filed := event.FiledOf([]uint64{3, 17, 204})
	opening := event.FiledOpening(testSalt(102), filed)
	value := testScope.FiledValue(opening)
	key := event.MapKey([]byte("map salt of 32 bytes ...........")[:32], testHandle)
	file := schema.Indent(schema.ObjectOf(
		"about", "ledger/customers/event: leaves of a customer log. Salts are hexadecimal; salts of openings base64.",
		"ledger", testScope.Ledger.String(), "thread", string(testScope.Thread),
		"events", all,
		"pad", schema.ObjectOf("index", int64(12), "salt", hexOf(testSalt(100)), "leaf", string(testScope.LeafOf(event.PadOpening(testSalt(100), 12)))),
		"map", schema.ObjectOf("root", hex.EncodeToString(root[:]), "salt", hexOf(testSalt(101)), "leaf", string(testScope.LeafOf(event.MapOpening(testSalt(101), root)))),
		"filed", schema.ObjectOf("leaves", "3,17,204", "text", filed.String(), "salt", hexOf(testSalt(102)), "value", hex.EncodeToString(value[:])),
		"key", schema.ObjectOf("mapSalt", hex.EncodeToString([]byte("map salt of 32 bytes ..........."))[:64], "handle", testHandle.String(), "key", hex.EncodeToString(key[:])),
	))
	path := filepath.Join("testdata", "vectors.json")
	if refusaltest.Update() {
		if err := os.WriteFile(path, file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(file, want) {
		t.Errorf("%s: what is written today differs; a format must not change (-update only for a new file)", path)
	}
}

func hexOf(s event.Salt) string { return hex.EncodeToString(s[:]) }

// The vector again, by the definition's own steps and nothing of the package.
func TestLeafByHand(t *testing.T) {
	e := testEvents(t)[3] // access
	commit := func(pointer, value string) string {
		salt := hmacSHA256(e.Salt[:], pointer)
		sum := sha256.Sum256([]byte("docket-commitment/v1\n" + testScope.Ledger.String() + "\ncustomer-log/acme-cloud\n" + pointer + "\n" + string(salt) + value))
		return hex.EncodeToString(sum[:])
	}
	var content []string
	for _, v := range [][2]string{{"/action", "login"}, {"/agent", "cli/2.1"}, {"/ip", "192.0.2.7"}, {"/port", "50122"}} {
		content = append(content, `"`+v[0]+`":"`+commit("/event/content"+v[0], v[1])+`"`)
	}
	line := "{" + strings.Join(content, ",") + "}"
	var header []string
	for _, v := range [][2]string{{"handle", "8c0102030405060708090a0b0c0d0e0f"}, {"kind", "access"}, {"time", "2027-01-04T09:30:12.25Z"},
		{"logged", "2027-01-04T09:30:13.25Z"}, {"number", "3"}, {"before", "300"}, {"content", line}} {
		header = append(header, `"`+v[0]+`":"`+commit("/event/"+v[0], v[1])+`"`)
	}
	sum, err := hex.DecodeString(commit("/event", "{"+strings.Join(header, ",")+"}"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(testScope.Leaf(e)), "docket-customer/v1\n"+base64Of(sum)+"\n"; got != want {
		t.Errorf("leaf %q, want %q", got, want)
	}
}

// What each kind refuses, and where.
func TestFaults(t *testing.T) {
	for _, tt := range []struct{ kind, content, want string }{
		{"access", `{"action":"login"}`, "/content/ip"},
		{"access", `{"ip":"192.0.2.777","action":"login"}`, "/content/ip"},
		{"access", `{"ip":"fe80::1%eth0","action":"login"}`, "/content/ip"},
		{"access", `{"ip":"192.0.2.7","action":"logon"}`, "/content/action"},
		{"access", `{"ip":"192.0.2.7","action":"login","port":70000}`, "/content/port"},
		{"opened", `{"type":"person","name":"Ada Reed","account":"acct-1"}`, "/content/account"},
		{"opened", `{"type":"person","name":"Ada Reed","lei":"529900T8BM49AURSDO55","owners":[{"name":"X"}]}`, "/content/owners /content/lei"},
		{"opened", `{"type":"person","name":"Ada Reed","email":["ada"],"telephone":["call me"]}`, "/content/email/0 /content/telephone/0"},
		{"opened", `{"type":"entity","name":"Reed","payment":[{"kind":"card","reference":"4242"},{"kind":"card","reference":"4111 1111-1111 1111"}]}`, "/content/payment/1/reference"},
		{"opened", `{"type":"entity","name":"Reed","payment":[{"kind":"card","reference":"visa 4111111111111111 12/29"}]}`, "/content/payment/0/reference"},
		{"opened", `{"type":"entity","name":"Reed","payment":[{"kind":"card","reference":"٤١١١"}]}`, "/content/payment/0/reference"},
		{"opened", `{"type":"entity","name":"Reed","owners":[{"name":"Ada","email":["no"]}]}`, "/content/owners/0/email/0"},
		{"changed", `{}`, "/content"},
		{"changed", `{"reason":"nothing"}`, "/content"},
		{"changed", `{"set":{"account":"acct-2"}}`, "/content/set/account"},
		{"changed", `{"set":{"email":[]}}`, "/content/set/email"},
		{"changed", `{"set":{"address":{"country":"XB"}}}`, "/content/set/address/full"},
		{"changed", `{"set":{"country":"XB"},"unset":["country"]}`, "/content/unset/0"},
		{"changed", `{"set":{"payment":[{"kind":"card","reference":"4111111111111111"}]}}`, "/content/set/payment/0/reference"},
		{"changed", `{"unset":["name"]}`, "/content/unset/0"},
		{"verified", `{"method":"documentary","outcome":"verified","by":"c"}`, "/content/document"},
		{"verified", `{"method":"other","outcome":"verified"}`, "/content/by"},
		{"verified", `{"method":"documentary","outcome":"verified","by":"c","document":{"kind":"passport","number":"1","numberCommitted":"3fa95c8e07d64b1f9b2a6c31d0e4f5872b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e"}}`, "/content/document/numberCommitted"},
		{"flagged", `{"what":"hit","thread":"designation/a","outcome":"true-match"}`, "/content/outcome"},
		{"flagged", `{"what":"decision","thread":"designation/a","outcome":"true-match"}`, "/content/by /content/reason"},
		{"held", `{"by":"legal-1"}`, "/content/reason"},
		{"erased", `{}`, "/kind"},
		{"searched", `{}`, "/kind"},
	} {
		_, faults := event.ParseInput([]byte(`{"account":"acct-1","id":"1","kind":"` + tt.kind + `","time":"2027-01-04T09:30:12Z","content":` + tt.content + `}`))
		var at []string
		for _, f := range faults {
			at = append(at, f.Pointer)
		}
		if got := strings.Join(at, " "); got != tt.want {
			t.Errorf("%s %s: faults at %q, want %q: %v", tt.kind, tt.content, got, tt.want, faults)
		}
	}
}

func TestInput(t *testing.T) {
	raw := `{"account":"acct-20417","id":"1","kind":"opened","time":"2027-01-04T09:30:12.25Z","content":{"type":"person","name":"Ada Reed","ip":["::ffff:192.0.2.7"]}}`
	in, faults := event.ParseInput([]byte(raw))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	o := in.Content.(*event.Opened)
	if o.Account != "acct-20417" || o.IP[0] != netip.MustParseAddr("192.0.2.7") || !in.Time.Equal(testTime) {
		t.Errorf("read as %+v", in)
	}
	if got, want := string(in.Append(nil)), strings.Replace(raw, "::ffff:", "", 1); got != want {
		t.Errorf("written again as\n%s\nwant\n%s", got, want)
	}
	if faults := in.Check(); len(faults) > 0 {
		t.Error(faults)
	}
	in.Kind = event.KindClosed
	if faults := in.Check(); len(faults) != 1 || faults[0].Pointer != "/kind" {
		t.Errorf("another kind than the content's: %v", faults)
	}
	for _, bad := range []struct{ raw, want string }{
		{`[]`, ""}, {`{`, ""}, {`{"account":"a"}`, "/id /kind /time /content"},
		{`{"account":"a","id":"1","kind":"closed","time":"2027-01-04 09:30","content":{"reason":"x","by":"y"}}`, "/time"},
		{`{"account":"a","id":"1","kind":"closed","time":"2027-01-04T09:30:00Z","content":[]}`, "/content"},
		{`{"account":"a","id":"1","kind":"shut","time":"2027-01-04T09:30:00Z","content":{}}`, "/kind"},
		{`{"account":"a","id":"1","kind":"closed","time":"2027-01-04T09:30:00Z","content":{"reason":"x","by":"y"},"more":1}`, "/more"},
	} {
		_, faults := event.ParseInput([]byte(bad.raw))
		var at []string
		for _, f := range faults {
			at = append(at, f.Pointer)
		}
		if got := strings.Join(at, " "); got != bad.want || len(faults) == 0 {
			t.Errorf("%s: faults at %q, want %q", bad.raw, got, bad.want)
		}
	}
}

func TestCardNumber(t *testing.T) {
	for text, want := range map[string]bool{
		"4111111111111111": true, "4111-1111 1111-1111": true, "378282246310005": true, "a 5555555555554444": true,
		"4111111111111111 12/29": true, "4111 1111 1111 1111 12/29": true, "3782-822463-10005 1299": true,
		"4111111111111112": false, "4242": false, "": false, "DE89 3704 0044 0532 0130 00": false,
		"4111.1111.1111.1111": false, // an amount or an address it may be
	} {
		if got := event.CardNumber(text); got != want {
			t.Errorf("CardNumber(%q) = %t", text, got)
		}
	}
}

// The schema of every kind is one that names what an input may have.
func TestSchemas(t *testing.T) {
	for _, k := range event.Kinds() {
		if k.OfHouse() {
			continue
		}
		var o schema.Object
		if err := o.UnmarshalJSON(event.SchemaJSON(k)); err != nil {
			t.Errorf("%s: %v", k, err)
		}
		if o.Lookup("title") != any(string(k)) || o.Lookup("properties").(schema.Object).Lookup("content") == nil {
			t.Errorf("%s: %s", k, event.SchemaJSON(k))
		}
	}
}
