package view

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/screen"
)

// How says in which way a thing matches what was looked for.
type How string

// The ways, the surest first.
const (
	HowIdentifier How = "identifier" // an identifier, a thread, a record ID: the same
	HowExact      How = "exact"      // the name as it is now
	HowAlias      How = "alias"      // a whole alias
	HowFormer     How = "former"     // a name or an identifier that it bore before
	HowPart       How = "part"       // each word begins a word of a name or of an identifier
	HowSimilar    How = "similar"    // a name like it, by the score of screening
)

// Hows are all of them, the surest first.
var Hows = []How{HowIdentifier, HowExact, HowAlias, HowFormer, HowPart, HowSimilar}

// KindRecord is the kind of what was found as a record, by its ID or index. That of any
// other is the family of its thread.
const KindRecord = "record"

// SearchKinds are the kinds of what can be found.
var SearchKinds = []string{
	string(record.FamilyDesignation), string(record.FamilyParty), string(record.FamilyLicence), string(record.FamilyDisclosure),
	string(record.FamilyReseller), string(record.FamilyAssessment), string(record.FamilyResponse), string(record.FamilyCertification),
	string(record.FamilyCustomerLog), string(record.FamilyAbuse), string(record.FamilyAITraining), string(record.FamilyCharter), KindRecord,
}

// Hit is one thing that was found, as it stands at an instant.
type Hit struct {
	Error   bool          `json:"publishedInError,omitempty"`
	Kind    string        `json:"kind"` // the family of its thread, or "record"
	Thread  record.Thread `json:"thread"`
	Name    string        `json:"name,omitempty"`
	Status  string        `json:"status,omitempty"` // of a designation, a party, a licence: at T, all corrections known
	Country string        `json:"country,omitempty"`

	How     How          `json:"how"`
	Scheme  string       `json:"scheme"`          // of what matched: name, thread, record, index, source, website, or an identifier's
	Matched string       `json:"matched"`         // the name or the identifier that did
	Weak    bool         `json:"weak,omitempty"`  // an alias too common to match on alone
	Score   screen.Score `json:"score,omitempty"` // by which equal ways are ranked; of names alone

	Record record.ID `json:"record"` // the newest on the thread, or the record that was looked for
}

// Form is one form in which a question was looked up.
type Form struct {
	Scheme string `json:"scheme"` // what it was compared with
	Value  string `json:"value"`  // as it was compared
	Way    How    `json:"way"`
}

// Words tell it in a line.
func (f Form) Words() string {
	switch {
	case f.Scheme == "words":
		return fmt.Sprintf("names and identifiers with words that begin like each of “%s”", f.Value)
	case f.Scheme == KindRecord && f.Way == HowPart:
		return "record IDs that begin with " + f.Value
	case f.Scheme == KindRecord:
		return "record ID " + f.Value
	case f.Scheme == register.SchemeThread && f.Way == HowSimilar:
		return fmt.Sprintf("threads that differ from “%s” by a slip of the pen", f.Value)
	case f.Scheme == register.SchemeThread:
		return fmt.Sprintf("threads called “%s”, or beginning so", f.Value)
	case f.Scheme == register.SchemeName && f.Way == HowSimilar:
		return fmt.Sprintf("names similar to “%s”, in any script", f.Value)
	case f.Scheme == register.SchemeName:
		return fmt.Sprintf("whole names, aliases and former names: “%s”", f.Value)
	}
	return fmt.Sprintf("%s %s", schemeWords[f.Scheme], f.Value)
}

// schemeWords are what people call identifiers.
var schemeWords = map[string]string{
	register.SchemeLEI: "LEI", "registrationNumber": "registration number", register.SchemeASN: "ASN", register.SchemeDomain: "domain", "index": "index",
}

// SearchStatuses are all that a hit can have: a designation's, a party's, a licence's.
func SearchStatuses() (all []string) {
	for _, s := range Statuses {
		all = append(all, string(s))
	}
	all = append(all, register.StandingActive, "withdrawn")
	slices.Sort(all)
	return slices.Compact(all)
}

