package vault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/register/screen"
)

// Each customer here is found by each of its queries, and fits it; nobody else fits.
func TestFind(t *testing.T) {
	h := build(t)
	type customer struct {
		account string
		terms   []Term
		by      map[string]How
	}
	all := []customer{
		{"k-100", []Term{{Name, "Kestrel Hosting FZ-LLC"}, {Email, "Kes.Trel@kestrel.example"}, {Phone, "+49 (0)30 1234567"}, {IP, "192.0.2.77"}, {Number, "HRB 12345 B"}}, map[string]How{
			"kestrel":                     AsWritten,
			"KESTREL hosting":             AsWritten,
			"hosting kes":                 AsWritten,
			"kestr":                       AsWritten,
			"kestr host":                  AsWritten,
			"Kestrell Hosting":            Similar,
			"Hosting Kestral":             Similar,
			"kes.trel@KESTREL.example":    AsWritten,
			"email:@kestrel.example":      AsWritten,
			"@kestrel.example":            AsWritten,
			"+49301234567":                AsWritten,
			"0049 30 123-4567":            AsWritten,
			"030 1234567":                 AsWritten,
			"phone:30/1234567":            AsWritten,
			"192.0.2.77":                  AsWritten,
			"192.0.2.0/24":                AsWritten,
			"ip:192.0.2.76/30":            AsWritten,
			"ip:192.0.2.64/26":            AsWritten,
			"ip:192.0.2.77/32":            AsWritten,
			"::ffff:192.0.2.77":           AsWritten,
			"ip:::ffff:192.0.2.0/120":     AsWritten,
			"ip:192.0.0.0/17":             AsWritten,
			"ip:192.0.0.0/8":              AsWritten,
			"ip:192.0.0.0/6":              AsWritten,
			"number:hrb12345b":            AsWritten,
			"account:K-100":               AsWritten,
			"k-100":                       AsWritten,
			"kestrel ip:192.0.2.0/24":     AsWritten,
			"name:kestrell ip:192.0.2.77": Similar,
		}},
		{"m-7", []Term{{Name, "Müller & Łukasz Ltd"}, {IP, "2001:db8:1234:5678:9abc::1"}, {Phone, "00971 50 765 4321"}}, map[string]How{
			"müller":                         AsWritten,
			"muller":                         InLatin,
			"lukasz":                         InLatin,
			"łukasz mül":                     AsWritten,
			"2001:db8:1234:5678:9abc::1":     AsWritten,
			"ip:2001:db8::/32":               AsWritten,
			"ip:2001:db8::/29":               AsWritten,
			"ip:2001:db8:1234::/47":          AsWritten,
			"ip:2001:db8:1234:5678::/64":     AsWritten,
			"2001:db8:1234:5678:9abc::/80":   AsWritten,
			"2001:db8:1234:5678:9abc::/127":  AsWritten,
			"2001:0DB8:1234:5678:9abc::0001": AsWritten,
			"+971507654321":                  AsWritten,
			"0507654321":                     AsWritten,
		}},
		{"o-1", []Term{{Name, "Оренбург Датацентр"}, {Name, "Orenburg Data Centre"}}, map[string]How{
			"оренбург":           AsWritten,
			"ОРЕНБУРГ дата":      AsWritten,
			"orenburg datatsen":  InLatin,
			"orenburg centre":    AsWritten,
			"orenburgh":          Similar,
			"Orenberg Datacentr": Similar,
		}},
		{"x-1", []Term{{Name, "雪鸮云计算有限公司"}}, map[string]How{
			"雪鸮":     AsWritten,
			"云计算":    AsWritten,
			"雪":      AsWritten,
			"xue":    InLatin,
			"公司 云计算": AsWritten,
		}},
		{"j-1", []Term{{Name, "John Osprey"}}, map[string]How{"j osprey": AsWritten, "joh": AsWritten}},
		{"s-1", []Term{{Name, "J. Li"}}, map[string]How{"li": AsWritten, "j li": AsWritten, "j": AsWritten}},
	}
	refs := make(map[Ref]int)
	for i, c := range all {
		refs[h.admit(uint64(i), c.account, c.terms...).Ref] = i
	}
	for i, c := range all {
		for typed, how := range c.by {
			query := must(ParseQuery(typed))
			found := false
			for _, ref := range h.asked(typed) {
				who := refs[ref]
				bears := append(slices.Clone(all[who].terms), Term{Account, all[who].account})
				m, fits := Matches(query, bears)
				switch {
				case fits && who == i:
					found = true
					if m.How != how {
						t.Errorf("%q finds %s %s, want %s", typed, c.account, m.How, how)
					}
					if named := strings.ContainsFunc(typed, func(r rune) bool { return r > 'f' }); how == Similar && (m.Score == 0 || !named) {
						t.Errorf("%q has score %s", typed, m.Score)
					}
				case fits && m.How < Similar:
					t.Errorf("%q fits %s too, %s", typed, all[who].account, m.How)
				}
			}
			if !found {
				t.Errorf("%q does not find %s", typed, c.account)
			}
		}
	}
	for _, typed := range []string{
		"merlin", "kestrel merlin", "ip:192.0.3.0/24", "ip:192.0.2.78", "kestrel ip:198.51.100.0/24", "k-10", "@example", "email:kestrel@kestrel.example", "phone:+1301234567", "kestrel ip:2001:db8::/32", "ip:2001:db9::/32",
	} {
		for _, ref := range h.asked(typed) {
			who := all[refs[ref]]
			if m, fits := Matches(must(ParseQuery(typed)), append(slices.Clone(who.terms), Term{Account, who.account})); fits && m.How < Similar {
				t.Errorf("%q finds %s, %s", typed, who.account, m.How)
			}
		}
	}
}

