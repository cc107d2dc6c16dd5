// Package screen says which designations a customer's name or numbers may mean, with a
// score that is explained feature by feature and is the same on every machine.
//
// It computes with integers alone, over tables that are part of the version. It reads no
// file, clock or network, and knows nothing of logs: whoever builds an [Index] says which
// designations there are at a checkpoint.
//
// A name becomes words ([Tokens]): its key under rules 1 (case, width, punctuation), then Latin
// letters without accents for all others, by the table of mozillazg/go-unidecode, a syllable in Han or
// Hangul being a word. Legal forms come off by a table (of opensanctions/rigour), wherever they
// stand, and are compared by class alone; a person's and a ship's name has none. A name is compared as a whole
// and without what only qualifies it, in brackets or after "c/o" and the like; what stands after "trading as" or "formerly"
// is a name of its own. The pair with the most points counts. Numbers in words, Roman
// numerals and ordinals are numbers. No digit is ever lost, and a legal form alone matches nothing.
//
// The words of two names are paired, the most alike first: equal, one word against several run
// together, forms of one given name, initials, and words up to a share of edits apart, by letters
// or by sound. What is left over on both sides stands in each other's place; the rest one name has alone.
// Each finding has points, which are log-odds on a scale of 400 a unit, and the points of a hit's
// features add up to its own; [ScoreOf] makes a score of them. Words in common count by their
// information: how few of all subjects of the index bear them, as if 8,192 names had been counted before
// in which a word of the built-in lists has its usual share and any other is borne once. More
// evidence never lowers a score. Countries that are the same raise it, other ones lower it. An equal identifier
// is a hit whatever the names are.
//
// Two names are compared if they share a blocking key ([BlockingKeys]). What the labelled pairs say
// of scores and keys, TestQuality prints: on the rows that no weight was tuned on F1 is 0.88 of all and
// 0.91 of organisations, and each pair that people call the same has a key in common. No key was tuned
// on 198 of these 200 pairs; two had none in common (1 in 100 of all, 1 in 40 of organisations), and
// the readings of percent signs and of Slavic adjectives that they have now came after they were seen.
package screen

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// Version numbers the algorithm: the keys, the tables, the weights. Whatever changes a
// score or a blocking key raises it, and a report names it.
const Version = 1

// Threshold is the score from which on a pair counts as a hit: the scale is set so that
// the best threshold of the tuning pairs is this one.
const Threshold Score = 700_000

// Score is a score in millionths, above 0 and below 1,000,000 (0.000001 to 0.999999).
type Score int

// String is the score with six decimals, such as "0.700000".
func (s Score) String() string { return fmt.Sprintf("%d.%06d", int(s)/1_000_000, int(s)%1_000_000) }

// MarshalText writes the score with six decimals. It makes a string of it in JSON, since the
// numbers of Docket's JSON are integers.
func (s Score) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (s *Score) UnmarshalText(text []byte) (err error) {
	*s, err = ParseScore(string(text))
	return err
}

// ParseScore reads a score between 0 and 1 with at most six decimals.
func ParseScore(text string) (Score, error) {
	whole, fraction, dotted := strings.Cut(text, ".")
	n, err := strconv.ParseUint(whole+(fraction + "000000")[:max(6, len(fraction))], 10, 32)
	if err != nil || whole == "" || len(fraction) > 6 || dotted && fraction == "" || n > 1_000_000 {
		return 0, fmt.Errorf("score %q: want a number from 0 to 1 with at most six decimals, such as 0.7", text)
	}
	return Score(n), nil
}

// Use says what a name is to the subject that bears it.
type Use string

// The uses of a name.
const (
	Current Use = "current"
	Alias   Use = "alias"
	Weak    Use = "weak"   // an alias that its list calls too common to match on alone
	Former  Use = "former" // borne before
)

// Name is one name of a subject.
type Name struct {
	Text string `json:"text"`
	Use  Use    `json:"use"`
}

// Subject is a designation, as far as it is compared.
type Subject struct {
	Thread string // the designation's thread
	Record string // ID of the thread's newest record
	Index  uint64 // that record's index in the log
	Schema string // Person, Organization, Company, Vessel, Airplane, Jurisdiction; "" if unknown
	Names  []Name

	Country            string // ISO 3166-1 alpha-2, "" if unknown
	LEI                string
	RegistrationNumber string
	ASN                []int64
	Domain             []string
}

// Query is a customer, or whatever is asked for. All parts are optional.
type Query struct {
	Name               string
	Schema             string
	Country            string // ISO 3166-1 alpha-2
	LEI                string
	RegistrationNumber string
	ASN                []int64
	Domain             []string
}

// How says in which way a query matched.
type How string

// The ways, best first. Exact, ByAlias and ByFormer are equal names, but for case, spacing,
// punctuation, accents, script, legal form and order of words; Part is a name that holds all
// words of the other, but for what qualifies either; Similar is everything else.
const (
	ByIdentifier How = "identifier"
	Exact        How = "exact"
	ByAlias      How = "alias"
	ByFormer     How = "former"
	Part         How = "part"
	Similar      How = "similar"
)

// Hit is one subject that a query may mean.
type Hit struct {
	Subject  *Subject
	Name     Name // the name that matched best; zero if the query or the subject has none
	How      How
	Score    Score     // ScoreOf(Points)
	Points   int       // the sum of all features' points
	Features []Feature // in the order in which they are explained
	// OFAC is the score after OFAC's description of its own search (its FAQ 249). It is
	// shown beside, and decides nothing.
	OFAC Score
}

// Feature is one reason for a score. Detail says in words what was compared.
type Feature struct {
	Name   string `json:"name"`
	Detail string `json:"detail,omitempty"`
	Points int    `json:"points"`
}

// ScoreOf is the score of a sum of points: [Threshold] at 0, half of what is left above it at
// [halfway], and half of it at -halfway. It never reaches 0 or 1, and rises with each point as
// long as there are no more than 10,000 of them, which is more than any name has.
func ScoreOf(points int) Score {
	const rest = 1_000_000 - Threshold
	if points >= 0 {
		return Threshold + Score(int64(rest)*int64(points)/(int64(points)+halfway))
	}
	return max(1, Score(int64(Threshold)*halfway/(halfway-int64(points))))
}

const halfway = 1_000

// pointsOf are the fewest points that have a score.
func pointsOf(score Score) int {
	const most = 1 << 29
	return sort.Search(2*most, func(i int) bool { return ScoreOf(i-most) >= score }) - most
}
