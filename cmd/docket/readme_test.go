package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// README's chapters that people follow: the tours after the demo, in any order, and the way
// of an operator, which needs nothing.
const (
	firstScreen = "Docket"
	beforeTours = "How it works" // ends with what every terminal is told first
	operate     = "Operate"
)

var tours = []string{"Authority", "Provider", "The private customer log", "Auditor", "Witness"}

// readmeShows is what must be on the screen of whoever follows a chapter.
var readmeShows = map[string][]string{
	operate: {
		"a fork needs the log's key and 1 dishonest witness", "index 0 is published",
		"open   2029-12-31  acme-cloud  respond  designation/2026-001", "answer.tlog-proof: verified", "2 of 2 verified",
		"revokes compliance (officer, ", "was revoked at index 5", "ledger: 7 entries of docket.example/2026, 1 of them not in backup",
		"those who are ready make the quorum", "consistent; 0 entries that should not be there", "8 of 8 verified",
	},
	firstScreen: {"issuer acme-cloud", "entry is not in the tree it claims"},
	"Authority": {"2 officers needed, 1 signed (officer-1)", "complete: enough have signed", "opens 4 duties to respond, due 2029-12-31", "asks         cirrus-hosting, by mlat", "findings: [no-mutual-legal-assistance]"},
	"Provider":  {"overdue", "identifier  registration number 0048231", "LAPSED: designation/2026-014 has a newer record: amendment at index 9", "before.screening: the same bytes, made anew of docket-demo/screening/customers.csv", "opened      /screening is", "response on response/2026-016/acme-cloud", "answer.chain.tlog-proof: verified"},
	"The private customer log": {
		"acct-5  Noor Dellamarsh", "elements: address, telephone, payment", "query: dellamarsh noor", "published period 3", "approved: 2 of 2",
		"2 events were logged before the demand", "That the provider filed everything", "its last line is not the digest", "nobody may be erased today", "erased customers            1",
	},
	"Auditor": {"consistent; 0 entries that should not be there", "28 of 28 verified"},
	"Witness": {"proven: docket.demo.example/1 signed two trees of 28 entries"},
}

// TestReadme follows README word for word, at a terminal, as a newcomer would: what stands
// between "```sh" and "```" is run by one sh a chapter, and what is indented is only shown.
// A command ends with status 0, or with N where its line ends with "exit N". A question is
// answered with y, but only that of a block's last command: whoever pastes the block would
// answer any other with the line that follows. One line is not taken as it stands: the one that ends with "# ports" gets
// free ones. The dates in README are to come until June 2029.
func TestReadme(t *testing.T) {
	readme, err := parseReadme(string(read(t, "README.md")))
	if err != nil {
		t.Fatal(err)
	}
	for _, title := range append([]string{firstScreen, beforeTours, operate}, tours...) {
		if len(readme[title]) == 0 {
			t.Errorf("README.md, %q: nothing is run", title)
		}
	}
	follow := func(t *testing.T, dir string, titles ...string) {
		var all []command
		for _, title := range titles {
			all = append(all, readme[title]...)
		}
		screen, err := runReadme(dir, all)
		t.Log(screen)
		if err != nil {
			t.Fatal(err)
		}
		for _, title := range titles {
			for _, words := range readmeShows[title] {
				if !strings.Contains(screen, words) {
					t.Errorf("README.md, %q: nothing says %q", title, words)
				}
			}
		}
	}
	t.Run("operate", func(t *testing.T) {
		t.Parallel()
		needs(t, "openssl", "curl")
		follow(t, t.TempDir(), operate)
	})
	t.Run("in order", func(t *testing.T) {
		t.Parallel()
		needs(t, "curl")
		dir := demoFolder(t, buildFolder(t))
		must(t, os.Remove(filepath.Join(dir, "docket"))) // the first screen builds it
		follow(t, dir, slices.Concat([]string{firstScreen, beforeTours}, tours)...)
	})
	if testing.Short() {
		return
	}
	// In order and backwards each tour comes once before each other, so that one that needs what
	// another leaves behind, or is in its way, fails.
	t.Run("backwards", func(t *testing.T) {
		t.Parallel()
		needs(t, "curl")
		backwards := slices.Clone(tours)
		slices.Reverse(backwards)
		follow(t, demoFolder(t, t.TempDir()), append([]string{beforeTours}, backwards...)...)
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// needs skips a test where a command of Debian's is missing that README says it needs.
func needs(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not here: apt-get install %[1]s", name)
		}
	}
}

// buildFolder has the same name in each run of this checkout's tests: what go build compiles
// depends on it, and would be kept anew each time. While another run has it, it is a new one.
func buildFolder(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	must(t, err)
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("docket-readme-%x", sha256.Sum256([]byte(root)))[:30])
	if err := os.Mkdir(dir, 0o700); err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// demoFolder makes that folder a checkout in which ./docket demo runs.
func demoFolder(t *testing.T, dir string) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	must(t, err)
	entries, err := fs.ReadDir(checkout, ".")
	must(t, err)
	for _, e := range entries {
		if name := e.Name(); name != "docket" && !strings.HasPrefix(name, ".") && (e.IsDir() || strings.HasPrefix(name, "go.")) && name != "docket-demo" {
			must(t, os.Symlink(filepath.Join(root, name), filepath.Join(dir, name)))
		}
	}
	docket, err := exec.LookPath("docket") // TestMain puts it there
	must(t, err)
	must(t, os.Symlink(docket, filepath.Join(dir, "docket")))
	demo := exec.Command(docket, "demo")
	demo.Dir, demo.Env = dir, readmeEnviron()
	var said, failed bytes.Buffer
	demo.Stderr = &failed
	out, err := demo.StdoutPipe()
	must(t, err)
	must(t, demo.Start())
	t.Cleanup(func() {
		demo.Process.Signal(os.Interrupt)
		io.Copy(io.Discard, out)
		if err := demo.Wait(); err != nil {
			t.Errorf("the demo ended with %v:\n%s%s", err, &said, &failed)
		}
	})
	for b := make([]byte, 4096); !strings.Contains(said.String(), "the ledger stays up"); {
		n, err := out.Read(b)
		said.Write(b[:n])
		if err != nil {
			t.Fatalf("the demo ended:\n%s%s", &said, &failed)
		}
	}
	return dir
}

