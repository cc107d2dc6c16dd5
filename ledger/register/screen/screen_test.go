package screen

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// fictional is a small list of nobody, with what the tests below look for.
func fictional() []Subject {
	names := func(current string, others ...Name) []Name { return append([]Name{{current, Current}}, others...) }
	return []Subject{
		{Thread: "designation/a", Index: 3, Schema: "Company", Country: "XB", LEI: "9999DOCKETDEMO000118", ASN: []int64{64511}, Domain: []string{"kestrel-hosting.example"},
			Names: names("Kestrel Hosting FZ-LLC", Name{"Kestrel Cloud", Alias}, Name{"Falcon Racks Ltd", Former}, Name{"KH", Weak})},
		{Thread: "designation/b", Index: 5, Schema: "Company", Country: "XC", RegistrationNumber: "0048-213", Names: names("11420 Corp.")},
		{Thread: "designation/c", Index: 7, Schema: "Person", Names: names("ORLOVETSKY, Demyan Arkadievich", Name{"Демьян Орловецкий", Alias})},
		{Thread: "designation/d", Index: 8, Schema: "Company", Names: names("Kestrel Minerals Company")},
		{Thread: "designation/e", Index: 9, Schema: "Vessel", Names: names("NORDLYS 7")},
		{Thread: "designation/f", Index: 11, Schema: "Organization", Names: names("Société Générale des Tuiles S.A.")},
	}
}

func TestScreen(t *testing.T) {
	x := NewIndex(fictional())
	for _, c := range []struct {
		query Query
		want  string // thread and how of each hit
	}{
		{Query{Name: "KESTREL HOSTING"}, "a exact"},
		{Query{Name: "kestrel cloud inc."}, "a alias"},
		{Query{Name: "Falcon-Racks Limited"}, "a former"},
		{Query{Name: "Kestral Hostng"}, "a similar"},
		{Query{Name: "Hosting Kestrel"}, "a exact"},
		{Query{Name: "kestrelhosting"}, "a exact"},
		{Query{Name: "KH"}, ""}, // too common to match on alone
		{Query{Name: "Kestrel"}, ""},
		{Query{Name: "Hosting LLC"}, ""},
		{Query{Name: "LLC"}, ""},
		{Query{Name: "FZ-LLC"}, ""},
		{Query{Name: "Company"}, ""},
		{Query{Name: "11420"}, "b exact"},
		{Query{Name: "11421 Corp."}, ""},
		{Query{Name: "Corp."}, ""},
		{Query{Name: "Nordlys"}, ""},
		{Query{Name: "Nordlys VII"}, "e exact"},
		{Query{Name: "Demyan Orlovetsky"}, "c similar"}, // as its alias, letter by letter,
		{Query{Name: "Demjan Orlowetzki"}, "c similar"},
		{Query{Name: "Орловецкий Демьян"}, "c alias"},
		{Query{Name: "D. Orlovetsky"}, "c similar"},
		{Query{Name: "Societe Generale des Tuiles"}, "f exact"},
		{Query{Name: "", LEI: "9999DOCKETDEMO000118"}, "a identifier"},
		{Query{Name: "Somebody Else Entirely", LEI: "9999docketdemo000118", Country: "XZ"}, "a identifier"},
		{Query{Name: "Somebody Else Entirely", ASN: []int64{64511}}, "a identifier"},
		{Query{Name: "Somebody Else Entirely", ASN: []int64{64511}, LEI: "9999DOCKETDEMO000215", Country: "XZ"}, "a identifier"},
		{Query{Domain: []string{"Kestrel-Hosting.example."}}, "a identifier"},
		{Query{RegistrationNumber: "0048213", Name: "?"}, "b identifier"},
		{Query{}, ""},
		{Query{Name: " -.- "}, ""},
	} {
		var got []string
		for _, h := range x.Screen(c.query, Threshold) {
			got = append(got, strings.TrimPrefix(h.Subject.Thread, "designation/")+" "+string(h.How))
			checkHit(t, h)
		}
		if s := strings.Join(got, ", "); s != c.want {
			t.Errorf("%+v: %q, want %q", c.query, s, c.want)
			for i := range x.subjects {
				h := x.Compare(c.query, &x.subjects[i])
				t.Logf("  %s %s %v %+v", h.Subject.Thread, h.How, h.Score, h.Features)
			}
		}
	}
}

