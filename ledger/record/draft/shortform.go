// Package draft helps people and programs to write records: it reads short forms, prints
// templates to fill in, fills in what only a ledger knows, and signs with a key file or a
// KMS. What it makes is judged as anybody's: package record is the law, and nothing that
// judges imports this package. It does no I/O but [LoadKMSSigner].
//
//	kind: response
//	thread: response/2026-014/acme-cloud
//	about: latest
//	issuer: acme-cloud
//	status: no-relationship
//
// [ParseShortForm] reads this, [ShortForm.Fill] makes the payload of it, and [Signer.Sign] the
// envelope that a ledger admits. One or more of each kind are in the folder examples.
package draft

import (
	"bytes"
	"fmt"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// maxShortFormBytes is the most bytes of a short form that is read.
const maxShortFormBytes = 1 << 20

// ShortFormResolver reads the files and keys that a short form names, because this
// package does no I/O. A nil function refuses the reference.
type ShortFormResolver struct {
	Document func(file string) (DocumentFile, error)     // document: {file: …}
	Key      func(file string) (record.PEM, error)       // key: {file: …}
	KMS      func(uri string) (record.PEM, error)        // key: {kms: …}
	Salts    func(file string) ([]record.Opening, error) // open: {file: …}
	Policy   func(file string) (string, error)           // policy: {file: …}
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
	Statement *record.Statement
	// SubjectLookup is the record to look up for [FillValues.SubjectRecord], if any.
	SubjectLookup SubjectLookup
	// RequestThread is that of the request whose newest record a receipt answers with
	// `request: latest`, for [FillValues.Request]; else "".
	RequestThread record.Thread
	// CommittedFiles are the files to whose digests it commits, as they were named, by the
	// pointers of their commitments, like /screening.
	CommittedFiles map[string]string

	payload   []byte           // of a whole statement, which nothing can be added to
	predicate schema.Object    // as written, placeholders for commitments
	secrets   []record.Opening // still without salt; all but the subject's in predicate
	subject   record.Subject
	lines     map[string]int
}

// ParseShortForm reads a short form, YAML or JSON, against the schema of its kind: in
// a string field a scalar stays as written (0123456, 2026-11-23, no). A whole
// statement as JSON is taken too, and then stays as it is. Errors are a
// *[form.Error] with every fault and its line, or a *[record.Refusal].
func ParseShortForm(raw []byte, resolver ShortFormResolver) (*ShortForm, error) {
	if len(raw) > maxShortFormBytes {
		return nil, &record.Refusal{Class: record.TooLarge, Detail: fmt.Sprintf("reading record: %d bytes; at most %d are read", len(raw), maxShortFormBytes), Limit: maxShortFormBytes, Size: len(raw)}
	}
	if whole, err := parseFullStatement(raw); whole != nil || err != nil {
		return whole, err
	}
	w := newShortFormDecoder(resolver)
	sp, err := w.read(raw)
	if err != nil {
		return nil, err
	}
	sh := &ShortForm{predicate: w.predicate, secrets: w.secrets, CommittedFiles: w.files, subject: w.subject, lines: w.Lines}
	faults := append(w.Faults, sh.decodeDraft(sp, w)...)
	if len(faults) > 0 {
		return nil, w.Error(faults)
	}
	return sh, nil
}

// parseFullStatement reads raw if it is an in-toto statement, nil if it is not.
func parseFullStatement(raw []byte) (*ShortForm, error) {
	if trimmed := bytes.TrimSpace(raw); len(trimmed) == 0 || trimmed[0] != '{' || !bytes.Contains(raw, []byte(`"predicateType"`)) {
		return nil, nil
	}
	s, err := record.ParseStatement(raw)
	if err != nil {
		return nil, err
	}
	return &ShortForm{Statement: s, payload: bytes.Clone(raw)}, nil
}

// decodeDraft finds the faults that no ledger could heal, and settles the subject.
func (sh *ShortForm) decodeDraft(sp *record.Spec, w *shortFormDecoder) []record.Fault {
	s, faults := record.DecodeDraft(sp, w.predicate)
	sh.Statement = s
	if faults = w.WithoutNested(faults); len(faults) > 0 || len(w.Faults) > 0 {
		return faults
	}
	if w.requestLatest {
		sh.RequestThread = s.Thread.About()
	}
	switch {
	case w.aboutLatest:
		sh.SubjectLookup = SubjectLookup{SubjectNewestRecord, s.Thread.About()}
	case w.subject == record.Subject{} && !w.private:
		sh.subject, sh.SubjectLookup = subjectWithoutDocument(sp, s)
		if sh.subject == (record.Subject{}) && sh.SubjectLookup.Source == SubjectGiven {
			return []record.Fault{{Pointer: "/predicate/document", Detail: "is missing: name the file, document: {file: …}, or say about: RECORD-ID"}}
		}
	}
	s.Subject = sh.subject
	if faults := w.sealedInTheOpen(sp, s); len(faults) > 0 {
		return faults
	}
	return draftFaults(s)
}

// sealedInTheOpen is the fault of a sealed record whose document is public.
func (w *shortFormDecoder) sealedInTheOpen(sp *record.Spec, s *record.Statement) []record.Fault {
	if !sp.SealableSubject || !s.IsSealed() || w.private || !w.Has("/predicate/document") {
		return nil
	}
	return []record.Fault{{Pointer: "/predicate/document", Detail: "is of a sealed record: add private: true, and a commitment to its digest is published"}}
}

// draftFaults are those of the rules across fields that hold whether the record
// turns out to be the first on its thread or not.
func draftFaults(s *record.Statement) []record.Fault {
	first := s.CrossFieldFaults()
	if !s.Follows.IsZero() {
		return first
	}
	follower := *s
	follower.Follows = record.ID{1}
	follower.Ledger = record.ID{1}
	var both []record.Fault
	for _, fault := range follower.CrossFieldFaults() {
		for _, f := range first {
			if f == fault {
				both = append(both, f)
			}
		}
	}
	return both
}
