package record

import (
	"cmp"
	"regexp"
	"testing"
)

// threadOf is the thread of a kind for a designation, or another name, and a party.
func threadOf(t testing.TB, k Kind, designation, party string) Thread {
	switch specByKind(k).Thread {
	case "charter":
		return CharterThread
	case "party/P":
		return PartyThread(party)
	case "designation/D":
		return DesignationThread(designation)
	case "response/D/P":
		return ResponseThread(designation, party)
	case "cip/P":
		return CertificationThread(party)
	case "disclosure/N":
		return RequestThread(designation)
	case "disclosure/N/P":
		return ReceiptThread(designation, party)
	case "assessment/N/P":
		return AssessmentThread(designation, party)
	}
	t.Fatalf("no constructor for %s, the threads of kind %s", specByKind(k).Thread, k)
	return ""
}

func TestThreadsOfEveryKind(t *testing.T) {
	for _, k := range Kinds() {
		sp := specByKind(k)
		thread := threadOf(t, k, "2026-014", "acme-cloud")
		if got, err := ParseThread(string(thread)); err != nil || got != thread {
			t.Errorf("%s: parsed %q as %q, %v", k, thread, got, err)
		}
		if fault := sp.threadFault(thread); fault != "" {
			t.Errorf("%s: %s", k, fault)
		}
		if got := sp.ExampleThread(); got != thread {
			t.Errorf("%s: an example is %s, want %s", k, got, thread)
		}
		if other := specOfThread(thread); other.Thread != sp.Thread {
			t.Errorf("%s and %s have one family and two grammars, %s and %s", k, other.Kind, sp.Thread, other.Thread)
		}
		long := threadOf(t, k, longSegment, longSegment)
		if _, err := ParseThread(string(long)); err != nil || len(long) > 200 {
			t.Errorf("%s: %d bytes, at most 200 are allowed: %v", k, len(long), err)
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
		"cip/" + longSegment + "0", "licence/1", "disclosure/", "disclosure/7/", "disclosure/7/acme-cloud/x", "assessment/7",
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
				if made := threadOf(t, k, cmp.Or(Thread(text).Designation(), Thread(text).segment("N")), Thread(text).Party()); string(made) != text || made != thread {
					t.Errorf("%q, of kind %s, was read as %q; its parts make %q", text, k, thread, made)
				}
			}
		}
		if taken != (err == nil) {
			t.Errorf("%q: %v; the patterns take it: %t", text, err, taken)
		}
	})
}