// Of a weak alias that is spelled alike and a name that is nearly so, the name is the reason.
func TestWeakAliasIsNoReason(t *testing.T) {
	s := &Subject{Schema: "Company", Names: []Name{{"Kestral Hostng", Weak}, {"Kestrel Hosting", Current}}}
	if h := Compare(Query{Name: "Kestral Hostng"}, s); h.Name.Use != Current || h.How != Similar || h.Score < Threshold {
		t.Errorf("%+v", h)
	}
}

// checkHit: the parts add up.
func checkHit(t *testing.T, h Hit) {
	t.Helper()
	sum := 0
	for _, f := range h.Features {
		sum += f.Points
		if f.Name == "" {
			t.Errorf("%+v: a feature without a name", h)
		}
	}
	if sum != h.Points || h.Score != ScoreOf(sum) || h.OFAC < 1 || h.OFAC > 999_999 {
		t.Errorf("%s: features make %d points, the hit has %d and %v (OFAC %v)", h.Subject.Thread, sum, h.Points, h.Score, h.OFAC)
	}
}

// A score rises with each point, is never 0 or 1, and is 0.70 at 0 points.
func TestScoreNeverSaturates(t *testing.T) {
	if ScoreOf(0) != Threshold || ScoreOf(-1) >= Threshold {
		t.Errorf("0 points have %v, -1 has %v; the threshold is %v", ScoreOf(0), ScoreOf(-1), Threshold)
	}
	for p := -10_000; p < 10_000; p++ {
		if a, b := ScoreOf(p), ScoreOf(p+1); a >= b || a < 1 || b > 999_999 {
			t.Fatalf("%d points have %v, %d have %v", p, a, p+1, b)
		}
	}
	for p := 10_000; p < math.MaxInt32/2; p *= 2 {
		if low, high := ScoreOf(-p), ScoreOf(p); low < 1 || low > ScoreOf(-p/2) || high > 999_999 || high < ScoreOf(p/2) {
			t.Errorf("%d points have %v, as many below 0 have %v", p, high, low)
		}
	}
}

func TestParseScore(t *testing.T) {
	for text, want := range map[string]Score{"0.7": 700_000, "0": 0, "1": 1_000_000, "0.812345": 812_345, "1.000000": 1_000_000} {
		if got, err := ParseScore(text); err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", ".7", "0.", "1.1", "-0.5", "0.1234567", "0,7", "7e-1", "NaN", "+0.7", "0.+7"} {
		if got, err := ParseScore(text); err == nil {
			t.Errorf("%q: %v, want an error", text, got)
		}
	}
	text, err := json.Marshal(Score(812_300))
	if err != nil || string(text) != `"0.812300"` { // no number: Docket's JSON has integers alone
		t.Errorf("JSON %s, %v", text, err)
	}
	var back Score
	if err := json.Unmarshal(text, &back); err != nil || back != 812_300 {
		t.Errorf("%s was read as %d, %v", text, back, err)
	}
}

