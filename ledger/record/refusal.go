package record

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// RefusalSuffix ends the name of a signed refusal's file.
const RefusalSuffix = ".refusal"

// RefusalNote is what a ledger says, signed, of a record that it did not admit: a
// signed-note whose text is these lines, in this order (DESIGN.md section 4, "Refusal"):
//
//	docket-refusal/v1
//	ledger c7298a67b0af2b767e05855ab64562f1281d63bee9b4694fbe9af3cf6709d12b
//	record 5fe3c2cd9a9b4e53cf0aa1b6d78c9ccf6e5dbb7ef3f16a6f0ab2f6e0f3a1c9d4
//	key SHA256:GvAZ8nTnt2H1U7ayXTCBayRvMbpnDlVEVoIZ5iEoRjs
//	size 17
//	rule invalid #/predicate/effectiveFrom
//	time 2026-12-02T09:30:01.250Z
//
// A checkpoint's second line is a number, so no text is both; and the key that signs it signs
// nothing else. What is in a RefusalNote is a claim until [RefusalNote.Verify].
type RefusalNote struct {
	Ledger ID       // record ID of the charter at index 0
	Record ID       // of what was refused
	Keys   []string // key IDs of the signatures that verified, ordered bytewise, each once
	Size   uint64   // entries of the ledger against which it was judged
	Rule   string   // as [Refusal.Rule] gives it
	Time   time.Time

	signature string // the line under the text, with its newline; "" while it is not signed
}

const (
	refusalHeader = "docket-refusal/v1\n"

	// maxRuleBytes bounds the rule: pointers may hold names of the signer's choice. With
	// MaxSubmittedSignatures keys a note stays below 5 KiB.
	maxRuleBytes = 1024
)

// IsRefusalNote says of a file that it is meant to be a [RefusalNote].
func IsRefusalNote(file []byte) bool { return strings.HasPrefix(string(file), "docket-refusal/") }

// Rule is the refusal as a machine compares it: the word of its class and the pointers of
// its faults, as URI fragments (RFC 6901, section 6), those that fit into 1,024 bytes. Two
// refusals by one rule may have other words for people.
func (r *Refusal) Rule() string {
	rule := r.Class.String()
	for _, f := range r.Faults {
		next := rule + " #" + escapePointer(f.Pointer)
		if len(next) > maxRuleBytes {
			break
		}
		rule = next
	}
	return rule
}

func escapePointer(pointer string) string { return (&url.URL{Fragment: pointer}).EscapedFragment() }

// checkRule takes what [Refusal.Rule] writes, and nothing else.
func checkRule(rule string) error {
	words := strings.Split(rule, " ")
	if words[0] == "" || !slices.Contains(refusalWords[:], words[0]) {
		return fmt.Errorf("rule %.40q is none of a ledger's", words[0])
	}
	if len(rule) > maxRuleBytes {
		return fmt.Errorf("the rule has %d bytes, limit %d", len(rule), maxRuleBytes)
	}
	for _, w := range words[1:] {
		escaped, ok := strings.CutPrefix(w, "#")
		u := &url.URL{}
		if ok && escaped != "" {
			var err error
			u, err = url.Parse(w)
			ok = err == nil && u.Path == "" && strings.HasPrefix(u.Fragment, "/")
		}
		if !ok || !utf8.ValidString(u.Fragment) || escapePointer(u.Fragment) != escaped {
			return fmt.Errorf("rule: %.40q is no JSON pointer as a URI fragment in its one spelling", w)
		}
	}
	return nil
}

// Text is what is signed.
func (n RefusalNote) Text() string {
	var b strings.Builder
	b.WriteString(refusalHeader)
	fmt.Fprintf(&b, "ledger %s\nrecord %s\n", n.Ledger, n.Record)
	for _, k := range n.Keys {
		fmt.Fprintf(&b, "key %s\n", k)
	}
	fmt.Fprintf(&b, "size %d\nrule %s\ntime %s\n", n.Size, n.Rule, n.Time.UTC().Format(admittedLayout))
	return b.String()
}

// Format is the file: text and signature.
func (n RefusalNote) Format() []byte { return []byte(n.Text() + "\n" + n.signature) }

// ParseRefusalNote reads a file. Parse ∘ format = identity; nothing is verified.
func ParseRefusalNote(file []byte) (RefusalNote, error) {
	text, signature, ok := strings.Cut(string(file), "\n\n")
	if !ok {
		return RefusalNote{}, errors.New("refusal: want a text, an empty line and a signature")
	}
	n, err := parseRefusalText(text + "\n")
	if err != nil {
		return RefusalNote{}, fmt.Errorf("refusal: %w", err)
	}
	// Which key signed is not known yet: note.Open finds the signature's form wrong, or its
	// key unknown.
	n.signature = signature
	var unverified *note.UnverifiedNoteError
	if _, err := note.Open(file, note.VerifierList()); !errors.As(err, &unverified) {
		return RefusalNote{}, fmt.Errorf("refusal: %w", err)
	}
	if sigs := unverified.Note.UnverifiedSigs; len(sigs) != 1 || signature != fmt.Sprintf("— %s %s\n", sigs[0].Name, sigs[0].Base64) {
		return RefusalNote{}, errors.New("refusal: want exactly one signature line")
	}
	return n, nil
}

