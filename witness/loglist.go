package witness

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// MaxLogList is the most bytes of a log list: some 80,000 logs with Ed25519 keys.
const MaxLogList = 16 << 20

// Log is one log that a witness serves.
type Log struct {
	Origin  string
	Keys    []proof.Key // at least one; any of them makes a checkpoint the log's
	QPD     uint32      // new checkpoints a day: 1 to 2^31-1
	Contact string      // for people
}

// LogList is which logs a witness serves, in the order of their first mention.
type LogList []Log

// ParseLogs reads the witness network's log list, logs/v0 (the log list format of
// transparency-dev/witness-network): a header line, then for each log the lines
//
//	vkey VKEY
//	[origin ORIGIN]
//	qpd QPD
//	contact CONTACT
//
// in this order. Empty lines and those that begin with # are skipped, white space
// around a line too. The published format has one Ed25519 key a log; here a log may
// also have an ML-DSA-44 key, and several keys, each with the four lines and one
// origin: its qpd is the largest of theirs. A key twice under one origin is refused.
// Errors name the line.
func ParseLogs(text []byte) (LogList, error) {
	if len(text) > MaxLogList {
		return nil, fmt.Errorf("log list: %d bytes, limit %d", len(text), MaxLogList)
	}
	if !utf8.Valid(text) {
		return nil, errors.New("log list: not UTF-8")
	}
	p := listParser{byOrigin: map[string]int{}}
	n := 0
	for line := range bytes.Lines(text) {
		n++
		s := strings.TrimSpace(string(line))
		if s == "" || s[0] == '#' {
			continue
		}
		if err := p.parseLine(s); err != nil {
			return nil, fmt.Errorf("log list: line %d: %w", n, err)
		}
	}
	switch p.lastWord {
	case "contact", "logs/v0":
		return p.list, nil
	case "":
		return nil, errors.New("log list: no line \"logs/v0\": this is something else")
	}
	return nil, fmt.Errorf("log list: it ends after a %s line: the file was cut off", p.lastWord)
}

// listParser knows which line came last.
type listParser struct {
	list     LogList
	byOrigin map[string]int
	lastWord string // the word of the last line

	key    proof.Key // of the log that is being read
	origin string
	qpd    uint32
}

func (p *listParser) parseLine(s string) error {
	if p.lastWord == "" {
		if s != "logs/v0" {
			return errors.New("the first line is not \"logs/v0\": this is something else")
		}
		p.lastWord = s
		return nil
	}
	word, value, _ := strings.Cut(s, " ")
	if !p.follows(word) {
		return fmt.Errorf("%.32q does not follow a %s line: want vkey, origin (or none), qpd, contact", word, p.lastWord)
	}
	p.lastWord = word
	var err error
	switch word {
	case "vkey":
		p.key, err = proof.ParseLogKey(value)
		p.origin = p.key.Name()
	case "origin":
		p.origin = value
		err = checkOrigin(value)
	case "qpd":
		p.qpd, err = parseQPD(value)
	case "contact":
		err = p.add(value)
	}
	return err
}

func (p *listParser) follows(word string) bool {
	switch p.lastWord {
	case "logs/v0", "contact":
		return word == "vkey"
	case "vkey":
		return word == "origin" || word == "qpd"
	case "origin":
		return word == "qpd"
	}
	return word == "contact"
}

func (p *listParser) add(contact string) error {
	if contact = strings.TrimSpace(contact); contact == "" {
		return errors.New("the contact is empty")
	}
	i, known := p.byOrigin[p.origin]
	if !known {
		p.byOrigin[p.origin] = len(p.list)
		p.list = append(p.list, Log{Origin: p.origin, Keys: []proof.Key{p.key}, QPD: p.qpd, Contact: contact})
		return nil
	}
	l := &p.list[i]
	for _, k := range l.Keys {
		if k.SamePublicKey(p.key) {
			return fmt.Errorf("the log %s has this key twice", p.origin)
		}
	}
	l.Keys = append(l.Keys, p.key)
	l.QPD = max(l.QPD, p.qpd)
	return nil
}

// Format writes the list in its canonical form: ParseLogs reads the same list.
func (l LogList) Format() []byte {
	b := []byte("logs/v0\n")
	for _, log := range l {
		for _, k := range log.Keys {
			b = fmt.Appendf(b, "\nvkey %s\n", k)
			if k.Name() != log.Origin {
				b = fmt.Appendf(b, "origin %s\n", log.Origin)
			}
			b = fmt.Appendf(b, "qpd %d\ncontact %s\n", log.QPD, log.Contact)
		}
	}
	return b
}

// checkOrigin holds an origin to be one that a checkpoint can have.
func checkOrigin(s string) error {
	if s != strings.TrimSpace(s) {
		return errors.New("the origin begins with white space: one space stands after the word")
	}
	if _, err := proof.ParseCheckpointBody(proof.Checkpoint{Origin: s, Root: proof.EmptyRoot()}.Body()); err != nil {
		return fmt.Errorf("origin: %w", err)
	}
	return nil
}

// parseQPD reads a number in [1, 2^31) without leading zeros.
func parseQPD(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("qpd %.32q is not a number from 1 to 2147483647 without leading zeros", s)
	}
	return uint32(n), nil
}