func TestTokens(t *testing.T) {
	for name, want := range map[string]string{
		"Kestrel Hosting FZ-LLC": "kestrel hosting fz llc",
		"11420 Corp.":            "11420 corp",
		"Société Générale S.A.":  "societe generale sa",
		"Straße Łódź İstanbul":   "strasse lodz istanbul",
		"Орловецкий":             "orlovetskii",
		"김정은":                    "gim jeong eun",
		"習近平":                    "xi jin ping",
		"バラク・オバマ":                "baraku obama",
		"٣ 𝟙𝟚 ⅷ ２０２６":            "3 12 viii 2026",
		"C++":                    "c++",
		"ع":                      "ع",
		"O'Neil":                 "oneil",
		"3%ers 100％":             "3 percenters 100 percent",
		"٥٪":                     "5 percent",
		"Tile & Roof":            "tile roof",
		"Tile + Roof+":           "tile and roof+",
		"+ Tile +":               "+ tile +",
		" -.- ":                  "",
	} {
		if got := strings.Join(Tokens(name), " "); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// Names that people write in ways far from each other are compared.
func TestComparedAtAll(t *testing.T) {
	for _, c := range [][2]string{
		{"4%ers", "Four Percenters"},
		{"Tile + Roof", "Tile and Roof"},
		{"Kestrelov Tile Plant", "Кестреловский черепичный завод"}, // an adjective of a place, in each gender and spelling
		{"Kestrelov Tile Plant", "Kestrelovskaya fabrika"},
		{"Kestrelov Tile Plant", "Kestrelovskaja fabrika"},
		{"Kestrelov Tile Plant", "Kestrelovskoe obedinenie"},
		{"Kestrelov Tile Plant", "Kestrelovskoye obedinenie"},
		{"Kestrelov Tile Plant", "Kestrelovskie cherepitsy"},
		{"Kestrelov Tile Plant", "Kestrelovsky zavod"},
		{"Kestrelov Tile Plant", "Kestrelovskyi zavod"},
		{"Kestrelov Tile Plant", "Kestrelovský závod"},
	} {
		keys := BlockingKeys(c[0])
		if !slices.ContainsFunc(BlockingKeys(c[1]), func(k string) bool { return slices.Contains(keys, k) }) {
			t.Errorf("%q and %q have no key in common: %q, %q", c[0], c[1], keys, BlockingKeys(c[1]))
		}
	}
}

// A decimal digit of any script is a digit of the tokens.
func TestDigits(t *testing.T) {
	for _, table := range unicode.Nd.R16 {
		for r := rune(table.Lo); r <= rune(table.Hi); r += rune(table.Stride) {
			checkDigit(t, r)
		}
	}
	for _, table := range unicode.Nd.R32 {
		for r := rune(table.Lo); r <= rune(table.Hi); r += rune(table.Stride) {
			checkDigit(t, r)
		}
	}
}

func checkDigit(t *testing.T, r rune) {
	t.Helper()
	if got := strings.Join(Tokens("x"+string(r)+"y"), ""); got != "x"+string(r)+"y" && (len(got) != 3 || !isDigit(got[1])) {
		t.Errorf("%U %c: tokens %q", r, r, got)
	}
}

// No digit is lost where a name is taken apart: those of its key stand in its tokens, in order.
func checkDigits(t *testing.T, text string) {
	t.Helper()
	for _, bare := range []bool{false, true} {
		var kept strings.Builder
		for _, w := range parse(text, bare).tokens {
			kept.WriteString(w.text)
		}
		rest := kept.String()
		for _, r := range rules1.NameKey(text) {
			if r < '0' || r > '9' {
				continue
			}
			at := strings.IndexRune(rest, r)
			if at < 0 {
				t.Fatalf("%q lost a %c: %q", text, r, kept.String())
			}
			rest = rest[at+1:]
		}
	}
}

// No legal form of the table is a reason for a hit, alone or beside another.
func TestLegalFormsAlone(t *testing.T) {
	var all []string
	for line := range strings.Lines(legalForms) {
		all = append(all, strings.Split(strings.TrimSpace(line), "\t")[1:]...)
	}
	for w := range strings.FieldsSeq(forms) {
		all = append(all, w)
	}
	slices.Sort(all)
	for i, form := range all {
		for _, other := range []string{form, all[(i+1)%len(all)], "Kestrel " + form} {
			n, m := parse(form, false), parse(other, false)
			points, _ := new(scratch).compare(n, m, false)
			if points >= 0 {
				t.Errorf("%q and %q have %d points", form, other, points)
			}
		}
	}
}

// TestTables: whoever changes a table, or what a library makes of a code point, raises Version.
func TestTables(t *testing.T) {
	const version, digest = 1, "f81706263851140aacedfaed498fd451c5ca081bf14758ce9524a5a143d36ff3"
	if Version != version || TablesDigest() != digest {
		t.Errorf("version %d has tables %s, want version %d with %s", Version, TablesDigest(), version, digest)
	}
}

// The order of subjects makes no difference, nor do other queries beside.
func TestDeterministic(t *testing.T) {
	subjects := fictional()
	queries := []string{"Kestrel", "Kestral Hosting", "Kestrel Mineral Co", "Demyan Orlovetski", "11420", "Nordlys 7", "Tuiles Generale"}
	report := func(x *Index) string {
		var b strings.Builder
		for _, q := range queries {
			for _, h := range x.Screen(Query{Name: q, Country: "XB"}, 400_000) {
				text, err := json.Marshal(h)
				if err != nil {
					t.Fatal(err)
				}
				b.Write(text)
			}
		}
		return b.String()
	}
	want := report(NewIndex(subjects))
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		rnd.Shuffle(len(subjects), func(i, j int) { subjects[i], subjects[j] = subjects[j], subjects[i] })
		x := NewIndex(subjects)
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() {
				if got := report(x); got != want {
					t.Errorf("another order, another report:\n%s\n%s", got, want)
				}
			})
		}
		wait.Wait()
	}
}