// Each word of a name must fit: another of the same family, or of the same first name, does not.
func TestEveryWordOfANameFits(t *testing.T) {
	for typed, names := range map[string]map[string]bool{
		"otto wanda":       {"Otto Mbekani": false, "Wanda Petrosyan": false, "Wanda Otto": true},
		"petrosyan xyzzyq": {"Wanda Petrosyan": false, "Petrosyan": false},
		"wanda petrosian":  {"Wanda Petrosyan": true, "Otto Petrosyan": false},
		"vanda petrosian":  {"Wanda Petrosyan": true},
		"data centr":       {"Datacentre Orenburg": true},
		"Kestrell Hosting": {"Kestrel Hosting FZ-LLC": true, "Merlin Hosting": false},
	} {
		for name, want := range names {
			if _, fits := Matches(must(ParseQuery(typed)), []Term{{Name, name}}); fits != want {
				t.Errorf("%q fits %s: %v, want %v", typed, name, fits, want)
			}
		}
	}
}

// An initial is looked up only where there is nothing else: most words that begin so have no
// row for it.
func TestInitials(t *testing.T) {
	for form, want := range map[string]int{"j osprey": 1, "j r": 1, "jo osprey": 2, "雪 osprey": 2, "": 0} {
		if got := words(form); len(got) != want {
			t.Errorf("%q is looked up by %v, want %d words", form, got, want)
		}
	}
}

