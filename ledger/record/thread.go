package record

import (
	"fmt"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// A Thread names the life of one thing, as in "designation/2026-014": its family, and
// the segments that the family's grammar lists after it (RECORDS.md "Threads"). What a
// caller converts to one without [ParseThread] may be any text.
type Thread string

// A Family is the first segment of the threads of one grammar.
type Family string

const (
	FamilyCharter       Family = "charter"
	FamilyParty         Family = "party"
	FamilyDesignation   Family = "designation"
	FamilyResponse      Family = "response"
	FamilyCertification Family = "cip"
	FamilyReseller      Family = "reseller"
	FamilyLicence       Family = "licence"
	FamilyCustomerLog   Family = "customer-log"
	FamilyAbuse         Family = "abuse"
	FamilyAITraining    Family = "ai"
	FamilyDisclosure    Family = "disclosure" // a request and, a segment longer, its receipts
	FamilyAssessment    Family = "assessment"
)

// CharterThread is the one thread of charters.
const CharterThread = Thread(FamilyCharter)

// PartyThread is the thread of a party, by its ID.
func PartyThread(party string) Thread { return FamilyParty.thread(party) }

// DesignationThread is the thread of a designation, by its name.
func DesignationThread(designation string) Thread { return FamilyDesignation.thread(designation) }

// ResponseThread is the thread of one party's answers to one designation.
func ResponseThread(designation, party string) Thread {
	return FamilyResponse.thread(designation + "/" + party)
}

// CertificationThread is the thread of a party's certifications.
func CertificationThread(party string) Thread { return FamilyCertification.thread(party) }

// ResellerThread is the thread of what a provider says of one of its resellers.
func ResellerThread(reseller, provider string) Thread {
	return FamilyReseller.thread(reseller + "/" + provider)
}

// LicenceThread is the thread of a licence, by its name.
func LicenceThread(licence string) Thread { return FamilyLicence.thread(licence) }

// CustomerLogThread is the thread of what a party publishes of its private customer log.
func CustomerLogThread(party string) Thread { return FamilyCustomerLog.thread(party) }

// AbuseThread is the thread of a party's abuse reports.
func AbuseThread(party string) Thread { return FamilyAbuse.thread(party) }

// AITrainingThread is the thread of one training run, by a name that the party gives it.
func AITrainingThread(run, party string) Thread { return FamilyAITraining.thread(run + "/" + party) }

// RequestThread is the thread of a request to disclose, by its name.
func RequestThread(request string) Thread { return FamilyDisclosure.thread(request) }

// ReceiptThread is the thread of one party's receipts for what it disclosed on a request.
func ReceiptThread(request, party string) Thread {
	return FamilyDisclosure.thread(request + "/" + party)
}

// AssessmentThread is the thread of an auditor's assessments of one name.
func AssessmentThread(name, auditor string) Thread {
	return FamilyAssessment.thread(name + "/" + auditor)
}

// ImportThread is the designation's thread on which an entity of a list stands.
func ImportThread(list, id string) Thread { return DesignationThread(list + "-" + id) }

// NamedDesignation is the thread that a person means by a designation's thread or by
// its name alone.
func NamedDesignation(text string) Thread {
	if strings.HasPrefix(text, FamilyDesignation.Prefix()) {
		return Thread(text)
	}
	return DesignationThread(text)
}

// ParseThread reads a thread of any kind.
func ParseThread(text string) (Thread, error) {
	t := Thread(text)
	sp, _ := specOfThread(t)
	if sp == nil {
		return "", Refuse(Malformed, "thread %s: no record stands on such a thread", schema.Quote(text))
	}
	if fault := sp.threadFault(t); fault != "" {
		return "", Refuse(Malformed, "thread %s", fault)
	}
	return t, nil
}

// Prefix is what begins each thread of the family whose next segments are these, and no
// other: "response/2026-014/".
func (f Family) Prefix(segments ...string) string {
	prefix := string(f) + "/"
	for _, s := range segments {
		prefix += s + "/"
	}
	return prefix
}

func (f Family) thread(name string) Thread { return Thread(string(f) + "/" + name) }

// Family is the thread's first segment, of any text what comes before its first slash.
func (t Thread) Family() Family {
	family, _, _ := strings.Cut(string(t), "/")
	return Family(family)
}

// Name is what comes after the family: "2026-014" of designation/2026-014.
func (t Thread) Name() string {
	_, name, _ := strings.Cut(string(t), "/")
	return name
}

// Designation is the name of the designation that the thread is of, or answers; "" if there is none.
func (t Thread) Designation() string { return t.segment("D") }

// Request is the name of the request to disclose that the thread is of, or answers; "" if
// there is none.
func (t Thread) Request() string {
	if t.Family() != FamilyDisclosure {
		return ""
	}
	return t.segment("N")
}

// Party is the ID of the party that the thread names, "" if it names none.
func (t Thread) Party() string { return t.segment("P") }

// Reseller is the ID of the reseller that the thread names, "" if it names none.
func (t Thread) Reseller() string { return t.segment("R") }

// Owner is the party to which the thread belongs: the one that it names, else the
// authority.
func (t Thread) Owner() string {
	if party := t.Party(); party != "" {
		return party
	}
	return Authority
}

// About is the thread of the thing that its records are about: of a response the
// designation that it answers, of a receipt the request, else its own.
func (t Thread) About() Thread {
	switch {
	case t.Family() == FamilyResponse:
		return DesignationThread(t.Designation())
	case t.Family() == FamilyDisclosure && t.Party() != "":
		return RequestThread(t.Request())
	}
	return t
}

// segment is the segment that the grammar of the thread's family calls name, "" if it
// has none, or if the thread has more or fewer than the grammar.
func (t Thread) segment(name string) (found string) {
	sp, grammar := specOfThread(t)
	if sp == nil || !t.walk(grammar, func(own, segment string) bool {
		if own == name {
			found = segment
		}
		return true
	}) {
		return ""
	}
	return found
}

// walk visits each segment with what a grammar calls it, while visit returns true. It
// tells whether there are as many as the grammar has, and visit took all of them.
func (t Thread) walk(grammar []string, visit func(own, segment string) bool) bool {
	rest, more := string(t), true
	for _, own := range grammar {
		var segment string
		if !more {
			return false
		}
		if segment, rest, more = strings.Cut(rest, "/"); !visit(own, segment) {
			return false
		}
	}
	return !more
}

// specOfThread is a kind whose threads are of that family and have as many segments, else
// one of that family, nil if none has it, and their grammar: kinds of one family and length
// have one.
func specOfThread(t Thread) (found *Spec, grammar []string) {
	length := strings.Count(string(t), "/") + 1
	for _, sp := range catalogue {
		g := sp.grammar(t.Family())
		if g == nil {
			continue
		}
		if len(g) == length {
			return sp, g
		}
		if found == nil {
			found, grammar = sp, g
		}
	}
	return found, grammar
}

// KindsOn are the kinds whose records stand on a thread, in the catalogue's order; none of what is
// no thread.
func KindsOn(t Thread) (kinds []Kind) {
	for _, sp := range catalogue {
		if sp.threadFault(t) == "" {
			kinds = append(kinds, sp.Kind)
		}
	}
	return kinds
}

// grammar is that of the kind's threads of a family, nil if it stands on none.
func (sp *Spec) grammar(f Family) []string {
	for _, g := range sp.grammars {
		if g[0] == string(f) {
			return g
		}
	}
	return nil
}

// threadFault checks a thread against the kind's grammar.
func (sp *Spec) threadFault(thread Thread) string {
	if grammar := sp.grammar(thread.Family()); grammar != nil && thread.walk(grammar, func(own, segment string) bool {
		if isPlaceholderSegment(own) {
			return schema.FormatSegment.Fault(segment) == ""
		}
		return segment == own
	}) {
		return ""
	}
	return fmt.Sprintf("is %s; a record of kind %s stands on a thread %s, each capital a segment of a-z, 0-9, '.' and '-'", schema.Quote(string(thread)), sp.Kind, sp.Thread)
}

// ExampleThread is a thread of the kind, for people to see; of the first family of several.
func (sp *Spec) ExampleThread() Thread {
	segments := make([]string, len(sp.grammars[0]))
	for i, s := range sp.grammars[0] {
		switch segments[i] = s; s {
		case "D", "N":
			segments[i] = "2026-014"
		case "P":
			segments[i] = "acme-cloud"
		case "R":
			segments[i] = "lumen-resale"
		case "L":
			segments[i] = "2027-003"
		}
	}
	return Thread(strings.Join(segments, "/"))
}

// threadPattern is the kind's grammar as a regular expression.
func (sp *Spec) threadPattern() string {
	var patterns []string
	for _, grammar := range sp.grammars {
		segments := make([]string, len(grammar))
		for i, s := range grammar {
			if segments[i] = strings.ReplaceAll(s, ".", `\.`); isPlaceholderSegment(s) {
				segments[i] = strings.Trim(schema.FormatSegment.Pattern(), "^$")
			}
		}
		patterns = append(patterns, "^"+strings.Join(segments, "/")+"$")
	}
	return strings.Join(patterns, "|")
}

func isPlaceholderSegment(segment string) bool { return segment[0] >= 'A' && segment[0] <= 'Z' }