// Every machine has the same scores, reasons and keys, to the byte; who changes one raises Version.
func TestSameEverywhere(t *testing.T) {
	const want = "70612a35ce1d29dfef6703935774e4e4c07c33b86b4cf010fc324768b8f7ccfe"
	rnd := rand.New(rand.NewPCG(10, 11))
	h := sha256.New()
	x := NewIndex(fictional())
	for range 300 {
		a, b := randomName(rnd), randomName(rnd)
		fmt.Fprintf(h, "%q %q\n", BlockingKeys(a), Tokens(b))
		for _, schema := range []string{"Person", "Company", "Vessel"} {
			text, err := json.Marshal(x.Compare(Query{Name: a}, &Subject{Schema: schema, Names: []Name{{b, Current}}}))
			if err != nil {
				t.Fatal(err)
			}
			h.Write(text)
		}
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("the scores have the digest %s, want %s", got, want)
	}
}

// vocabulary is what random names are made of: words that are common, rare, near each other,
// particles, numbers, forms, other scripts.
var vocabulary = strings.Fields(`kestrel kestral kestrels hosting orlovetsky orlovetski orlowetzki demyan demjan d d. the of bin al-
	nordlys nordlyss minerals mineral 7 vii 11420 11421 forty four ltd llc gmbh sa company corp mohammad mohamed muhammad ali
	Орловецкий 习 近平 김 정은 محمد علي good will goodwill tuiles bank trading china france jc j c jean claude`)

func randomName(rnd *rand.Rand) string {
	words := make([]string, 1+rnd.IntN(5))
	for i := range words {
		words[i] = vocabulary[rnd.IntN(len(vocabulary))]
		if rnd.IntN(6) == 0 {
			words[i] = slip(words[i], rnd)
		}
	}
	return strings.ToValidUTF8(strings.Join(words, " "), "")
}

// Which of two names is asked for makes no difference.
func TestSymmetric(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine, and long: run without -short")
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 5_000 {
		checkSymmetric(t, randomName(rnd), randomName(rnd))
	}
}

func checkSymmetric(t *testing.T, a, b string) {
	t.Helper()
	for _, schema := range []string{"Person", "Company"} {
		one := Compare(Query{Name: a, Schema: schema}, &Subject{Schema: schema, Names: []Name{{b, Current}}})
		two := Compare(Query{Name: b, Schema: schema}, &Subject{Schema: schema, Names: []Name{{a, Current}}})
		checkHit(t, one)
		if one.Points != two.Points || one.How != two.How || fmt.Sprint(one.Features) != fmt.Sprint(two.Features) {
			t.Fatalf("%s: %q and %q: %d %s %v, the other way round %d %s %v", schema, a, b, one.Points, one.How, one.Features, two.Points, two.How, two.Features)
		}
	}
}

