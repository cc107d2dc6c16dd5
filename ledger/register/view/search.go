package view

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/screen"
)

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
	case screen.FormOf(text).Own == "":
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
	form     screen.Form
	standing *instantViews          // as of which hits say how they stand; nil: they do not
	hits     map[string]*Hit        // by thread, a record's by its ID
	seen     map[record.Thread]bool // whose texts were looked at for parts
	found    Found
}

func (v *View) newSearch(text string) *search {
	return &search{
		v: v, text: text, form: screen.FormOf(text), hits: make(map[string]*Hit), seen: make(map[record.Thread]bool),
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

// more notes a text that more things bear than were looked at.
func (s *search) more(text string) {
	if !slices.Contains(s.found.More, text) {
		s.found.More = append(s.found.More, text)
	}
}