// Found is what a search found. Nothing found means that no record among all Entries has
// anything that is like one of the forms Compared; where More is set there is more than what
// was looked at.
type Found struct {
	Query    string       `json:"query"`
	Entries  uint64       `json:"entries"`
	Compared []Form       `json:"compared"`
	Total    int          `json:"total"`          // hits that the filter chooses, on all pages
	More     []string     `json:"more,omitempty"` // words that more things bear than were looked at; "" of work that ended early
	Counts   SearchCounts `json:"counts"`
	Hits     []Hit        `json:"hits"` // of this page
	Next     int          `json:"-"`    // hits up to the end of this page; 0: it is the last
}

// SearchCounts count the hits, each by one member, of those that the filter chooses by the
// others.
type SearchCounts struct {
	Kind    map[string]int `json:"kind"`
	Status  map[string]int `json:"status"`
	Country map[string]int `json:"country"`
}

// SearchFilter chooses hits; what is empty chooses all.
type SearchFilter struct {
	Kind, Status, Country string
	Limit                 int // hits of a page; 0: all
	After                 int // hits of the pages before
}

// SimilarFrom is the score from which on a name is found as a similar one where nobody is called
// as was asked: lower than a hit's of screening, which it takes otherwise, since who looks for
// somebody often knows a part of a name, and sees the others ranked below.
const SimilarFrom screen.Score = 300_000

// MaxQueryChars is how long what is looked for may be, in characters.
const MaxQueryChars = 300

// What one search looks at, at most: whoever asks, of a ledger of any size. What it leaves
// out it tells of.
const (
	maxSearchWords   = 4     // words of which the rarest is looked for
	maxSearchThreads = 1_000 // threads that bear the rarest
	maxSimilarRows   = 300   // of one key of similar names
	maxSimilar       = 100   // threads that share most keys
	maxSimilarHits   = 20    // of these, the most similar
	maxPrefixHits    = 50    // threads and record IDs that begin so
	maxSearchFormer  = 256   // former names of a thread
)

// ErrEmptyQuery is a search for nothing that can be compared.
var ErrEmptyQuery = errors.New("nothing to look for: give a name, a part of one, an identifier, a thread or a record ID")

// ErrLongQuery is a search for more than a name is long.
var ErrLongQuery = fmt.Errorf("what is looked for has at most %d characters", MaxQueryChars)

// CleanQuery is what somebody looks for, as it is shown and compared: without white space
// around it, nor characters that nobody sees or that change how others are shown.
func CleanQuery(text string) (string, error) {
	if utf8.RuneCountInString(text) > 4*MaxQueryChars {
		return "", ErrLongQuery
	}
	text = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, isFormat(r):
			return -1
		case r < ' ', 0x7f <= r && r < 0xa0, r == 0x2028, r == 0x2029:
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	switch {
	case utf8.RuneCountInString(text) > MaxQueryChars:
		return "", ErrLongQuery
	case register.SearchFormOf(text).Own == "":
		return "", ErrEmptyQuery
	}
	return text, nil
}

// isFormat reports whether a code point directs how others are written: bidirectional
// controls, zero width spaces and marks, tags. Joiners stay, which some scripts write with.
func isFormat(r rune) bool {
	return r == 0x00ad || r == 0x061c || r == 0x180e || r == 0x200b || r == 0x200e || r == 0x200f ||
		0x202a <= r && r <= 0x202e || 0x2060 <= r && r <= 0x206f || r == 0xfeff || 0xfff0 <= r && r <= 0xfffb || 0xe0000 <= r && r <= 0xe0fff
}

// Search finds whatever bears or bore a name, a part of one or one like it, an identifier, a
// thread or a record ID, as it stands at an instant: all of it for each question, so that
// "none" is never said of one spelling alone. The surest come first, of equal ones the highest
// score, then by kind and thread.
//
// It looks at a bounded number of threads, however many bear a word, the same on each
// machine; a view with a budget may end earlier, and says so.
func (v *View) Search(query string, f SearchFilter, at time.Time) (Found, error) {
	text, err := CleanQuery(query)
	if err != nil {
		return Found{}, err
	}
	m, err := v.momentAt(at)
	if err != nil {
		return Found{}, err
	}
	s := v.newSearch(text)
	s.standing = &m
	if err := s.run(); errors.Is(err, register.ErrOverBudget) {
		s.more("")
	} else if err != nil {
		return Found{}, err
	}
	return s.answer(f), nil
}

