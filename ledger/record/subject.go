package record

import "crypto/sha256"

// A subject rule says what a kind's subject is where no document is given
// (RECORDS.md "Kinds").
type subject int

const (
	aboutDocument    subject = iota // a document it must be
	aboutFirstKey                   // the first key listed, as DER; else the enrolment
	aboutEnrolment                  // the party's enrolment
	aboutDesignation                // the designation's newest record
)

// Need is what [Short.Fill] must be told to know the subject.
type Need int

const (
	NeedNothing   Need = iota
	NeedNewest         // the ID of the newest record on the thread
	NeedEnrolment      // the ID of the record that enrolled the party, first on the thread
)

// About is a record that a short form is about, and that only a ledger knows.
type About struct {
	Need   Need
	Thread string
}

// subjectOf is the subject of a record without a document, or what must be asked.
func (sp *spec) subjectOf(s *Statement) (Subject, About) {
	var keys []PartyKey
	switch p := s.Predicate.(type) {
	case *Enrolment:
		keys = p.Keys
	case *Keys:
		keys = p.Add
	}
	switch {
	case sp.about == aboutFirstKey && len(keys) > 0:
		if key, err := keys[0].Key.Key(); err == nil { // else a fault of its own
			return Subject{Name: s.Thread, SHA256: sha256.Sum256(key.DER())}, About{}
		}
	case sp.about == aboutFirstKey, sp.about == aboutEnrolment:
		return Subject{}, About{NeedEnrolment, "party/" + sp.owner(s.Thread)}
	case sp.about == aboutDesignation:
		return Subject{}, About{NeedNewest, sp.latestOf(s.Thread)}
	}
	return Subject{}, About{}
}

// latestOf is the thread that `about: latest` means: of a record about a
// designation that designation's, else its own.
func (sp *spec) latestOf(thread string) string {
	if designation := sp.segment(thread, "D"); sp.about == aboutDesignation && designation != "" {
		return "designation/" + designation
	}
	return thread
}
