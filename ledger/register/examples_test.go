package register_test

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// examples are those of ledger/record/draft/examples, one or more of each kind; each is
// submitted on a day that fits its dates, signed by whom RECORDS.md says.
var examples = []struct {
	file string
	on   string // instant, UTC
	keys []string
}{
	{"charter.yaml", "2026-11-23T18:00:00Z", []string{"root/root-1", "root/root-2", "root/root-3"}},
	{"enrolment-authority.yaml", "2026-11-23T18:01:00Z", []string{"authority/officer-1", "authority/officer-2", "authority/officer-3", "authority/nightly", "root/root-2", "root/root-3"}},
	{"enrolment-provider.yaml", "2026-11-24T15:00:00Z", []string{"acme-cloud/compliance", "acme-cloud/ci", "acme-cloud/recovery", "authority/officer-1"}},
	{"designation-person.yaml", "2026-12-01T15:00:00Z", []string{"authority/officer-1", "authority/officer-2"}},
	{"designation-jurisdiction.yaml", "2026-12-01T15:00:00Z", []string{"authority/officer-2", "authority/officer-3"}},
	{"response.yaml", "2026-12-02T09:30:00Z", []string{"acme-cloud/ci"}},
	{"amendment.yaml", "2026-12-09T15:00:00Z", []string{"authority/officer-1", "authority/officer-3"}},
	{"cip-certification.yaml", "2027-01-05T15:00:00Z", []string{"acme-cloud/compliance"}},
	{"keys.yaml", "2027-02-01T15:00:00Z", []string{"acme-cloud/compliance", "acme-cloud/compliance-2027"}},
	{"suspension.yaml", "2027-08-01T15:00:00Z", []string{"authority/officer-1", "authority/officer-2"}},
	{"reinstatement.yaml", "2027-09-14T15:00:00Z", []string{"authority/officer-2", "authority/officer-3"}},
	{"revocation.yaml", "2027-12-02T15:00:00Z", []string{"authority/officer-1", "authority/officer-2"}},
	{"standing.yaml", "2028-01-10T15:00:00Z", []string{"authority/officer-1"}},
}

// TestExamples: the examples that people start from are one story, each filled as
// they stand, signed, admitted with exactly those signatures, and replayed.
func TestExamples(t *testing.T) {
	const folder = "../record/draft/examples"
	b := emptyFixture(t)
	files, kinds := []string{}, map[record.Kind]bool{}
	first := map[string]record.ID{} // record of each thread
	for _, x := range examples {
		raw, err := os.ReadFile(filepath.Join(folder, x.file))
		if err != nil {
			t.Fatal(err)
		}
		if b.Now, err = time.Parse(time.RFC3339, x.on); err != nil {
			t.Fatal(err)
		}
		short, err := draft.ParseShortForm(raw, filesOf(b))
		if err != nil {
			t.Fatalf("%s: %v", x.file, err)
		}
		files, kinds[short.Statement.Kind] = append(files, x.file), true
		about := b.Head(short.SubjectLookup.Thread)
		if short.SubjectLookup.Source == draft.SubjectEnrolmentRecord {
			about = first[short.SubjectLookup.Thread]
		}
		payload, _, err := short.Fill(draft.FillValues{Ledger: b.Ledger, Follows: b.Head(short.Statement.Thread), IssuedAt: b.Now, SubjectRecord: about})
		if err != nil {
			t.Fatalf("%s: %v", x.file, err)
		}
		env := record.Envelope{PayloadType: record.PayloadType, Payload: payload}
		for _, key := range x.keys {
			if env, err = b.Signer(key).Sign(t.Context(), env); err != nil {
				t.Fatal(err)
			}
		}
		e, err := b.Submit(env)
		if err != nil {
			t.Fatalf("%s: %v", x.file, err)
		}
		wantSigners(t, b, e, x.keys...)
		if id, thread := record.IDOf(payload), short.Statement.Thread; first[thread].IsZero() {
			first[thread] = id
		}
	}
	for _, k := range record.Kinds() {
		if !kinds[k] {
			t.Errorf("kind %s has no example", k)
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(files, e.Name()) {
			t.Errorf("example %s is not told here", e.Name())
		}
	}
	replayed, err := register.Open(vfs.NewMem(), "replayed", registertest.SmallOptions())
	if err != nil {
		t.Fatal(err)
	}
	if err := replayFrom(t, replayed, b.Entries, b.Root); err != nil {
		t.Fatal(err)
	}
	if dump(t, replayed) != dump(t, b.Register) {
		t.Error("replayed, the register differs")
	}
}

// filesOf reads nothing: a key is the one whose name its file bears, a document has
// its name as content.
func filesOf(b *registertest.Fixture) draft.ShortFormResolver {
	owners := map[string]string{"root": "root", "officer": "authority", "nightly": "authority", "compliance": "acme-cloud", "recovery": "acme-cloud"}
	return draft.ShortFormResolver{
		Document: func(file string) (draft.DocumentFile, error) {
			return draft.DocumentFile{Name: file, MediaType: "application/pdf", Bytes: int64(len(file)), SHA256: sha256.Sum256([]byte(file))}, nil
		},
		Key: func(file string) (record.PEM, error) {
			name := strings.TrimSuffix(file, ".pub")
			stem, _, _ := strings.Cut(name, "-")
			return b.Signer(owners[stem] + "/" + name).Key().PEM(), nil
		},
		KMS: func(string) (record.PEM, error) { return b.Signer("acme-cloud/ci").Key().PEM(), nil },
	}
}

// replayFrom brings a register to the end of a log, as whoever follows it does.
func replayFrom(t *testing.T, r *register.Register, entries []record.Entry, root [32]byte) error {
	t.Helper()
	lines := make([][]byte, len(entries))
	for i, e := range entries {
		lines[i] = e.Marshal()
	}
	p := r.NewReplayer(2)
	b, err := p.Verify(t.Context(), lines)
	if err != nil {
		return err
	}
	return p.Fold(b, root)
}
