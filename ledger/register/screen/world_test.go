package screen

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sharedData is the path of a file of public data beside the checkout; a test that needs one
// that is not there is skipped.
func sharedData(tb testing.TB, name string) string {
	tb.Helper()
	for _, up := range []string{"../../../../shared/data", "../../../../../shared/data"} {
		if path := filepath.Join(up, name); exists(path) {
			return path
		}
	}
	tb.Skipf("no shared/data/%s beside the checkout", name)
	return ""
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// readCSV reads a file of public data, whatever it has after its end mark (0x1A).
func readCSV(tb testing.TB, name string) [][]string {
	tb.Helper()
	text, err := os.ReadFile(sharedData(tb, name))
	if err != nil {
		tb.Fatal(err)
	}
	text, _, _ = bytes.Cut(text, []byte{0x1A})
	r := csv.NewReader(bytes.NewReader(text))
	r.FieldsPerRecord, r.LazyQuotes, r.TrimLeadingSpace = -1, true, true
	rows, err := r.ReadAll()
	if err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	return rows
}

// ofacSubjects are the entities and persons of OFAC's SDN list of 2021, with their aliases.
func ofacSubjects(tb testing.TB) []Subject {
	tb.Helper()
	byID := make(map[string]int)
	var subjects []Subject
	for i, row := range readCSV(tb, "ofac-2021/sdn.csv") {
		schema := "Company"
		switch strings.TrimSpace(row[2]) {
		case "individual":
			schema = "Person"
		case "vessel":
			schema = "Vessel"
		case "aircraft":
			schema = "Airplane"
		}
		byID[row[0]] = len(subjects)
		subjects = append(subjects, Subject{Thread: "designation/ofac-sdn-" + row[0], Index: uint64(i), Schema: schema, Names: []Name{{row[1], Current}}})
	}
	for _, row := range readCSV(tb, "ofac-2021/alt.csv") {
		use := map[string]Use{"aka": Alias, "fka": Former, "nka": Alias}[row[2]]
		s := &subjects[byID[row[0]]]
		s.Names = append(s.Names, Name{row[3], use})
	}
	return subjects
}

// customers are n names: operators of hosting networks, and names of the list with slips of the pen,
// as many of the one as of the other.
func customers(tb testing.TB, subjects []Subject, n int, seed uint64) []Query {
	tb.Helper()
	rnd := rand.New(rand.NewPCG(seed, 0))
	hosts := readCSV(tb, "ref/hosting-asn.csv")[1:]
	queries := make([]Query, n)
	for i := range queries {
		if i%2 == 0 {
			name := hosts[rnd.IntN(len(hosts))][1]
			if at := strings.LastIndex(name, ","); at > 0 {
				name = name[:at]
			}
			if rnd.IntN(2) == 0 { // most customers are nobody else's
				name += " " + string(rune('a'+rnd.IntN(26))) + string(rune('a'+rnd.IntN(26))) + string(rune('a'+rnd.IntN(26)))
			}
			queries[i].Name = name
			continue
		}
		s := subjects[rnd.IntN(len(subjects))]
		queries[i].Name = slip(s.Names[rnd.IntN(len(s.Names))].Text, rnd)
	}
	return queries
}

// slip changes a name as people do.
func slip(name string, rnd *rand.Rand) string {
	b := []byte(name)
	at := rnd.IntN(len(b))
	switch rnd.IntN(5) {
	case 0:
		b = append(b[:at], b[at+1:]...)
	case 1:
		b[at] = byte('a' + rnd.IntN(26))
	case 2:
		b = append(b[:at], append([]byte{byte('a' + rnd.IntN(26))}, b[at:]...)...)
	case 3:
		words := strings.Fields(name)
		rnd.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
		return strings.Join(words, " ")
	}
	return string(b)
}

// even says on which side of the benchmark a row is: the even ones are for tuning, and only
// the others are reported on.
func even(name1 string) bool {
	sum := sha256.Sum256([]byte(name1))
	return sum[len(sum)-1]&1 == 0
}
