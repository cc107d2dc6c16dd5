package view

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

var (
	indexText   = regexp.MustCompile(`^#?[0-9]{1,18}$`)
	digitsText  = regexp.MustCompile(`^[0-9a-f]{8,64}$`)
	asnText     = regexp.MustCompile(`^(?i:AS)?[0-9]{1,10}$`)
	leiText     = regexp.MustCompile(`^[0-9A-Z]{18}[0-9]{2}$`)
	segmentText = regexp.MustCompile(`^[a-z0-9.-]{3,}(/[a-z0-9.-]+)*$`) // of threads
	hostText    = regexp.MustCompile(`^[^\s/:@]+\.[^\s/:@.]+$`)
)

// lookUpRecords looks for the record of that ID, or of an ID that begins so, or of that index.
func (s *search) lookUpRecords() error {
	if digits := strings.ToLower(s.text); digitsText.MatchString(digits) {
		whole := len(digits) == 2*len(record.ID{})
		way := HowPart
		if whole {
			way = HowIdentifier
		}
		s.compare(KindRecord, digits, way)
		n := 0
		err := s.v.rows.RecordsByPrefix(digits, func(index uint64) (bool, error) {
			if n++; n > maxPrefixHits {
				s.more(digits)
				return false, nil
			}
			return true, s.addRecord(index, way, KindRecord, "")
		})
		if err != nil {
			return err
		}
	}
	if !strings.HasPrefix(s.text, "#") || !indexText.MatchString(s.text) {
		return nil
	}
	s.compare("index", s.text, HowIdentifier)
	index, err := strconv.ParseUint(s.text[1:], 10, 63)
	if err != nil || index >= s.v.Size() {
		return nil
	}
	return s.addRecord(index, HowIdentifier, "index", s.text)
}

// addRecord adds a record as a hit of its own. Matched is its ID unless another text did.
func (s *search) addRecord(index uint64, way How, scheme, matched string) error {
	row, err := s.v.RecordAt(index)
	if err != nil {
		return err
	}
	id := row.ID.String()
	name := fmt.Sprintf("%s #%d", row.Kind, row.Index)
	s.hits[id] = &Hit{Kind: KindRecord, Thread: row.Thread, Name: name, How: way, Scheme: scheme, Matched: cmp.Or(matched, id), Record: row.ID}
	return nil
}

// lookUpIdentifiers looks for whoever bears the text, or bore it, as a name or an identifier.
func (s *search) lookUpIdentifiers() error {
	for _, id := range identifiersIn(s.text) {
		s.compare(id[0], register.IdentifierKey(id[0], id[1]), HowIdentifier)
		n := 0
		err := s.v.rows.IdentifierUses(id[0], id[1], "", func(thread record.Thread, _ uint64, use register.IdentifierUse) (bool, error) {
			if n++; n > maxSearchThreads {
				s.more(id[1])
				return false, nil
			}
			way := howUsed(use)
			if id[0] != register.SchemeName && way == HowExact {
				way = HowIdentifier
			}
			return true, s.add(thread, Hit{How: way, Scheme: id[0], Matched: id[1], Weak: use == register.IdentifierWeak})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// identifiersIn are the identifiers that a text may be, each with its scheme: a name always.
func identifiersIn(text string) (ids [][2]string) {
	if scheme, value, ok := SplitIdentifier(text); ok {
		return [][2]string{{scheme, value}}
	}
	ids = append(ids, [2]string{register.SchemeName, text})
	if strings.ContainsAny(text, "0123456789") {
		ids = append(ids, [2]string{"registrationNumber", text})
	}
	packed := strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(text))
	if leiText.MatchString(packed) {
		ids = append(ids, [2]string{register.SchemeLEI, packed})
	}
	if asnText.MatchString(packed) {
		ids = append(ids, [2]string{register.SchemeASN, packed})
	}
	for _, host := range hostsIn(text) {
		ids = append(ids, [2]string{register.SchemeDomain, host})
	}
	return ids
}

// SplitIdentifier splits SCHEME:VALUE, where the scheme is one of identifiers.
func SplitIdentifier(text string) (scheme, value string, ok bool) {
	scheme, value, found := strings.Cut(text, ":")
	if value = strings.TrimSpace(value); !found || value == "" {
		return "", "", false
	}
	for _, s := range register.IdentifierSchemes {
		if strings.EqualFold(s, scheme) {
			return s, value, true
		}
	}
	return "", "", false
}

// hostsIn are the domain of a text that is one, of a URL or of an address, and those above
// it but for the last label, at most eight.
func hostsIn(text string) (hosts []string) {
	host := text
	if u, err := url.Parse(text); err == nil && u.Host != "" {
		host = u.Hostname()
	} else if _, domain, isAddress := strings.Cut(text, "@"); isAddress {
		host = domain
	} else {
		host, _, _ = strings.Cut(text, "/")
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	for hostText.MatchString(host) && len(hosts) < 8 {
		hosts = append(hosts, host)
		_, host, _ = strings.Cut(host, ".")
	}
	return hosts
}

// searchFamilies are those whose threads are found by their name without the family.
var searchFamilies = []record.Family{
	record.FamilyDesignation, record.FamilyParty, record.FamilyLicence, record.FamilyDisclosure, record.FamilyReseller, record.FamilyAssessment,
}

// lookUpThreads looks for the thread of that name, with or without its family, and for those
// that begin so; where there is none of that name, for one that differs by a slip of the pen.
func (s *search) lookUpThreads() error {
	name := strings.ToLower(s.text)
	if strings.Contains(name, " ") {
		return nil
	}
	s.compare(register.SchemeThread, name, HowIdentifier)
	var threads []record.Thread
	if record.Thread(name) == record.CharterThread || strings.Contains(name, "/") {
		threads = append(threads, record.Thread(name))
	}
	for _, family := range searchFamilies {
		threads = append(threads, record.Thread(family.Prefix()+name))
	}
	for _, thread := range threads {
		row, err := s.v.rows.Thread(thread)
		if err == nil && row != nil {
			err = s.add(thread, Hit{How: HowIdentifier, Scheme: register.SchemeThread, Matched: string(thread)})
		}
		if err != nil {
			return err
		}
	}
	if strings.Contains(name, "/") {
		n := 0
		err := s.v.rows.Threads(name, name, func(row *register.ThreadRow) (bool, error) {
			if n++; n > maxPrefixHits {
				s.more(name)
				return false, nil
			}
			return true, s.add(row.Thread, Hit{How: HowPart, Scheme: register.SchemeThread, Matched: string(row.Thread)})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// lookUpMistyped looks, where nothing else was found, for threads whose names differ from what
// may be one by a slip of the pen.
func (s *search) lookUpMistyped() error {
	name := strings.ToLower(s.text)
	if len(s.hits) > 0 || !segmentText.MatchString(name) {
		return nil
	}
	s.compare(register.SchemeThread, name, HowSimilar)
	for _, family := range searchFamilies {
		own, named := strings.CutPrefix(name, family.Prefix())
		if strings.Contains(own, "/") || strings.Contains(name, "/") && !named {
			continue
		}
		near, err := s.v.rows.Nearest(record.Thread(family.Prefix() + own))
		if err != nil {
			return err
		}
		if near != "" {
			if err := s.add(near, Hit{How: HowSimilar, Scheme: register.SchemeThread, Matched: string(near)}); err != nil {
				return err
			}
		}
	}
	return nil
}