// More evidence never lowers a score, and less never raises it.
func TestMonotone(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine, and long: run without -short")
	}
	rnd := rand.New(rand.NewPCG(5, 6))
	points := func(q Query, s Subject) int { return Compare(q, &s).Points }
	for range 1_000 {
		a, b := randomName(rnd), randomName(rnd)
		for _, schema := range []string{"Person", "Company"} {
			q, s := Query{Name: a}, Subject{Schema: schema, Names: []Name{{b, Current}}}
			plain := points(q, s)

			s.Country = "XB"
			q.Country = "XB"
			same := points(q, s)
			q.Country = "XC"
			other := points(q, s)
			if same <= plain || plain <= other {
				t.Fatalf("%s %q, %q: %d points, %d with one country, %d with two", schema, a, b, plain, same, other)
			}
			q.ASN, s.ASN = []int64{64511}, []int64{64511}
			found := points(q, s)
			q.LEI, s.LEI = "9999DOCKETDEMO000118", "9999DOCKETDEMO000118"
			if twice := points(q, s); found < plain || found < 0 || twice <= found {
				t.Fatalf("%s %q, %q: %d points, %d with one identifier in another country, %d with two", schema, a, b, plain, found, twice)
			}

			const word = " quizzaciously" // of no list, and near no other
			if !grows(a, word, schema) || !grows(b, word, schema) {
				continue
			}
			q, s = Query{Name: a + word}, Subject{Schema: schema, Names: []Name{{b + word, Current}}}
			if more := points(q, s); more < plain {
				t.Fatalf("%s %q, %q: %d points, with %q in both %d: %+v", schema, a, b, plain, word, more, Compare(q, &s).Features)
			}
			if far := points(q, Subject{Schema: schema, Names: []Name{{b + " quizzacioulsy", Current}}}); far > points(q, s) {
				t.Fatalf("%s %q, %q: %d points with %q in both, %d with it misspelled", schema, a, b, points(q, s), word, far)
			}
		}
	}
}

// grows says that a name with a word more has the words that it had, and that one: what is a legal form
// at the end may be a word before another.
func grows(name, word, schema string) bool {
	bare := schema == "Person"
	short, long := parse(name, bare), parse(name+word, bare)
	return len(long.tokens) == len(short.tokens)+1 && slices.EqualFunc(short.tokens, long.tokens[:len(short.tokens)], func(a, b token) bool {
		return a.text == b.text && a.kind == b.kind
	})
}

// The fewer bear a word that two names share, the more it says.
func TestRareWordsSayMore(t *testing.T) {
	last := 1 << 30
	for _, bearers := range []int{1, 3, 10, 100, 1000} {
		subjects := make([]Subject, 2000)
		for i := range subjects {
			name := fmt.Sprintf("filler%dx", i)
			if i < bearers {
				name = "zephyrine " + name
			}
			subjects[i] = Subject{Thread: fmt.Sprintf("designation/%d", i), Index: uint64(i), Schema: "Person", Names: []Name{{name, Current}}}
		}
		points := NewIndex(subjects).Compare(Query{Name: "zephyrine talmar"}, &Subject{Schema: "Person", Names: []Name{{"zephyrine talmar", Current}}}).Points
		if points >= last {
			t.Errorf("borne by %d: %d points, by fewer %d", bearers, points, last)
		}
		last = points
	}
}

// A search without blocking finds the same, as far as the pairs are blocked: of the fictional list with
// random names, and of the real one where it is.
func TestNaiveAgrees(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	t.Run("fictional", func(t *testing.T) {
		var subjects []Subject
		for i := range 60 {
			schema := []string{"Person", "Company", "Vessel"}[rnd.IntN(3)]
			names := []Name{{randomName(rnd), Current}, {randomName(rnd), Alias}, {randomName(rnd), Weak}}
			subjects = append(subjects, Subject{Thread: fmt.Sprint(i), Index: uint64(i), Schema: schema, Country: []string{"", "XB", "XC"}[rnd.IntN(3)], Names: names[:1+rnd.IntN(3)]})
		}
		var queries []Query
		for range 100 {
			queries = append(queries, Query{Name: randomName(rnd), Country: []string{"", "XB"}[rnd.IntN(2)]})
		}
		checkNaive(t, subjects, queries)
	})
	t.Run("real", func(t *testing.T) {
		all := ofacSubjects(t)
		rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		checkNaive(t, all[:300], customers(t, all[:300], 50, 9))
	})
}

