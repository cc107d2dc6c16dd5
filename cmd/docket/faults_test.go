package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
)

// TestFaultsOfFiles: whatever is wrong with a file that a verb is given, its exit status
// says whose fault that is. A name with nothing behind it, a directory and a file of
// another kind are misuse (2); what the machine cannot read, and what is damaged, is not
// (1), and says so in a sentence.
func TestFaultsOfFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	private, _, err := draft.GenerateKey(record.AlgEd25519, nil)
	if err != nil {
		t.Fatal(err)
	}
	key := write("own.key", private)
	_, vkey, err := proof.GenerateKey(proof.Ed25519, "log.example")
	if err != nil {
		t.Fatal(err)
	}
	policy := []byte("log " + vkey + "\nquorum none\n")
	whole := map[string][]byte{
		"a receipt":   []byte("c2sp.org/tlog-proof@v1\nindex 0\n\nlog.example\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"),
		"a key":       private,
		"a policy":    policy,
		"a record":    []byte("kind: charter\nthread: charter\n"),
		"evidence":    []byte("docket/split-view@v1\n\nlog.example\n7\n"),
		"an envelope": []byte(`{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[]}`),
	}
	named := write("policy.txt", policy)
	verbs := []struct {
		line, takes string // @ is the file at fault
	}{
		{"verify --policy " + named + " @", "a receipt"},
		{"verify --policy @ " + named, "a policy"},
		{"policy check @", "a policy"},
		{"sign --yes --key " + key + " @", "a record"},
		{"import ofac --trust none --submit --key @ sdn.csv add.csv alt.csv", "a key"},
		{"submit --policy @ --ledger http://127.0.0.1:1 some.dsse.json", "a policy"},
		{"submit --policy " + named + " --ledger http://127.0.0.1:1 @", "an envelope"},
		{"submit --policy " + named + " --ledger http://127.0.0.1:1 --key @ " + key, "a key"},
		{"merge @ @", "an envelope"},
		{"receipt --policy " + named + " --ledger http://127.0.0.1:1 @", "an envelope"},
		{"trust http://127.0.0.1:1 --to " + filepath.Join(dir, "t") + " --charter @", "an envelope"},
		{"audit http://127.0.0.1:1 --charter @", "an envelope"},
		{"witness evidence verify --policy " + named + " @", "evidence"},
		{"witness gossip --to http://127.0.0.1:1 @", "a receipt"},
	}
	faults := []struct {
		name   string
		status int
		file   func(whole []byte) string
	}{
		{"missing", exitMisused, func([]byte) string { return filepath.Join(dir, "nothing") }},
		{"a directory", exitMisused, func([]byte) string { return dir }},
		{"another kind", exitMisused, func([]byte) string { return write("other", []byte("<html>\n<p>Not this.\n")) }},
		{"empty", exitRefused, func([]byte) string { return write("empty", nil) }},
		{"cut off", exitRefused, func(whole []byte) string { return write("cut", whole[:len(whole)*2/3]) }},
		{"unreadable", exitRefused, func([]byte) string { return unreadable }},
	}
	for _, v := range verbs {
		for _, f := range faults {
			t.Run(strings.Fields(v.line)[0]+" "+v.takes+", "+f.name, func(t *testing.T) {
				file := f.file(whole[v.takes])
				if _, err := os.Stat(file); file == unreadable && err != nil {
					t.Skip("this system has no such file")
				}
				var out, said bytes.Buffer
				a := &app{in: strings.NewReader(""), out: &out, err: &said, getenv: func(string) string { return "" }}
				status := a.run(t.Context(), strings.Fields(strings.ReplaceAll(v.line, "@", file)))
				if status != f.status || !strings.HasPrefix(said.String(), "docket: ") && !strings.Contains(said.String(), "\ndocket: ") || strings.Contains(said.String(), "goroutine") {
					t.Errorf("docket %s: exit %d, want %d: %s", strings.ReplaceAll(v.line, "@", file), status, f.status, said.String())
				}
			})
		}
	}
}

// unreadable is a file that the machine refuses to read to anybody, root included: there
// is nothing at the first address of this process.
const unreadable = "/proc/self/mem"

// full is a place with no room for anything.
type full struct{ err error }

func (f full) Write([]byte) (int, error) { return 0, f.err }

// TestOutputFails: a result that cannot be written is said, once; a reader that stops is
// no failure. So it is for whatever prints a result.
func TestOutputFails(t *testing.T) {
	for _, line := range []string{"version", "version --json", "new response", "schema response", "schema --list", "--help", "sign --help", "completion bash"} {
		begins := "docket: "
		if strings.HasSuffix(line, " --json") {
			begins = `{"detail":"`
		}
		for cause, want := range map[error]int{
			&os.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.ENOSPC}: exitRefused,
			&os.PathError{Op: "write", Path: "|1", Err: syscall.EIO}:             exitRefused,
			&os.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}:           exitDone,
			nil: exitDone,
		} {
			t.Run(fmt.Sprintf("%s, %v", line, cause), func(t *testing.T) {
				var said bytes.Buffer
				a := &app{in: strings.NewReader(""), out: full{cause}, err: &said, getenv: func(string) string { return "" }}
				if cause == nil {
					a.out = io.Discard
				}
				status := a.run(t.Context(), strings.Fields(line))
				if status != want || (want == exitRefused) != strings.HasPrefix(said.String(), begins) || want == exitDone && said.Len() > 0 {
					t.Errorf("exit %d, want %d: %s", status, want, said.String())
				}
				if want == exitRefused {
					refusaltest.Words(t, said.String())
				}
			})
		}
	}
}

// TestPanic: a panic is one sentence and exit 1, unless Go's own variable asks for more.
func TestPanic(t *testing.T) {
	for _, why := range []any{"out of step", &os.PathError{Op: "sync", Path: "store/000004.log", Err: syscall.ENOSPC}} {
		t.Run(fmt.Sprint(why), func(t *testing.T) {
			var said bytes.Buffer
			a := &app{in: strings.NewReader(""), out: panics{why}, err: &said, getenv: func(string) string { return "" }}
			if status := a.run(t.Context(), []string{"version"}); status != exitRefused || !strings.HasPrefix(said.String(), "docket: ") || strings.Contains(said.String(), "goroutine") {
				t.Errorf("exit %d, %q", status, said.String())
			}
			refusaltest.Words(t, said.String())
		})
	}
	defer func() {
		if recover() == nil {
			t.Error("with " + traceEnv + " nobody sees where a fault is")
		}
	}()
	a := &app{in: strings.NewReader(""), out: panics{"here"}, err: io.Discard, getenv: func(name string) string { return map[string]string{traceEnv: "all"}[name] }}
	a.run(t.Context(), []string{"version"})
}

// panics is an output that has a fault of its own.
type panics struct{ why any }

func (p panics) Write([]byte) (int, error) { panic(p.why) }