// DidYouMean is `; did you mean "acme-cloud"?` for a text that names nothing of some families,
// with what a search for it finds first, of these families if one is as sure: the name of its
// thread, with the family where that is another. It is "" where nothing is found.
func (v *View) DidYouMean(text string, families ...record.Family) (string, error) {
	text, err := CleanQuery(text)
	if err != nil {
		return "", nil
	}
	s := v.newSearch(text)
	if err := s.run(); err != nil {
		return "", err
	}
	hits := s.answer(SearchFilter{}).Hits
	if len(hits) == 0 {
		return "", nil
	}
	own := func(h Hit) bool { return h.Kind != KindRecord && slices.Contains(families, h.Thread.Family()) }
	best := hits[0]
	if i := slices.IndexFunc(hits, own); i >= 0 && hits[i].How == best.How {
		best = hits[i]
	}
	meant := string(best.Thread)
	switch {
	case best.Kind == KindRecord:
		meant = best.Record.String()
	case own(best) && best.Thread.Name() == text: // it is there, and was asked for as something else
		return "", nil
	case own(best):
		meant = best.Thread.Name()
	}
	return `; did you mean "` + meant + `"?`, nil
}

// search is one search while it goes on.
type search struct {
	v        *View
	text     string
	form     register.SearchForm
	standing *instantViews          // as of which hits say how they stand; nil: they do not
	hits     map[string]*Hit        // by thread, a record's by its ID
	seen     map[record.Thread]bool // whose texts were looked at for parts
	found    Found
}

func (v *View) newSearch(text string) *search {
	return &search{
		v: v, text: text, form: register.SearchFormOf(text), hits: make(map[string]*Hit), seen: make(map[record.Thread]bool),
		found: Found{Query: text, Entries: v.Size(), Hits: []Hit{}},
	}
}

// run looks the text up in every form, the surest first.
func (s *search) run() error {
	for _, look := range []func() error{s.lookUpRecords, s.lookUpIdentifiers, s.lookUpThreads, s.lookUpParts, s.lookUpSimilar, s.lookUpMistyped} {
		if err := look(); err != nil {
			return err
		}
	}
	return nil
}

// compare notes a form that is looked up.
func (s *search) compare(scheme, value string, way How) {
	if form := (Form{scheme, value, way}); !slices.Contains(s.found.Compared, form) {
		s.found.Compared = append(s.found.Compared, form)
	}
}

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

// howUsed is the way in which a whole name matches by its use.
func howUsed(use register.IdentifierUse) How {
	switch use {
	case register.IdentifierCurrent:
		return HowExact
	case register.IdentifierAlias, register.IdentifierWeak:
		return HowAlias
	}
	return HowFormer
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

// lookUpParts looks for the threads that bear or bore a text of which each word begins one.
func (s *search) lookUpParts() error {
	value := s.form.Own
	if s.form.Latin != s.form.Own {
		value += " / " + s.form.Latin
	}
	s.compare("words", value, HowPart)
	for _, words := range []string{s.form.Own, s.form.Latin} {
		threads, err := s.rarest(strings.Fields(words))
		if err != nil {
			return err
		}
		for _, thread := range threads {
			if err := s.match(thread); err != nil {
				return err
			}
		}
		if s.form.Latin == s.form.Own {
			break
		}
	}
	return nil
}

// rarest are the threads that bear or bore a text with the rarest of the words, by which all
// others are to be found too. Words are tried in order of their length.
func (s *search) rarest(words []string) (threads []record.Thread, err error) {
	slices.SortStableFunc(words, func(a, b string) int { return cmp.Compare(utf8.RuneCountInString(b), utf8.RuneCountInString(a)) })
	words = slices.Compact(words)
	words = words[:min(len(words), maxSearchWords)]
	for most := 8; ; most = min(4*most, maxSearchThreads) {
		for _, word := range words {
			threads = nil
			distinct, all := make(map[record.Thread]bool), true
			err := s.v.rows.ThreadsByWord(word, func(thread record.Thread) (bool, error) {
				if distinct[thread] {
					return true, nil
				}
				if all = len(threads) < most; all {
					distinct[thread] = true
					threads = append(threads, thread)
				}
				return all, nil
			})
			switch {
			case err != nil || all:
				return threads, err
			case most == maxSearchThreads && len(words) == 1:
				s.more(word)
				return threads, nil
			}
		}
		if len(words) == 0 {
			return nil, nil
		}
		if most == maxSearchThreads {
			words = words[:1] // the longest, once more: none is rare
		}
	}
}

// more notes a text that more things bear than were looked at.
func (s *search) more(text string) {
	if !slices.Contains(s.found.More, text) {
		s.found.More = append(s.found.More, text)
	}
}

// lookUpSimilar looks for threads with a name that screening finds similar.
func (s *search) lookUpSimilar() error {
	s.compare(register.SchemeName, strings.Join(strings.Fields(s.form.Latin), " "), HowSimilar)
	shared := make(map[record.Thread]int)
	for _, key := range register.SimilarKeys(s.text) {
		n := 0
		err := s.v.rows.ThreadsBySimilarKey(key, func(thread record.Thread) (bool, error) {
			shared[thread]++
			n++
			return n < maxSimilarRows, nil
		})
		if err != nil {
			return err
		}
	}
	threads := slices.SortedFunc(maps.Keys(shared), func(a, b record.Thread) int {
		return cmp.Or(cmp.Compare(shared[b], shared[a]), cmp.Compare(a, b))
	})
	from := SimilarFrom
	for _, h := range s.hits {
		if h.How != HowPart {
			from = screen.Threshold // somebody is called so
		}
	}
	var similar []screen.Hit
	for _, thread := range threads[:min(len(threads), maxSimilar)] {
		if s.hits[string(thread)] != nil {
			continue
		}
		texts, err := s.textsOf(thread)
		if err != nil {
			return err
		}
		if h := screen.Compare(screen.Query{Name: s.text}, subjectOf(thread, texts)); h.Score >= from {
			similar = append(similar, h)
		}
	}
	slices.SortFunc(similar, func(a, b screen.Hit) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Subject.Thread, b.Subject.Thread))
	})
	for _, h := range similar[:min(len(similar), maxSimilarHits)] {
		err := s.add(record.Thread(h.Subject.Thread), Hit{How: HowSimilar, Scheme: register.SchemeName, Matched: h.Name.Text, Weak: h.Name.Use == screen.Weak, Score: h.Score})
		if err != nil {
			return err
		}
	}
	return nil
}