// parseRefusalText reads the lines, and refuses what [RefusalNote.Text] would write otherwise.
func parseRefusalText(text string) (n RefusalNote, err error) {
	rest, ok := strings.CutPrefix(text, refusalHeader)
	if !ok {
		return n, fmt.Errorf("the first line is not %s", strings.TrimSpace(refusalHeader))
	}
	line := func(name string) (value string, err error) {
		value, rest, ok = strings.Cut(rest, "\n")
		if !ok {
			return "", fmt.Errorf("no line %q", name)
		}
		if value, ok = strings.CutPrefix(value, name+" "); !ok {
			return "", fmt.Errorf("want a line %q", name)
		}
		return value, nil
	}
	if n.Ledger, err = idLine(line("ledger")); err != nil {
		return n, err
	}
	if n.Record, err = idLine(line("record")); err != nil {
		return n, err
	}
	for strings.HasPrefix(rest, "key ") {
		k, err := line("key")
		if err != nil {
			return n, err
		}
		n.Keys = append(n.Keys, k)
	}
	size, err := line("size")
	if err != nil {
		return n, err
	}
	if n.Size, err = strconv.ParseUint(size, 10, 63); err != nil {
		return n, fmt.Errorf("size %.20q is no number of entries", size)
	}
	if n.Rule, err = line("rule"); err != nil {
		return n, err
	}
	at, err := line("time")
	if err != nil {
		return n, err
	}
	if n.Time, err = time.Parse(admittedLayout, at); err != nil {
		return n, fmt.Errorf("time %.40q: want UTC with three fraction digits", at)
	}
	if err := n.check(); err != nil {
		return n, err
	}
	if n.Text() != text {
		return n, errors.New("a line is not written in its one form")
	}
	return n, nil
}

func idLine(value string, err error) (ID, error) {
	if err != nil {
		return ID{}, err
	}
	return ParseID(value)
}

// check refuses what no ledger says.
func (n RefusalNote) check() error {
	switch {
	case n.Ledger.IsZero() || n.Record.IsZero():
		return errors.New("an ID of zeros names no record")
	case len(n.Keys) == 0:
		return errors.New("it names no key whose signature verified; a ledger signs no refusal then")
	case len(n.Keys) > MaxSubmittedSignatures:
		return fmt.Errorf("it names %d keys; a submission has at most %d signatures", len(n.Keys), MaxSubmittedSignatures)
	case n.Size == 0:
		return errors.New("size 0: a ledger without a charter has no key for refusals")
	}
	for i, k := range n.Keys {
		if schema.FormatKeyID.Fault(k) != "" {
			return fmt.Errorf("key %.60q: want SHA256: and the fingerprint", k)
		}
		if i > 0 && k <= n.Keys[i-1] {
			return errors.New("the keys are not in order, each once")
		}
	}
	return checkRule(n.Rule)
}

// ParseRefusalsKey reads the vkey that a charter names as its refusalsKey: of type 0x01,
// which is no witness's.
func ParseRefusalsKey(vkey string) (proof.Key, error) {
	k, err := proof.ParseLogKey(vkey)
	if err == nil && k.Algorithm() != proof.Ed25519 {
		err = fmt.Errorf("key %s: %s; refusals are signed with Ed25519 (type 0x01)", k.Name(), k.Algorithm())
	}
	if err != nil {
		return proof.Key{}, fmt.Errorf("refusals key: %w", err)
	}
	return k, nil
}

// RefusalSigner is the private half of a charter's refusalsKey. It signs refusals and
// nothing else.
type RefusalSigner struct {
	key    proof.Key
	signer note.Signer
}

// ParseRefusalSigner reads a private key of type 0x01, as proof.GenerateKey makes it.
func ParseRefusalSigner(skey string) (*RefusalSigner, error) {
	s, err := proof.ParseSigner(skey)
	if err != nil {
		return nil, fmt.Errorf("refusals key: %w", err)
	}
	key, err := ParseRefusalsKey(s.Key().String())
	if err != nil {
		return nil, err
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		return nil, fmt.Errorf("refusals key: %w", err)
	}
	return &RefusalSigner{key, signer}, nil
}

// Key is the public half; its String is what the charter names.
func (s *RefusalSigner) Key() proof.Key { return s.key }

// Sign signs a refusal.
func (s *RefusalSigner) Sign(n RefusalNote) (RefusalNote, error) {
	if err := n.check(); err != nil {
		return RefusalNote{}, fmt.Errorf("signing a refusal: %w", err)
	}
	signed, err := note.Sign(&note.Note{Text: n.Text()}, s.signer)
	if err != nil {
		return RefusalNote{}, fmt.Errorf("signing a refusal: %w", err)
	}
	return ParseRefusalNote(signed)
}

// VerifiedRefusal is a refusal that the key given has signed. Only [RefusalNote.Verify]
// makes one. Whether the rules refuse that record, the register says.
type VerifiedRefusal struct{ note RefusalNote }

// Note is what it says. Callers must not change it.
func (v VerifiedRefusal) Note() RefusalNote { return v.note }

// Verify checks the signature. key is the one that the charter in force at the note's size
// names.
func (n RefusalNote) Verify(key proof.Key) (VerifiedRefusal, error) {
	verifier, err := note.NewVerifier(key.String())
	if err != nil {
		return VerifiedRefusal{}, fmt.Errorf("refusals key: %w", err)
	}
	_, err = note.Open(n.Format(), note.VerifierList(verifier))
	if unverified := (*note.UnverifiedNoteError)(nil); errors.As(err, &unverified) {
		return VerifiedRefusal{}, fmt.Errorf("not signed with the ledger's refusals key, %s (%08x)", key.Name(), key.ID())
	} else if err != nil {
		return VerifiedRefusal{}, errors.New("the signature does not verify: the refusal was altered")
	}
	return VerifiedRefusal{n}, nil
}
