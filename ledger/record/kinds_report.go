package record

import (
	"encoding/hex"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// KindCustomerLog publishes a checkpoint of a provider's private customer log.
const KindCustomerLog Kind = "customer-log"

var customerLogSpec = newKindSpec[CustomerLog](Spec{
	Summary: "A provider publishes a checkpoint of its private customer log: from then on it can neither drop nor add what was in it.",
	Signers: "an officer or automation key of the provider",
	Thread:  "customer-log/P",
	Subject: SubjectCheckpoint,
})

// CustomerLog commits to a private log up to a size, and shows that it extends what the
// record before it committed to. Its subject is the checkpoint's root hash.
type CustomerLog struct {
	Origin      string      `json:"origin" rule:"required fmt=origin max=200" doc:"the private log's name, the first line of its checkpoints; another only with restart" eg:"acme-cloud.example/customers"`
	Size        int64       `json:"size" rule:"required lo=0" doc:"its leaves, as the checkpoint says" eg:"1000"`
	Checkpoint  string      `json:"checkpoint" rule:"required fmt=lines max=16000" doc:"its signed note (C2SP tlog-checkpoint), which has one final newline" eg:"the lines of its file, two spaces before each:\n  acme-cloud.example/customers\n  1000\n  /vFEGNR0kAOL30lXTLo4zhXAi2qAA0R+79xU5qw5l6w=\n\n  — acme-cloud.example/customers OnSYPwe5LSvVowKTw8NvdF3VQHH886CHVjn54OXfbcrfjL3gwvF7lDHPQplwFY0sAWRZx1glf5N6MAFon62RRFVe1wk="`
	PeriodUntil Date        `json:"periodUntil" rule:"required" doc:"last day of which it holds the events (inclusive): the day of admission or earlier" eg:"2027-01-31"`
	VKey        string      `json:"vkey,omitempty" rule:"usual fmt=vkey max=4000" doc:"the private log's verifier key; required in the first record, later only to rotate it" eg:"acme-cloud.example/customers+3a74983f+Acpf/KS9lZxR2lHCa4kU/17zhOs1oaQ+7qf9hgjWWQzo"`
	Consistency []string    `json:"consistency,omitempty" rule:"fmt=root items=63 repeats" doc:"the proof from the previous record's size (RFC 6962); none in the first, nor while the size is the same" eg:"[7IsdHidALjKYQt+UnQURzM15chm9a0QgIwK+v+Olk/8=]"`
	Restart     *LogRestart `json:"restart,omitempty" doc:"the private log was lost, and another begins, with an origin and a vkey of its own; shown for ever"`
}

// LogRestart says that a private log was lost.
type LogRestart struct {
	Reason string `json:"reason" rule:"required fmt=lines max=4000" doc:"what happened, for people" eg:"Both copies of the store were lost in a fire."`
}

// Kind is KindCustomerLog.
func (*CustomerLog) Kind() Kind { return KindCustomerLog }

// ParsedCheckpoint is the checkpoint, of which nothing is verified.
func (c *CustomerLog) ParsedCheckpoint() (proof.Checkpoint, error) {
	cp, _, err := proof.ParseCheckpoint([]byte(c.Checkpoint))
	return cp, err
}

func (c *CustomerLog) check(s *Statement, f *faultList) {
	first := s.Follows.IsZero()
	f.addIf(c.VKey == "" && (first || c.Restart != nil), "is missing: the first record of a log names its key", "/predicate/vkey")
	f.addIf(c.Consistency != nil && (first || c.Restart != nil), "has nothing that it proves: leave it out where a log begins", "/predicate/consistency")
	f.addIf(c.Restart != nil && first, "follows nothing: the first record of a log restarts none", "/predicate/restart")
	if c.VKey != "" {
		switch key, err := proof.ParseLogKey(c.VKey); {
		case err != nil:
			f.add("/predicate/vkey", "%v", err)
		case key.Name() != c.Origin:
			f.add("/predicate/vkey", "is named %s; a log's key has the log's origin for its name, %s", key.Name(), c.Origin)
		}
	}
	cp, err := c.ParsedCheckpoint()
	if err != nil {
		f.add("/predicate/checkpoint", "%v", err)
		return
	}
	if cp.Origin != c.Origin {
		f.add("/predicate/origin", "is %s; the checkpoint is of %s", c.Origin, cp.Origin)
	}
	if cp.Size != uint64(c.Size) {
		f.add("/predicate/size", "is %d; the checkpoint's is %d", c.Size, cp.Size)
	}
	f.addIf(cp.Size == 0 && cp.Root != proof.EmptyRoot(), "is of no leaves, and its root is not that of the empty tree", "/predicate/checkpoint")
	if s.Subject.SHA256 != cp.Root {
		f.add("/subject/0/digest/sha256", "is %s; the checkpoint's root is %s", hex.EncodeToString(s.Subject.SHA256[:]), hex.EncodeToString(cp.Root[:]))
	}
}

// KindAITrainingReport reports the training of a large model by a customer.
const KindAITrainingReport Kind = "ai-training-report"

var aiTrainingReportSpec = newKindSpec[AITrainingReport](Spec{
	Summary:        "A provider reports that a customer trains, or is about to train, a large model; the report itself stays private.",
	Signers:        "an officer or automation key of the provider",
	Thread:         "ai/N/P",
	Subject:        SubjectDocument,
	PrivateSubject: true,
})

// AITrainingReport reports one training run. A later one on the thread corrects it.
type AITrainingReport struct {
	KnownOn       Date        `json:"knownOn" rule:"required" doc:"the day on which the provider came to know of it: the day of admission or earlier; the report is due an aiReport period later" eg:"2027-03-10"`
	Threshold     string      `json:"threshold" rule:"required max=200" doc:"which threshold the run meets, in words" eg:"more than 10^26 operations"`
	ForeignPerson *Commitment `json:"foreignPerson,omitempty" doc:"who trains, committed: {secret: \"Example Research Ltd\"}" eg:"{secret: \"Example Research Ltd (fictional)\"}"`
}

// Kind is KindAITrainingReport.
func (*AITrainingReport) Kind() Kind { return KindAITrainingReport }

// KindAbuseReport commits to a provider's reports of abuse for a period.
const KindAbuseReport Kind = "abuse-report"

var abuseReportSpec = newKindSpec[AbuseReport](Spec{
	Summary: "A provider commits to its batch of abuse reports for a period, also to an empty one.",
	Signers: "an officer or automation key of the provider",
	Thread:  "abuse/P",
	Subject: SubjectDocument,
})

// AbuseReport commits to a batch. Its subject is the root of the batch, of an empty one
// the SHA-256 of nothing.
type AbuseReport struct {
	PeriodFrom  Date   `json:"periodFrom" rule:"required" doc:"first day reported on" eg:"2027-01-01"`
	PeriodUntil Date   `json:"periodUntil" rule:"required" doc:"last day reported on (inclusive): the day of admission or earlier" eg:"2027-01-31"`
	Band        string `json:"band" rule:"required max=40" doc:"about how many reports are in it: a band, no count" eg:"10-99"`
}

// Kind is KindAbuseReport.
func (*AbuseReport) Kind() Kind { return KindAbuseReport }

func (a *AbuseReport) check(_ *Statement, f *faultList) {
	checkOrder(&a.PeriodFrom, &a.PeriodUntil, "/predicate/periodUntil", "periodFrom", f)
}
