package record

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// threadsOf are the threads of a kind for a thing, a reseller and a party, one of each family.
func threadsOf(t testing.TB, k Kind, name, reseller, party string) (threads []Thread) {
	for grammar := range strings.SplitSeq(specByKind(k).Thread, " or ") {
		switch grammar {
		case "charter":
			threads = append(threads, CharterThread)
		case "party/P":
			threads = append(threads, PartyThread(party))
		case "designation/D":
			threads = append(threads, DesignationThread(name))
		case "response/D/P":
			threads = append(threads, ResponseThread(name, party))
		case "cip/P":
			threads = append(threads, CertificationThread(party))
		case "reseller/R/P":
			threads = append(threads, ResellerThread(reseller, party))
		case "licence/L":
			threads = append(threads, LicenceThread(name))
		case "customer-log/P":
			threads = append(threads, CustomerLogThread(party))
		case "abuse/P":
			threads = append(threads, AbuseThread(party))
		case "ai/N/P":
			threads = append(threads, AITrainingThread(name, party))
		case "disclosure/N":
			threads = append(threads, RequestThread(name))
		case "disclosure/N/P":
			threads = append(threads, ReceiptThread(name, party))
		case "assessment/N/P":
			threads = append(threads, AssessmentThread(name, party))
		default:
			t.Fatalf("no constructor for %s, threads of kind %s", grammar, k)
		}
	}
	return threads
}

func TestThreadsOfEveryKind(t *testing.T) {
	for _, k := range Kinds() {
		sp := specByKind(k)
		if got := sp.ExampleThread(); got != threadsOf(t, k, got.Name(), "lumen-resale", "acme-cloud")[0] && got != threadsOf(t, k, "2026-014", "lumen-resale", "acme-cloud")[0] {
			t.Errorf("%s: an example is %s", k, got)
		}
		for _, thread := range threadsOf(t, k, "2026-014", "lumen-resale", "acme-cloud") {
			if got, err := ParseThread(string(thread)); err != nil || got != thread {
				t.Errorf("%s: parsed %q as %q, %v", k, thread, got, err)
			}
			if fault := sp.threadFault(thread); fault != "" {
				t.Errorf("%s: %s", k, fault)
			}
		}
		for _, grammar := range sp.grammars {
			if other, first := specOfThread(Thread(strings.Join(grammar, "/"))); !slices.Equal(first, grammar) {
				t.Errorf("%s and %s have one family and length and two grammars, %s and %s", k, other.Kind, grammar, first)
			}
		}
		for _, long := range threadsOf(t, k, longSegment, longSegment, longSegment) {
			if _, err := ParseThread(string(long)); err != nil || len(long) > 200 {
				t.Errorf("%s: %d bytes, at most 200 are allowed: %v", k, len(long), err)
			}
		}
	}
}

const longSegment = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" // as long as one may be

func TestThreadParts(t *testing.T) {
	for _, c := range []struct {
		thread             Thread
		family             Family
		name               string
		designation, party string
		owner              string
		about              Thread
	}{
		{"charter", FamilyCharter, "", "", "", Authority, "charter"},
		{"party/acme-cloud", FamilyParty, "acme-cloud", "", "acme-cloud", "acme-cloud", "party/acme-cloud"},
		{"designation/2026-014", FamilyDesignation, "2026-014", "2026-014", "", Authority, "designation/2026-014"},
		{"response/2026-014/acme-cloud", FamilyResponse, "2026-014/acme-cloud", "2026-014", "acme-cloud", "acme-cloud", "designation/2026-014"},
		{"cip/acme-cloud", FamilyCertification, "acme-cloud", "", "acme-cloud", "acme-cloud", "cip/acme-cloud"},
		{"reseller/lumen/acme-cloud", FamilyReseller, "lumen/acme-cloud", "", "acme-cloud", "acme-cloud", "reseller/lumen/acme-cloud"},
		{"licence/2027-003", FamilyLicence, "2027-003", "", "", Authority, "licence/2027-003"},
		{"disclosure/7", FamilyDisclosure, "7", "", "", Authority, "disclosure/7"},
		{"disclosure/7/acme-cloud", FamilyDisclosure, "7/acme-cloud", "", "acme-cloud", "acme-cloud", "disclosure/7"},
		{"assessment/7/north-audit", FamilyAssessment, "7/north-audit", "", "north-audit", "north-audit", "assessment/7/north-audit"},
		// What is no thread has neither a designation nor a party.
		{"designation/2026-014/acme-cloud", FamilyDesignation, "2026-014/acme-cloud", "", "", Authority, "designation/2026-014/acme-cloud"},
		{"party", FamilyParty, "", "", "", Authority, "party"},
		{"policy", "policy", "", "", "", Authority, "policy"},
	} {
		th := c.thread
		if th.Family() != c.family || th.Name() != c.name || th.Designation() != c.designation || th.Party() != c.party || th.Owner() != c.owner || th.About() != c.about {
			t.Errorf("%s: family %q, name %q, designation %q, party %q, owner %q, about %q", th, th.Family(), th.Name(), th.Designation(), th.Party(), th.Owner(), th.About())
		}
	}
	if got := ImportThread("ofac-sdn", "36"); got != "designation/ofac-sdn-36" {
		t.Errorf("an entity of a list stands on %s", got)
	}
	for text, want := range map[string]Thread{"2026-014": "designation/2026-014", "designation/2026-014": "designation/2026-014", "designation": "designation/designation", "party/x": "designation/party/x"} {
		if got := NamedDesignation(text); got != want {
			t.Errorf("a person who writes %s means %s, want %s", text, got, want)
		}
	}
	if got := FamilyResponse.Prefix("2026-014"); got != "response/2026-014/" {
		t.Errorf("the answers to a designation begin with %s", got)
	}
}

func TestParseThreadRefuses(t *testing.T) {
	for _, text := range []string{
		"", "/", "policy", "charter/", "charter/1", "party", "party/", "party/Acme", "party/a/b", "party/-a", "Party/a",
		"designation/", "designation/2026 14", "designation/2026-014/", "response/2026-014", "response//acme-cloud", "response/2026-014/acme-cloud/x",
		"cip/" + longSegment + "0", "licence/1/2", "licence/", "reseller/lumen", "reseller/lumen/acme/x", "index/1",
		"disclosure/", "disclosure/7/", "disclosure/7/acme-cloud/x", "assessment/7",
	} {
		if got, err := ParseThread(text); err == nil || got != "" {
			t.Errorf("%q was read as %q", text, got)
		}
	}
}

// FuzzParseThread: what is read is what its parts make, and the published schemas' patterns
// take the same texts.
func FuzzParseThread(f *testing.F) {
	patterns := make(map[Kind]*regexp.Regexp)
	for _, k := range Kinds() {
		patterns[k] = regexp.MustCompile(specByKind(k).threadPattern())
		f.Add(string(specByKind(k).ExampleThread()))
	}
	for _, text := range []string{"", "charter/", "party/", "response/a", "cip/a/b", "designation/A", "policy"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		thread, err := ParseThread(text)
		taken := false
		for k, p := range patterns {
			if p.MatchString(text) {
				taken = true
				th := Thread(text)
				name := cmp.Or(th.segment("D"), th.segment("N"), th.segment("L"))
				if made := threadsOf(t, k, name, th.Reseller(), th.Party()); !slices.Contains(made, th) || th != thread {
					t.Errorf("%q, of kind %s, was read as %q; its parts make %q", text, k, thread, made)
				}
			}
		}
		if taken != (err == nil) {
			t.Errorf("%q: %v; the patterns take it: %t", text, err, taken)
		}
	})
}