func TestQueriesThatAreRefused(t *testing.T) {
	h := build(t)
	for typed, says := range map[string]string{
		"":                                "want 1 to 8",
		"   ":                             "want 1 to 8",
		"ip:10.0.0.0/4":                   "too wide",
		"ip:::/0":                         "too wide",
		"ip:2001:db8::/15":                "too wide",
		"ip:10.0.0":                       "want an address",
		"ip:10.0.0.0/33":                  "want a prefix",
		"ip:10.0.0.0/08":                  "want a prefix",
		"ip:fe80::1%eth0":                 "want an address",
		"ip:::ffff:0:0/90":                "more than IPv4",
		"email:kestrel":                   "want an e-mail address",
		"email:a@":                        "want an e-mail address",
		"phone:1234":                      "5 to 20 digits",
		"phone:12345x":                    "5 to 20 digits",
		"name:":                           "want a name",
		"account:":                        "want an account",
		"number:--":                       "want a number",
		"a\xffb":                          "not UTF-8",
		strings.Repeat("ip:10.0.0.1 ", 9): "want 1 to 8",
		strings.Repeat("x", maxTerm+1):    "at most 1024",
	} {
		query, err := ParseQuery(typed)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.30q: got %v, want %q", typed, err, says)
		}
		if _, err := h.Find(t.Context(), query, 1); err == nil {
			t.Errorf("%.30q was looked for", typed)
		}
	}
	for _, term := range []Term{{99, "x"}, {Any, " "}} {
		if _, err := h.Find(t.Context(), []Term{term}, 1); err == nil {
			t.Errorf("%v was looked for", term)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.admit(0, "", Term{Name, "Kestrel"})
	if _, err := h.Find(ctx, []Term{{Name, "kestral"}}, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("a search that was called off: %v", err)
	}
}

// Who is asked for fewer than there are says so, and gives those that are asked for.
func TestFindIsBounded(t *testing.T) {
	h := build(t)
	var rows []Rows
	var news []New
	for i := range 60 {
		c := NewCustomer()
		news = append(news, New{Customer: c})
		rows = append(rows, Rows{c.Ref, "", []Term{{Name, names(i)}, {IP, fmt.Sprintf("10.0.%d.1", i)}}})
	}
	h.ok(h.Stage(0, news))
	h.ok(h.Advance(Cursor{Size: 60}, rows))
	for limit, want := range map[int]Found{0: {Refs: make([]Ref, 1), More: true}, 59: {Refs: make([]Ref, 59), More: true}, 60: {Refs: make([]Ref, 60)}, maxFind + 1: {Refs: make([]Ref, 60)}} {
		for _, q := range []Term{{Name, "kestrel customer"}, {IP, "10.0.0.0/16"}} {
			found := must(h.Find(t.Context(), []Term{q}, limit))
			if len(found.Refs) != len(want.Refs) || found.More != want.More {
				t.Errorf("%v, limit %d: %d found, more %v; want %d, %v", q, limit, len(found.Refs), found.More, len(want.Refs), want.More)
			}
		}
	}
	// Of those with similar names, in whatever order, all that fit the other term.
	for i := 0; i < 60; i += 3 {
		h.ok(h.Advance(Cursor{Size: 60}, []Rows{{news[i].Ref, "", []Term{{Name, "Kestrall Hostyng"}}}}))
	}
	if found := must(h.Find(t.Context(), []Term{{Name, "Kestrall Hostink"}, {IP, "10.0.0.0/19"}}, 100)); len(found.Refs) != 32 || found.More {
		t.Errorf("%d found under the prefix, more %v; want 32", len(found.Refs), found.More)
	}
	x := &search{ctx: t.Context(), db: h.db, steps: 10}
	defer x.close()
	h.ok(h.hashes(func(hash func(byte, string) [32]byte) {
		all, _ := x.plan([]Term{{Name, "kestrel"}}, hash)
		if found, err := x.run(all, nil, 100); err != nil || !found.More || len(found.Refs) != 10 {
			t.Errorf("%d found in 10 steps, more %v, error %v", len(found.Refs), found.More, err)
		}
	}))
}

// Every prefix of every length that may be asked for finds the addresses under it, and only
// those, but for IPv6 networks within one /64.
func TestPrefixes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var raw [16]byte
		for i := range raw {
			raw[i] = byte(r.Uint32())
		}
		for _, a := range []netip.Addr{netip.AddrFrom16(raw), netip.AddrFrom4([4]byte(raw[:4]))} {
			if a.Is4In6() {
				continue
			}
			rows := Term{IP, a.String()}.tokens()
			for bits := range a.BitLen() + 1 {
				p := must(a.Prefix(bits))
				steps, err := stepsOf(p)
				if wide := bits < stepsFor(a)[0]-3; wide != (err != nil) {
					t.Fatalf("%s: %v", p, err)
				} else if wide {
					continue
				}
				if len(steps) > 8 {
					t.Fatalf("%s is %d prefixes", p, len(steps))
				}
				found := false
				for _, q := range steps {
					if q != q.Masked() || q.Bits() >= bits && !p.Contains(q.Addr()) || q.Bits() < bits && (a.Is4() || q.Bits() != 64 || !q.Contains(p.Addr())) {
						t.Fatalf("%s is looked up by %s", p, q)
					}
					found = found || slices.Contains(rows, tokenOf(q))
				}
				if !found {
					t.Fatalf("%s under %s is not found by %v", a, p, steps)
				}
			}
		}
	}
}

