package record

import "crypto/sha256"

// A subject rule says what a kind's subject is where no document is given
// (RECORDS.md "Kinds").
type subjectRule int

const (
	subjectDocument    subjectRule = iota // a document it must be
	subjectFirstKey                       // the first key listed, as DER; else the enrolment
	subjectEnrolment                      // the party's enrolment
	subjectDesignation                    // the designation's newest record
)

// SubjectSource is what [ShortForm.Fill] must be told to know the subject.
type SubjectSource int

const (
	SubjectGiven           SubjectSource = iota
	SubjectNewestRecord                  // the ID of the newest record on the thread
	SubjectEnrolmentRecord               // the ID of the record that enrolled the party, first on the thread
)

// SubjectLookup is a record that a short form is about, and that only a ledger knows.
type SubjectLookup struct {
	Source SubjectSource
	Thread string
}

// subjectWithoutDocument is the subject of a record without a document, or what must be asked.
func (sp *kindSpec) subjectWithoutDocument(s *Statement) (Subject, SubjectLookup) {
	var keys []PartyKey
	switch p := s.Predicate.(type) {
	case *Enrolment:
		keys = p.Keys
	case *Keys:
		keys = p.Add
	}
	switch {
	case sp.subject == subjectFirstKey && len(keys) > 0:
		if key, err := keys[0].Key.Key(); err == nil { // else a fault of its own
			return Subject{Name: s.Thread, SHA256: sha256.Sum256(key.DER())}, SubjectLookup{}
		}
	case sp.subject == subjectFirstKey, sp.subject == subjectEnrolment:
		return Subject{}, SubjectLookup{SubjectEnrolmentRecord, "party/" + sp.owner(s.Thread)}
	case sp.subject == subjectDesignation:
		return Subject{}, SubjectLookup{SubjectNewestRecord, sp.latestThread(s.Thread)}
	}
	return Subject{}, SubjectLookup{}
}

// latestThread is the thread that `about: latest` means: of a record about a
// designation that designation's, else its own.
func (sp *kindSpec) latestThread(thread string) string {
	if designation := sp.segment(thread, "D"); sp.subject == subjectDesignation && designation != "" {
		return "designation/" + designation
	}
	return thread
}