// match adds a thread that bears or bore a text of which each word that is looked for begins a
// word.
func (s *search) match(thread record.Thread) error {
	if s.seen[thread] {
		return nil
	}
	s.seen[thread] = true
	texts, err := s.textsOf(thread)
	if err != nil {
		return err
	}
	forms := make([]register.SearchForm, len(texts))
	written := false // some text is covered as it is written: transliterations of it say less
	for i, t := range texts {
		forms[i] = register.SearchFormOf(t.Text)
		asWritten, _ := s.form.CoveredBy(forms[i])
		written = written || asWritten
	}
	for i, t := range texts {
		asWritten, inLatin := s.form.CoveredBy(forms[i])
		if !asWritten && (written || !inLatin) {
			continue
		}
		way := HowPart
		if t.Scheme == register.SchemeName && forms[i].Own == s.form.Own {
			way = howUsed(t.Use)
		}
		if err := s.add(thread, Hit{How: way, Scheme: t.Scheme, Matched: t.Text, Weak: t.Use == register.IdentifierWeak}); err != nil {
			return err
		}
	}
	return nil
}

// textsOf are the texts by which a thread is found, former names last.
func (s *search) textsOf(thread record.Thread) ([]register.SearchText, error) {
	row, err := s.v.rows.Thread(thread)
	if err != nil || row == nil {
		return nil, err
	}
	texts := row.SearchTexts()
	name, _, renamed := describe(row)
	if !renamed {
		return texts, nil
	}
	former, more, err := s.v.rows.FormerNames(row.Thread, name, maxSearchFormer)
	if more {
		s.more(name)
	}
	for _, n := range former {
		texts = append(texts, register.SearchText{Scheme: register.SchemeName, Text: n, Use: register.IdentifierFormer})
	}
	return texts, err
}

// subjectOf are the names of a thread, as screening compares them.
func subjectOf(thread record.Thread, texts []register.SearchText) *screen.Subject {
	subject := &screen.Subject{Thread: string(thread)}
	for _, t := range texts {
		if t.Scheme == register.SchemeName {
			subject.Names = append(subject.Names, screen.Name{Text: t.Text, Use: screenUses[t.Use]})
		}
	}
	return subject
}

