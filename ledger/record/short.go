package record

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// MaxShortFormBytes is the most bytes of a short form that is read.
const MaxShortFormBytes = 1 << 20

// ShortFormResolver reads what a short form names, since this package does no I/O. A nil
// function refuses.
type ShortFormResolver struct {
	Document func(file string) (DocumentFile, error) // document: {file: …}
	Key      func(file string) (PEM, error)          // key: {file: …}
	KMS      func(uri string) (PEM, error)           // key: {kms: …}
}

// DocumentFile is what a record tells of a document.
type DocumentFile struct {
	Name      string // without folders
	MediaType string // type/subtype; parameters are dropped
	Bytes     int64
	SHA256    [32]byte
}

// ShortForm is a record as people write it (RECORDS.md "Every record"), read and
// judged as far as it can be before a ledger is known; [ShortForm.Fill] makes the
// payload.
type ShortForm struct {
	// Statement is what was written. Commitments are still zeros, and ledger,
	// follows, issuedAt, the subject may be missing.
	Statement *Statement
	// SubjectLookup is the record to look up for [FillValues.SubjectRecord], if any.
	SubjectLookup SubjectLookup

	payload   []byte    // of a whole statement, which nothing can be added to
	predicate Object    // as written, placeholders for commitments
	secrets   []Opening // still without salt; all but the subject's in predicate
	subject   Subject
	lines     map[string]int
}

// ParseShortForm reads a short form, YAML or JSON, against the schema of its kind: in
// a string field a scalar stays as written (0123456, 2026-11-23, no). A whole
// statement as JSON is taken too, and then stays as it is. Errors are a
// *[ShortFormError] with every fault and its line, or a *[Refusal].
func ParseShortForm(raw []byte, resolver ShortFormResolver) (*ShortForm, error) {
	if len(raw) > MaxShortFormBytes {
		return nil, &Refusal{Class: TooLarge, Detail: fmt.Sprintf("reading record: %d bytes; at most %d are read", len(raw), MaxShortFormBytes), Limit: MaxShortFormBytes, Size: len(raw)}
	}
	if whole, err := parseFullStatement(raw); whole != nil || err != nil {
		return whole, err
	}
	w := &shortFormDecoder{resolver: resolver, lines: map[string]int{}}
	sp, err := w.read(raw)
	if err != nil {
		return nil, err
	}
	sh := &ShortForm{predicate: w.predicate, secrets: w.secrets, subject: w.subject, lines: w.lines}
	sh.Statement = &Statement{Kind: sp.kind, Predicate: sp.newPredicate(), object: w.predicate}
	faults := append(w.faults, sh.decodeDraft(sp, w)...)
	if len(faults) > 0 {
		return nil, w.shortFormError(faults)
	}
	return sh, nil
}

// parseFullStatement reads raw if it is an in-toto statement, nil if it is not.
func parseFullStatement(raw []byte) (*ShortForm, error) {
	if trimmed := bytes.TrimSpace(raw); len(trimmed) == 0 || trimmed[0] != '{' || !bytes.Contains(raw, []byte(`"predicateType"`)) {
		return nil, nil
	}
	s, err := ParseStatement(raw)
	if err != nil {
		return nil, err
	}
	return &ShortForm{Statement: s, payload: bytes.Clone(raw)}, nil
}

// decodeDraft finds the faults that no ledger could heal, and settles the subject.
func (sh *ShortForm) decodeDraft(sp *kindSpec, w *shortFormDecoder) []Fault {
	s := sh.Statement
	d := &decoder{path: []pathStep{{name: "predicate"}}, draft: true}
	d.predicate(w.predicate, sp, s)
	if faults := w.dropNested(d.faults); len(faults) > 0 || len(w.faults) > 0 {
		return faults
	}
	switch {
	case w.aboutLatest:
		sh.SubjectLookup = SubjectLookup{SubjectNewestRecord, sp.latestThread(s.Thread)}
	case w.subject == Subject{} && !w.private:
		sh.subject, sh.SubjectLookup = sp.subjectWithoutDocument(s)
		if sh.subject == (Subject{}) && sh.SubjectLookup.Source == SubjectGiven {
			return []Fault{{"/predicate/document", "is missing: name the file, document: {file: …}, or say about: RECORD-ID"}}
		}
	}
	s.Subject = sh.subject
	return sh.draftFaults(sp)
}

