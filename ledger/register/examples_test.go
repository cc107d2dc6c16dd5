package register_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
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

// TestExamplesAreTheseEntries: what people write makes these bytes, and no others: the
// payload that is signed, the envelope, and the entry that is the log's leaf. A change of
// them is a change of the format.
func TestExamplesAreTheseEntries(t *testing.T) {
	const golden = "testdata/examples.golden"
	cryptotest.SetGlobalRandom(t, 1) // salts
	b := emptyFixture(t)
	var now bytes.Buffer
	for _, x := range registertest.Examples() {
		raw, err := os.ReadFile(filepath.Join("../record/draft/examples", x.File))
		if err != nil {
			t.Fatal(err)
		}
		env, err := b.UnsignedExample(x, raw)
		if err != nil {
			t.Fatal(err)
		}
		env = b.SignAs(env, x.Keys...)
		e, err := b.Submit(env)
		if err != nil {
			t.Fatalf("%s: %v", x.File, err)
		}
		fmt.Fprintf(&now, "%s\npayload  %s\nenvelope %s\nentry    %s\n\n", x.File, env.Payload, env.Marshal(), e.Marshal())
	}
	if refusaltest.Update() {
		if err := os.WriteFile(golden, now.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	was := strings.Split(string(want), "\n\n")
	for i, is := range strings.Split(now.String(), "\n\n") {
		if i >= len(was) || was[i] != is {
			t.Errorf("%s has other bytes of an example, which are now (go test -update takes them)\n%s", golden, is)
		}
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
