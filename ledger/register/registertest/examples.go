package registertest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
)

// Example is one of the files that people start from, in ledger/record/draft/examples.
type Example struct {
	File string
	On   string   // the instant at which it is submitted, which fits its dates, UTC
	Keys []string // that sign it, as RECORDS.md says
}

// Examples are all of them, one or more of each kind, in the order of their story.
func Examples() []Example {
	return []Example{
		{"charter.yaml", "2026-11-23T18:00:00Z", []string{"root/root-1", "root/root-2", "root/root-3"}},
		{"enrolment-authority.yaml", "2026-11-23T18:01:00Z", []string{"authority/officer-1", "authority/officer-2", "authority/officer-3", "authority/nightly", "root/root-2", "root/root-3"}},
		{"enrolment-provider.yaml", "2026-11-24T15:00:00Z", []string{"acme-cloud/compliance", "acme-cloud/ci", "acme-cloud/recovery", "authority/officer-1"}},
		{"designation-person.yaml", "2026-12-01T15:00:00Z", []string{"authority/officer-1", "authority/officer-2"}},
		{"designation-jurisdiction.yaml", "2026-12-01T15:00:00Z", []string{"authority/officer-2", "authority/officer-3"}},
		{"response.yaml", "2026-12-02T09:30:00Z", []string{"acme-cloud/ci"}},
		{"reseller.yaml", "2026-12-02T16:00:00Z", []string{"acme-cloud/compliance"}},
		{"amendment.yaml", "2026-12-09T15:00:00Z", []string{"authority/officer-1", "authority/officer-3"}},
		{"enrolment-auditor.yaml", "2026-12-15T15:00:00Z", []string{"north-audit/auditor-1", "authority/officer-1"}},
		{"cip-certification.yaml", "2027-01-05T15:00:00Z", []string{"acme-cloud/compliance"}},
		{"disclosure-request.yaml", "2027-01-08T15:00:00Z", []string{"authority/officer-3"}},
		{"disclosure-request-sealed.yaml", "2027-01-08T15:00:00Z", []string{"authority/officer-3"}},
		{"disclosure-receipt.yaml", "2027-01-20T15:00:00Z", []string{"acme-cloud/compliance"}},
		{"assessment.yaml", "2027-01-25T15:00:00Z", []string{"north-audit/auditor-1"}},
		{"keys.yaml", "2027-02-01T15:00:00Z", []string{"acme-cloud/compliance", "acme-cloud/compliance-2027"}},
		{"customer-log.yaml", "2027-02-03T15:00:00Z", []string{"acme-cloud/ci"}},
		{"abuse-report.yaml", "2027-02-03T15:00:00Z", []string{"acme-cloud/ci"}},
		{"customer-log-next.yaml", "2027-03-02T15:00:00Z", []string{"acme-cloud/ci"}},
		{"ai-training-report.yaml", "2027-03-15T15:00:00Z", []string{"acme-cloud/ci"}},
		{"licence.yaml", "2027-05-20T15:00:00Z", []string{"authority/officer-2"}},
		{"suspension.yaml", "2027-08-01T15:00:00Z", []string{"authority/officer-1", "authority/officer-2"}},
		{"licence-revocation.yaml", "2027-08-25T15:00:00Z", []string{"authority/officer-2"}},
		{"reinstatement.yaml", "2027-09-14T15:00:00Z", []string{"authority/officer-2", "authority/officer-3"}},
		{"revocation.yaml", "2027-12-02T15:00:00Z", []string{"authority/officer-1", "authority/officer-2"}},
		{"standing.yaml", "2028-01-10T15:00:00Z", []string{"authority/officer-1"}},
	}
}

// exampleRequest stands in the example of a receipt for the record ID of its request.
const exampleRequest = "1f0c5e9a7b6d4c3b2a190807f6e5d4c3b2a1f0e9d8c7b6a5948372615f4e3d2c"

// UnsignedExample moves the world to the example's instant and fills in what its text leaves
// out. The envelope bears no signature yet.
func (w *World) UnsignedExample(x Example, text []byte) (env record.Envelope, err error) {
	if w.Now, err = time.Parse(time.RFC3339, x.On); err != nil {
		return env, err
	}
	if answered := record.RequestThread("2027-003"); !w.heads[answered].IsZero() { // a receipt names a record of this ledger
		text = bytes.Replace(text, []byte("request: "+exampleRequest), []byte("request: "+w.heads[answered].String()), 1)
	}
	short, err := draft.ParseShortForm(text, w.exampleFiles())
	if err != nil {
		return env, fmt.Errorf("%s: %w", x.File, err)
	}
	subject := w.heads[short.SubjectLookup.Thread]
	if short.SubjectLookup.Source == draft.SubjectEnrolmentRecord {
		subject = w.enrolments[short.SubjectLookup.Thread.Party()]
	}
	env.PayloadType = record.PayloadType
	env.Payload, _, err = short.Fill(draft.FillValues{Ledger: w.Ledger, Follows: w.heads[short.Statement.Thread], IssuedAt: w.Now, SubjectRecord: subject})
	if err != nil {
		return env, fmt.Errorf("%s: %w", x.File, err)
	}
	return env, nil
}

// SignAs adds the signatures of the keys of those names to an envelope.
func (w *World) SignAs(env record.Envelope, names ...string) record.Envelope {
	for _, name := range names {
		var err error
		if env, err = w.Signer(name).Sign(context.Background(), env); err != nil {
			panic(fmt.Sprintf("registertest: signing as %s: %v", name, err))
		}
	}
	return env
}

// exampleFiles reads nothing: a key is the one whose name its file bears, a document has
// its name as content.
func (w *World) exampleFiles() draft.ShortFormResolver {
	owners := map[string]string{"root": "root", "officer": "authority", "nightly": "authority", "compliance": "acme-cloud", "recovery": "acme-cloud", "auditor": "north-audit"}
	return draft.ShortFormResolver{
		Document: func(file string) (draft.DocumentFile, error) {
			return draft.DocumentFile{Name: file, MediaType: "application/pdf", Bytes: int64(len(file)), SHA256: sha256.Sum256([]byte(file))}, nil
		},
		Key: func(file string) (record.PEM, error) {
			name := strings.TrimSuffix(file, ".pub")
			stem, _, _ := strings.Cut(name, "-")
			return w.Signer(owners[stem] + "/" + name).Key().PEM(), nil
		},
		KMS: func(string) (record.PEM, error) { return w.Signer("acme-cloud/ci").Key().PEM(), nil },
	}
}