// Whatever is borne finds itself, in bounds.
func FuzzTerms(f *testing.F) {
	for kind := range kindNames {
		for _, text := range []string{"Kestrel Hosting", "雪鸮云", "a@b.example", "@b.example", "+49 (0)30 1234567", "10.1.2.3", "2001:db8::/32", "name:x", "a\xff", "HRB 12345", "0", strings.Repeat("長", 300), "ſ", "ﬁ"} {
			f.Add(byte(kind), text)
		}
	}
	f.Fuzz(func(t *testing.T, kind byte, text string) {
		term := Term{Kind(kind), text}
		query, err := ParseQuery(text)
		for _, q := range query {
			if wrong := q.Check(); err == nil && wrong != nil {
				t.Errorf("%q has the term %v: %v", text, q, wrong)
			}
		}
		if term.Check() != nil {
			return
		}
		ways := term.asked()
		if len(ways) == 0 || len(ways) > 8 {
			t.Errorf("%v is looked up in %d ways", term, len(ways))
		}
		rows := term.tokens()
		if len(rows) > 2*maxNameWords*len(beginnings)+maxSimilar {
			t.Errorf("%v has %d rows", term, len(rows))
		}
		if term.Kind == Any || term.Kind == IP && len(rows) == 0 || term.Kind == Email && strings.HasPrefix(strings.TrimSpace(text), "@") {
			return // asked for, and never borne
		}
		for _, way := range ways {
			for _, group := range way {
				if !slices.ContainsFunc(group, func(one token) bool { return slices.Contains(rows, one) }) {
					t.Errorf("%v is looked up by %v, and has the rows %v", term, group, rows)
				}
			}
		}
		if _, fits := Matches([]Term{term}, []Term{term}); !fits && len(text) < maxNameWords {
			t.Errorf("%v does not fit itself", term)
		}
	})
}

// TestManyCustomers says how fast customers are found among so many: DOCKET_CUSTOMERS=1000000.
// Names are drawn from syllables and from common words, as unevenly as names are.
func TestManyCustomers(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("DOCKET_CUSTOMERS"))
	if n == 0 {
		t.Skip("set DOCKET_CUSTOMERS to a number to measure search")
	}
	id, to := key(t)
	dir := t.TempDir()
	v := must(Create(vfs.Default, dir+"/vault.age", to))
	_ = id
	s := must(OpenStore(t.Context(), StoreOptions{FS: vfs.Default, Dir: dir + "/keys"}, v))
	defer s.Close()
	r := rand.New(rand.NewPCG(1, 2))
	started := time.Now()
	const each = 1000
	var some []Ref
	for at := 0; at < n; at += each {
		news, rows := make([]New, each), make([]Rows, each)
		for i := range each {
			account := fmt.Sprintf("acct-%07d", at+i)
			news[i] = New{NewCustomer(), account}
			rows[i] = Rows{news[i].Ref, account, []Term{
				{Name, drawnName(r)}, {Email, fmt.Sprintf("u%d@d%d.example", at+i, r.IntN(5000))},
				{Phone, fmt.Sprintf("+%d%09d", 30+r.IntN(60), r.IntN(1e9))}, {IP, netip.AddrFrom4([4]byte{byte(r.IntN(200)), byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(256))}).String()},
			}}
		}
		if err := s.Stage(uint64(at), news); err != nil {
			t.Fatal(err)
		}
		if err := s.Advance(Cursor{Size: uint64(at + each)}, rows); err != nil {
			t.Fatal(err)
		}
		some = append(some, news[0].Ref)
	}
	t.Logf("%d customers in %s, %d bytes each", n, time.Since(started).Round(time.Second), must(s.Stats()).Bytes/uint64(n))
	for _, kind := range []struct {
		name string
		next func() string
	}{
		{"name", func() string { return "name:" + drawnName(r) }},
		{"any name", func() string { return drawnName(r) }},
		{"common word", func() string { return commonWords[r.IntN(20)] }},
		{"two common words", func() string { return commonWords[r.IntN(5)] + " " + commonWords[5+r.IntN(5)] }},
		{"beginning", func() string { return drawnWord(r)[:4] }},
		{"misspelt", func() string { w := drawnName(r); return w[:2] + w[3:] }},
		{"account", func() string { return fmt.Sprintf("account:ACCT-%07d", r.IntN(n)) }},
		{"e-mail", func() string { return fmt.Sprintf("u%d@d1.example", r.IntN(n)) }},
		{"domain", func() string { return fmt.Sprintf("@d%d.example", r.IntN(5000)) }},
		{"telephone", func() string { return fmt.Sprintf("0%09d", r.IntN(1e9)) }},
		{"address", func() string { return fmt.Sprintf("%d.%d.%d.%d", r.IntN(200), r.IntN(256), r.IntN(256), r.IntN(256)) }},
		{"prefix", func() string { return fmt.Sprintf("ip:%d.%d.0.0/17", r.IntN(200), r.IntN(256)) }},
		{"name and prefix", func() string { return fmt.Sprintf("%s ip:%d.0.0.0/9", commonWords[r.IntN(20)], r.IntN(200)) }},
	} {
		var took []time.Duration
		found := 0
		for range 100 {
			query := must(ParseQuery(kind.next()))
			began := time.Now()
			f := must(s.Find(t.Context(), query, 100))
			took, found = append(took, time.Since(began)), found+len(f.Refs)
		}
		slices.Sort(took)
		t.Logf("%-17s median %8s  95%% %8s  longest %8s  %5.1f found", kind.name, took[50].Round(10*time.Microsecond), took[95].Round(10*time.Microsecond), took[99].Round(10*time.Microsecond), float64(found)/100)
	}
	for _, k := range []int{1, 100} {
		began := time.Now()
		if err := s.Erase(t.Context(), some[:min(k, len(some))]...); err != nil {
			t.Fatal(err)
		}
		t.Logf("erasing %d: %s", k, time.Since(began).Round(time.Millisecond))
		some = some[min(k, len(some)):]
	}
	began := time.Now()
	name, _, err := s.Backup(t.Context(), vfs.Default, dir+"/backups", day)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("backup: %s, %d bytes", time.Since(began).Round(time.Millisecond), must(os.Stat(name)).Size())
	began = time.Now()
	if err := Rotate(t.Context(), v, s, nil, nil); err != nil {
		t.Fatal(err)
	}
	t.Logf("rotation: %s", time.Since(began).Round(time.Millisecond))
}