func checkNaive(t *testing.T, subjects []Subject, queries []Query) {
	t.Helper()
	x := NewIndex(subjects)
	hits := 0
	for _, q := range queries {
		want := map[string]int{}
		keys := BlockingKeys(q.Name)
		for i := range subjects {
			s := subjects[i]
			s.Names = slices.DeleteFunc(slices.Clone(s.Names), func(n Name) bool {
				return !slices.ContainsFunc(BlockingKeys(n.Text), func(k string) bool { return slices.Contains(keys, k) })
			})
			if len(s.Names) == 0 {
				continue
			}
			if h := x.Compare(q, &s); h.Score >= Threshold {
				want[s.Thread] = h.Points
			}
		}
		got := x.Screen(q, Threshold)
		hits += len(got)
		if len(got) != len(want) {
			t.Errorf("%q: %d hits, a naive search has %d", q.Name, len(got), len(want))
		}
		for _, h := range got {
			checkHit(t, h)
			if points, ok := want[h.Subject.Thread]; !ok || h.Points < points {
				t.Errorf("%q: %s %q with %d points, a naive search has %d, %v", q.Name, h.Subject.Thread, h.Name.Text, h.Points, points, ok)
			}
		}
	}
	if hits == 0 {
		t.Error("no hit at all")
	}
}

// Published examples: Winkler (1990) as the literature cites them, and the National Archives' page on Soundex.
func TestOFAC(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"martha", "marhta", 961_111}, {"dwayne", "duane", 840_000}, {"dixon", "dicksonx", 813_333},
		{"abc", "xyz", 0}, {"same", "same", 1_000_000}, {"", "a", 0},
	} {
		if got := jaroWinkler(c.a, c.b); got != c.want || jaroWinkler(c.b, c.a) != got {
			t.Errorf("%q, %q: %d, %d, want %d", c.a, c.b, got, jaroWinkler(c.b, c.a), c.want)
		}
	}
	for word, want := range map[string]string{
		"washington": "W252", "lee": "L000", "gutierrez": "G362", "pfister": "P236", "jackson": "J250", "tymczak": "T522",
		"vandeusen": "V532", "ashcraft": "A261", "robert": "R163", "rupert": "R163", "": "", "7up": "",
	} {
		if got := soundex(word); got != want {
			t.Errorf("%q: %s, want %s", word, got, want)
		}
	}
}

func TestLog2(t *testing.T) {
	for _, n := range []uint64{1, 2, 3, 7, 16, 1000, 8192 << 4, 1<<24 + 1, 1<<32 - 1} {
		if got, want := log2(n), math.Log2(float64(n))*16; float64(got) > want+1e-9 || float64(got) < want-1.01 {
			t.Errorf("%d: %d sixteenths, want %.2f", n, got, want)
		}
	}
}

// FuzzNames: whatever two names are, the parts add up, no digit is lost, it does not matter which is
// asked for, and a name that says anything finds itself.
func FuzzNames(f *testing.F) {
	for _, pair := range [][2]string{
		{"Kestrel Hosting FZ-LLC", "Kestral Hosting"}, {"11420 Corp.", "11420"}, {"Орловецкий Демьян", "Demyan Orlovetsky"},
		{"金正恩", "김정은"}, {"", "-"}, {"a b c d e f g h i j k l m n o p q r s t u v w x y z", "z"}, {"forty 4", "44"}, {"\u0301x", "\xff"},
		{strings.Repeat("ab", 300), strings.Repeat("a ", 100)}, {"ع", "ع"}, {"S.A. de C.V.", "Sociedad Anónima"},
	} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a) > 2000 || len(b) > 2000 {
			return
		}
		checkSymmetric(t, a, b)
		for _, name := range []string{a, b} {
			checkDigits(t, name)
			keys := BlockingKeys(name)
			if !slices.IsSorted(keys) || len(slices.Compact(slices.Clone(keys))) != len(keys) {
				t.Errorf("%q: keys %q", name, keys)
			}
			if (len(keys) == 0) != (len(Tokens(name)) == 0) {
				t.Errorf("%q: tokens %q, keys %q", name, Tokens(name), keys)
			}
			for _, k := range keys {
				if utf8.ValidString(name) && !utf8.ValidString(k) {
					t.Errorf("%q: key %q", name, k)
				}
			}
			h := Compare(Query{Name: name}, &Subject{Names: []Name{{name, Current}}})
			if n := parse(name, false); n.matters() != (h.Score >= Threshold) || n.matters() && h.How != Exact {
				t.Errorf("%q has %d points with itself (%s)", name, h.Points, h.How)
			}
		}
	})
}