// command is one that README has between "```sh" and "```": the fewest lines that sh takes
// as whole.
type command struct {
	line   int // of README.md, the first one
	text   string
	status string // the exit status that it must have
	last   bool   // of its block
}

var (
	wantedStatus = regexp.MustCompile(`\bexit (\d+)$`)
	hereDocument = regexp.MustCompile(`<<-?\s*'?(\w+)'?`)
	portNumber   = regexp.MustCompile(`=\d+`)
	placeholder  = regexp.MustCompile(`…|https://\w+\.example\b|\b[A-Z]\b`)
)

// parseReadme finds the commands of each chapter. What is shown and could be run is a fault:
// nothing would notice once it is no longer true.
func parseReadme(text string) (map[string][]command, error) {
	chapters := map[string][]command{}
	title, fenced := "", false
	var open command // being gathered
	for i, line := range strings.Split(text, "\n") {
		at := fmt.Sprintf("README.md:%d", i+1)
		switch {
		case fenced && line == "```":
			if fenced = false; open.text != "" {
				return nil, fmt.Errorf("README.md:%d: sh takes this as unfinished:\n%s", open.line, open.text)
			}
			if n := len(chapters[title]); n > 0 {
				chapters[title][n-1].last = true
			}
		case fenced:
			if open.text == "" {
				open = command{line: i + 1, status: "0"}
			}
			open.text += line + "\n"
			if open.whole() {
				if m := wantedStatus.FindStringSubmatch(line); m != nil {
					open.status = m[1]
				}
				chapters[title] = append(chapters[title], open)
				open = command{}
			}
		case line == "```sh":
			fenced = true
		case strings.HasPrefix(line, "```"):
			return nil, fmt.Errorf("%s: %s: what is run stands after ```sh, what is shown is indented", at, line)
		case strings.HasPrefix(line, "# "):
			title = line[2:]
		case strings.HasPrefix(line, "## "):
			title = line[3:]
		case title != "For developers" && (strings.HasPrefix(line, "    docket ") || strings.HasPrefix(line, "    ./docket ")) && !placeholder.MatchString(line):
			return nil, fmt.Errorf("%s: this can be run, and is only shown: put it between ```sh and ```", at)
		}
	}
	if fenced {
		return nil, errors.New("README.md: the last ```sh does not end")
	}
	return chapters, nil
}

// whole tells whether sh would run it, and not wait for another line.
func (c command) whole() bool {
	if strings.HasSuffix(c.text, "\\\n") {
		return false
	}
	if m := hereDocument.FindStringSubmatch(c.text); m != nil && !strings.HasSuffix(c.text, "\n"+m[1]+"\n") {
		return false
	}
	return exec.Command("sh", "-n", "-c", c.text).Run() == nil
}

// freePorts finds ports that nobody listens on, nor is given by asking for port 0, as
// others do before a command comes to them.
func freePorts(n int) (ports []string, err error) {
	for range 1000 {
		if len(ports) == n {
			return ports, nil
		}
		port := fmt.Sprint(10000 + rand.IntN(20000))
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		defer l.Close()
		ports = append(ports, port)
	}
	return nil, errors.New("no free ports from 10000 to 30000")
}

// readmeEnviron is what a newcomer's shell has set.
func readmeEnviron() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "DOCKET_") })
}

