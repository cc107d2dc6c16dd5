package screening_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/screening"
)

// A list that is another the second time it is read is found out; one that comes on a pipe
// is read twice all the same, and leaves nothing behind.
func TestSource(t *testing.T) {
	file := filepath.Join(t.TempDir(), "list.csv")
	for _, test := range []struct {
		name, then string
		changed    bool
	}{
		{"the same", "name\nKestrel\n", false},
		{"altered", "name\nMerlin!\n", true},
		{"longer", "name\nKestrel\nMerlin\n", true},
		{"shorter", "name\n", true},
	} {
		if err := os.WriteFile(file, []byte("name\nKestrel\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := screening.NewSource(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(test.then), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, s); err != nil {
			t.Fatal(err)
		}
		if s.Changed() != test.changed {
			t.Errorf("%s: changed %v", test.name, s.Changed())
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}

	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() { w.WriteString("name\nKestrel\n"); w.Close() }()
	s, err := screening.NewSource(r)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(s)
	if err != nil || string(text) != "name\nKestrel\n" || s.Bytes() != int64(len(text)) || s.Changed() {
		t.Errorf("%q, %v", text, err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("the copy can be found while it is read: %v, %v", left, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