var commonWords = strings.Fields("cloud data hosting systems trading international group services digital global network technology solutions media energy logistics holding capital partners industries ivan maria ahmed chen anna omar elena david sofia pavel lina viktor hana petr noor yusuf olga karim irina daniel")

func drawnName(r *rand.Rand) string {
	name := drawnWord(r)
	for range 1 + r.IntN(2) {
		name += " " + commonWords[min(r.IntN(len(commonWords)), r.IntN(len(commonWords)))]
	}
	return name
}

func drawnWord(r *rand.Rand) (word string) {
	for range 2 + r.IntN(2) {
		word += string("bdfgklmnprstvz"[r.IntN(14)]) + string("aeiou"[r.IntN(5)])
		if r.IntN(3) == 0 {
			word += string("nrls"[r.IntN(4)])
		}
	}
	return word
}

// TestRowsAreOfThisFormat: rows are hashes of these texts, so that other ones are another
// format of the store: raise storeFormat, or screen.Version where names are read otherwise.
func TestRowsAreOfThisFormat(t *testing.T) {
	if screen.Version != 1 || storeFormat != 1 {
		t.Skip("the rows of another version: write them down anew")
	}
	for term, want := range map[Term]string{
		{Name, "Li Kestrel"}:       "",
		{Email, "A.b+c@D.example"}: "dd.example ea.b+c@d.example",
		{Phone, "+49 30 1234567"}:  "p01234567",
		{IP, "192.0.2.77"}:         "i192.0.0.0/12 i192.0.0.0/16 i192.0.0.0/20 i192.0.0.0/8 i192.0.2.0/24 i192.0.2.64/28 i192.0.2.77/32",
		{Number, "hrb 1-2"}:        "nHRB12",
		{Account, " Ab "}:          "aab",
	} {
		var got []string
		for _, one := range term.tokens() {
			if term.Kind != Name || one.domain == hashWord {
				got = append(got, string(one.domain)+one.text)
			}
		}
		if term.Kind == Name {
			want = "wkes wkest wkestre wli"
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%v has the rows %q, want %q", term, got, want)
		}
	}
}