// runReadme runs commands in one sh, at a terminal in that folder, and says which line
// ended with another status than it must, or asked what nobody could answer. What they left
// running is ended with it.
func runReadme(dir string, commands []command) (screen string, err error) {
	own, err := os.MkdirTemp("", "readme-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(own)
	var script strings.Builder
	script.WriteString(`readme_at() { readme_line=$1 readme_want=$2; echo $1 > "$readme_own/line"; }
trap 'readme_got=$?; trap "" TERM
[ -n "$readme_done" ] || echo "README.md:$readme_line: exit $readme_got, want $readme_want"
kill 0; wait; exit $readme_got' EXIT
`)
	for _, c := range commands {
		if strings.HasSuffix(c.text, "# ports\n") {
			ports, err := freePorts(strings.Count(c.text, "="))
			if err != nil {
				return "", err
			}
			c.text = portNumber.ReplaceAllStringFunc(c.text, func(string) (port string) {
				port, ports = "="+ports[0], ports[1:]
				return port
			})
		}
		fmt.Fprintf(&script, "readme_at %d %s\n", c.line, c.status)
		if c.status == "0" {
			fmt.Fprintf(&script, "set -e\n%s", c.text)
		} else {
			fmt.Fprintf(&script, "set +e\n%sreadme_got=$?; [ $readme_got = $readme_want ] || exit $readme_got\n", c.text)
		}
	}
	script.WriteString("readme_done=yes\n")
	file := filepath.Join(own, "script")
	if err := os.WriteFile(file, []byte(script.String()), 0o600); err != nil {
		return "", err
	}

	sh := exec.Command("sh", file)
	sh.Dir, sh.Env = dir, append(readmeEnviron(), "readme_own="+own)
	keys, err := pty.StartWithSize(sh, &pty.Winsize{Rows: 50, Cols: 160})
	if err != nil {
		return "", err
	}
	defer keys.Close()
	kill := func() { syscall.Kill(-sh.Process.Pid, syscall.SIGKILL) } // the sh, which is not waited for yet, and what it began
	slow := time.AfterFunc(8*time.Minute, kill)
	defer slow.Stop()
	var seen bytes.Buffer
	var fault error
	answered := 0 // up to where questions have been
	for b := make([]byte, 4096); ; {
		n, err := keys.Read(b)
		seen.Write(b[:n])
		if strings.Contains(seen.String()[answered:], "[y/N] ") {
			answered = seen.Len()
			line, _ := os.ReadFile(filepath.Join(own, "line"))
			asks := slices.IndexFunc(commands, func(c command) bool { return fmt.Sprintln(c.line) == string(line) })
			if asks < 0 || !commands[asks].last {
				fault = fmt.Errorf("README.md:%s: it asks, and whoever pastes the block answers with the line that follows", bytes.TrimSpace(line))
				kill()
			} else if _, err := io.WriteString(keys, "y\r"); err != nil {
				fault = err
				kill()
			}
		}
		if err != nil { // nobody holds the other side
			break
		}
	}
	err = sh.Wait()
	screen = strings.ReplaceAll(seen.String(), "\r", "")
	if fault != nil {
		return screen, fault
	}
	if _, fault, found := strings.Cut("\n"+screen, "\nREADME.md:"); found {
		fault, _, _ = strings.Cut(fault, "\n")
		return screen, fmt.Errorf("README.md:%s", fault)
	}
	return screen, err
}

// TestReadmeIsFollowed: a command that fails is named by its line, one that should have
// failed and did not too, and what nobody runs is found.
func TestReadmeIsFollowed(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"# A\n\n```sh\ncat > f <<'END'\nfalse\nEND\ngrep -q false f\n[ \"$(cat f)\" = false ]\n```\n", ""},
		{"# A\n```sh\ntrue\ntrue; \\\n  docket verify --no-such-flag\ntrue\n```\n", "README.md:4: exit 2, want 0"},
		{"# A\n```sh\nfalse    # refused: exit 1\n```\ntext\n```sh\nx=1\n```\n", ""},
		{"# A\n```sh\ntrue    # refused: exit 1\n```\n", "README.md:3: exit 0, want 1"},
		{"# A\n```sh\nprintf 'sure? [y/N] '; read x\n[ $x = y ]\n```\n", "README.md:3: it asks, and whoever pastes the block answers with the line that follows"},
		{"# A\n```sh\nprintf 'sure? [y/N] '; read x\n```\n```sh\n[ $x = y ]\n```\n", ""},
		{"# A\n```sh\nsleep 1000 & sleeps=$!\nkill -0 $sleeps\n```\n", ""},
		{"# A\n```sh\nfor x in a b; do\n  [ $x = a ]\ndone\n```\n", "README.md:3: exit 1, want 0"},
		{"# A\n```sh\nport=1    # ports\n[ $port != 1 ]\n```\n", ""},
		{"# A\n```sh\nfor x in a b; do\n```\n", "README.md:3: sh takes this as unfinished:\nfor x in a b; do\n"},
		{"# A\n```sh\ntrue\n", "README.md: the last ```sh does not end"},
		{"# A\n```console\n$ true\n```\n", "README.md:2: ```console: what is run stands after ```sh, what is shown is indented"},
		{"# A\n\n    docket version\n", "README.md:3: this can be run, and is only shown: put it between ```sh and ```"},
		{"# A\n\n    docket serve --dir D\n    vkey docket.example\n", ""},
	} {
		readme, err := parseReadme(c.text)
		if err == nil {
			_, err = runReadme(t.TempDir(), readme["A"])
		}
		if got := fmt.Sprint(err); got != c.want && (err != nil || c.want != "") {
			t.Errorf("%q: %s, want %q", c.text, got, c.want)
		}
	}
}