var screenUses = map[register.IdentifierUse]screen.Use{
	register.IdentifierCurrent: screen.Current, register.IdentifierAlias: screen.Alias,
	register.IdentifierWeak: screen.Weak, register.IdentifierFormer: screen.Former,
}

// describe is what a thing is called and where it is, and whether it had other names.
func describe(row *register.ThreadRow) (name, country string, renamed bool) {
	switch st := row.State.(type) {
	case *register.PartyRow:
		return st.LegalName, st.Country, st.Renamed
	case *register.DesignationRow:
		return st.Current.Target.Name, st.Current.Target.Country, st.Renamed
	case *register.LicenceRow:
		return cmp.Or(st.Holder, "everybody"), "", false
	}
	return "", "", false
}

// add adds a hit, unless a better one of the thread is known.
func (s *search) add(thread record.Thread, h Hit) error {
	if h.Scheme == register.SchemeName && h.Score == 0 {
		h.Score = screen.Compare(screen.Query{Name: s.text}, &screen.Subject{Names: []screen.Name{{Text: h.Matched, Use: screen.Current}}}).Score
	}
	if old := s.hits[string(thread)]; old != nil {
		asWritten := old.How == h.How && old.Scheme == h.Scheme && old.Matched == s.text
		if compareWays(&h, old) < 0 || asWritten {
			old.How, old.Scheme, old.Matched, old.Weak, old.Score = h.How, h.Scheme, h.Matched, h.Weak, h.Score
		}
		return nil
	}
	history := &threadHistory{rows: s.v.rows, thread: thread}
	row, err := history.newest()
	if err != nil || row == nil {
		return err
	}
	h.Kind, h.Thread, h.Record = string(thread.Family()), thread, row.ID
	h.Name, h.Country, _ = describe(row)
	if s.standing != nil {
		if err := s.say(&h, history, row, s.standing.current); err != nil {
			return err
		}
	}
	s.hits[string(thread)] = &h
	return nil
}

// say tells how a hit stands.
func (s *search) say(h *Hit, history *threadHistory, row *register.ThreadRow, c asOf) (err error) {
	switch st := row.State.(type) {
	case *register.DesignationRow:
		status, err := history.status(c)
		if err != nil {
			return err
		}
		h.Status, h.Error = string(status), st.Revoked != nil && st.Revoked.Cause == causeError
	case *register.PartyRow:
		h.Status, err = history.standing(row, c)
	case *register.LicenceRow:
		l := licenceOf(row, c.today())
		h.Status, h.Error = string(l.Status), l.Error
	}
	return err
}

// compareWays orders two ways in which one thing matches, the surer first.
func compareWays(a, b *Hit) int {
	weak := func(h *Hit) int {
		if h.Weak {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(slices.Index(Hows, a.How), slices.Index(Hows, b.How)),
		cmp.Compare(weak(a), weak(b)),
		cmp.Compare(b.Score, a.Score),
		cmp.Compare(a.Scheme, b.Scheme),
	)
}

// answer orders, filters, counts and cuts.
func (s *search) answer(f SearchFilter) Found {
	all := slices.SortedFunc(maps.Values(s.hits), func(a, b *Hit) int {
		return cmp.Or(
			compareWays(a, b),
			cmp.Compare(slices.Index(SearchKinds, a.Kind), slices.Index(SearchKinds, b.Kind)),
			cmp.Compare(a.Thread, b.Thread),
			cmp.Compare(a.Record.String(), b.Record.String()),
		)
	})
	found := &s.found
	found.Counts = SearchCounts{Kind: map[string]int{}, Status: map[string]int{}, Country: map[string]int{}}
	for _, h := range all {
		kind, status, country := f.Kind == "" || f.Kind == h.Kind, f.Status == "" || f.Status == h.Status, f.Country == "" || f.Country == h.Country
		if status && country {
			found.Counts.Kind[h.Kind]++
		}
		if kind && country && h.Status != "" {
			found.Counts.Status[h.Status]++
		}
		if kind && status && h.Country != "" {
			found.Counts.Country[h.Country]++
		}
		if !kind || !status || !country {
			continue
		}
		if found.Total++; found.Total <= f.After {
			continue
		}
		if f.Limit > 0 && len(found.Hits) == f.Limit {
			found.Next = f.After + f.Limit
			continue
		}
		found.Hits = append(found.Hits, *h)
	}
	return *found
}
