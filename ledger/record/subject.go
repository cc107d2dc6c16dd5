package record

// A subject rule says what a kind's subject is where no document is given
// (RECORDS.md "Kinds").
type subject int

const (
	aboutDocument    subject = iota // a document it must be
	aboutFirstKey                   // the first key listed, as DER; else the enrolment
	aboutEnrolment                  // the party's enrolment
	aboutDesignation                // the designation's newest record
)