// draftFaults are those of the rules across fields that hold whether the record
// turns out to be the first on its thread or not.
func (sh *ShortForm) draftFaults(sp *kindSpec) []Fault {
	s := sh.Statement
	first := s.crossFieldFaults(sp)
	if !s.Follows.IsZero() {
		return first
	}
	follower := *s
	follower.Follows = ID{1}
	follower.Ledger = ID{1}
	var both []Fault
	for _, fault := range follower.crossFieldFaults(sp) {
		for _, f := range first {
			if f == fault {
				both = append(both, f)
			}
		}
	}
	return both
}

// FillValues is what only the ledger and the clock know.
type FillValues struct {
	Ledger        ID        // the charter's record ID; zero for the charter at index 0
	Follows       ID        // newest record on the thread; zero for none
	IssuedAt      time.Time // kept to whole milliseconds
	SubjectRecord ID        // what [ShortForm.SubjectLookup] asked for
}

// Fill completes the record and encodes it: what was written stands, what is
// absent is taken from f. Salts are drawn here, one for each secret: without them
// nobody can ever open the commitments. Called twice, it draws anew. The payload
// is one that [ParseStatement] accepts.
func (sh *ShortForm) Fill(f FillValues) (payload []byte, salts []Opening, err error) {
	if sh.payload != nil {
		return bytes.Clone(sh.payload), nil, nil
	}
	filled := *sh.Statement
	if err := filled.setDefaults(f); err != nil {
		return nil, nil, err
	}
	filled.Subject = sh.subject
	if sh.SubjectLookup.Source != SubjectGiven {
		if f.SubjectRecord.IsZero() {
			return nil, nil, Refuse(Invalid, "filling record: its subject is a record on %s, and none is known", sh.SubjectLookup.Thread)
		}
		filled.Subject = Subject{Name: sh.SubjectLookup.Thread, SHA256: f.SubjectRecord}
	}
	commits := make(map[string]string, len(sh.secrets))
	for _, secret := range sh.secrets {
		salt := NewOpening(secret.Pointer, secret.Value)
		commit := salt.Commit(filled.Ledger, filled.Thread).Commit
		commits[salt.Pointer] = commit
		salts = append(salts, salt)
		if salt.Pointer == "/subject" {
			hex.Decode(filled.Subject.SHA256[:], []byte(commit))
		}
	}
	sp := specByKind(filled.Kind)
	filled.Predicate = sp.newPredicate()
	var d decoder
	var common Common // the filled one stands
	d.draft = true
	d.object(fillCommitments(sh.predicate, "", commits).(Object), sp.shape, reflect.ValueOf(filled.Predicate).Elem(), reflect.ValueOf(&common).Elem())
	payload, err = EncodeStatement(&filled)
	return payload, salts, err
}

func (s *Statement) setDefaults(f FillValues) error {
	if !s.Ledger.IsZero() && !f.Ledger.IsZero() && s.Ledger != f.Ledger {
		return invalidStatement([]Fault{{"/predicate/ledger", fmt.Sprintf("is written for ledger %s, this is %s", s.Ledger, f.Ledger)}})
	}
	if s.Ledger.IsZero() {
		s.Ledger = f.Ledger
	}
	if s.Follows.IsZero() {
		s.Follows = f.Follows
	}
	if s.IssuedAt.IsZero() {
		s.IssuedAt = f.IssuedAt.UTC().Truncate(time.Millisecond)
	}
	return nil
}

// fillCommitments is v with the placeholder at each pointer replaced.
func fillCommitments(v any, pointer string, commits map[string]string) any {
	switch v := v.(type) {
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = fillCommitments(item, fmt.Sprintf("%s/%d", pointer, i), commits)
		}
		return list
	case Object:
		c, here := commits[pointer]
		o := make(Object, len(v))
		for i, m := range v {
			if here {
				m.Value = c // its one member, commit or sha256
			}
			o[i] = Member{m.Name, fillCommitments(m.Value, pointer+"/"+escapePointer(m.Name), commits)}
		}
		return o
	}
	return v
}

// ShortFormError lists what is wrong with a short form.
type ShortFormError struct {
	Faults []LineFault
}

// LineFault is a fault and the line on which it stands; 0 where none is known.
type LineFault struct {
	Line int
	Fault
}

func (f LineFault) String() string {
	where := strings.ReplaceAll(strings.TrimPrefix(f.Pointer, "/predicate/"), "/", ".")
	if f.Line == 0 {
		return where + " " + f.Detail
	}
	return fmt.Sprintf("line %d: %s %s", f.Line, where, f.Detail)
}

func (e *ShortFormError) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}
