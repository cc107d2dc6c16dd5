package register_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// TestExamples: the examples that people start from are one story, each filled as
// they stand, signed, admitted with exactly those signatures, and replayed.
func TestExamples(t *testing.T) {
	const folder = "../record/draft/examples"
	b := emptyFixture(t)
	files, kinds := []string{}, map[record.Kind]bool{}
	for _, x := range registertest.Examples() {
		raw, err := os.ReadFile(filepath.Join(folder, x.File))
		if err != nil {
			t.Fatal(err)
		}
		env, err := b.UnsignedExample(x, raw)
		if err != nil {
			t.Fatal(err)
		}
		st, err := record.ParseStatement(env.Payload)
		if err != nil {
			t.Fatalf("%s: %v", x.File, err)
		}
		files, kinds[st.Kind] = append(files, x.File), true
		e, err := b.Submit(b.SignAs(env, x.Keys...))
		if err != nil {
			t.Fatalf("%s: %v", x.File, err)
		}
		wantSigners(t, b, e, x.Keys...)
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
