package stores

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// builtDir holds the programs that built has made.
var builtDir string

// built builds the program of the module around this one, with the requirements that it is
// shipped with, and the object store of this one, once for all tests.
var built = sync.OnceValue(func() (err error) {
	if builtDir, err = os.MkdirTemp("", "built"); err != nil {
		return err
	}
	for from, program := range map[string]string{
		filepath.Join("..", "..", "..", "..", ".."): "./cmd/docket",
		".": "./gateway",
	} {
		c := exec.Command("go", "build", "-buildvcs=false", "-o", builtDir+string(filepath.Separator), program)
		c.Dir = from
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", program, err, out)
		}
	}
	return nil
})

func TestMain(m *testing.M) {
	status := m.Run()
	if builtDir != "" {
		os.RemoveAll(builtDir)
	}
	os.Exit(status)
}

// program is the path of one of them.
func program(t testing.TB, name string) string {
	t.Helper()
	if err := built(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(builtDir, name)
}

// docket runs the command, which must exit 0, and returns its stdout.
func docket(t testing.TB, env []string, args ...string) string {
	t.Helper()
	var said bytes.Buffer
	c := exec.CommandContext(t.Context(), program(t, "docket"), args...)
	c.Stderr, c.Env = &said, environment(env)
	out, err := c.Output()
	if err != nil {
		t.Fatalf("docket %s: %v\n%s%s", strings.Join(args, " "), err, out, said.Bytes())
	}
	return string(out)
}

// environment is that of a program: whatever chooses a ledger or trust by itself is out of it.
func environment(more []string) []string {
	return append(append(os.Environ(), "DOCKET_TRUST=", "DOCKET_LEDGER="), more...)
}

// process is a program that may be killed, frozen, and started again as it was.
type process struct {
	t    testing.TB
	name string // in what the test says
	path string
	args []string
	env  []string
	log  string // a file: what all its lives said
	url  string // where it serves

	// says is whether the program prints its URL once it serves; else it serves once it takes connections.
	says bool

	cmd   *exec.Cmd
	ended chan struct{} // of this life; then err is set
	err   error
}

// apart is the same program over the same files, at an address that nobody has been told.
func (p *process) apart() *process {
	address := freeAddress(p.t)
	other := &process{t: p.t, name: p.name + " apart", path: p.path, env: p.env, log: p.log, url: "http://" + address, says: p.says}
	for _, arg := range p.args {
		other.args = append(other.args, strings.ReplaceAll(arg, strings.TrimPrefix(p.url, "http://"), address))
	}
	return other
}

// start starts a life, and waits until it serves.
func (p *process) start() {
	p.t.Helper()
	if err := p.tryStart(); err != nil {
		p.t.Fatal(err)
	}
}

// revive starts one that has ended by itself, as a supervisor does, who tries again later where
// that is of no use yet.
func (p *process) revive() {
	p.t.Helper()
	select {
	case <-p.ended:
		if err := p.tryStart(); err != nil {
			p.t.Log(err)
		}
	default:
	}
}

func (p *process) tryStart() error {
	log := must(os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600))
	defer log.Close()
	p.cmd = exec.Command(p.path, p.args...)
	p.cmd.Stderr, p.cmd.Env = log, environment(p.env)
	out := must(p.cmd.StdoutPipe())
	if err := p.cmd.Start(); err != nil {
		return err
	}
	ended, cmd := make(chan struct{}), p.cmd
	p.ended = ended
	said := make(chan struct{})
	go func() {
		stdout := bufio.NewReader(out)
		if line, err := stdout.ReadString('\n'); err == nil && strings.HasPrefix(line, "http") {
			close(said)
		}
		io.Copy(io.Discard, stdout)
		p.err = cmd.Wait()
		close(ended)
	}()
	p.t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
	})
	if p.says {
		select {
		case <-said:
		case <-ended:
			return fmt.Errorf("%s ended with %v before it served:\n%s", p.name, p.err, p.lastWords())
		}
		return nil
	}
	for {
		c, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		if err == nil {
			return c.Close()
		}
		select {
		case <-ended:
			return fmt.Errorf("%s ended with %v before it took connections:\n%s", p.name, p.err, p.lastWords())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// kill is kill −9. What was killed is not there any more when it returns.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.ended
}

// freeze stops the process where it is, and thaw lets it go on as if nothing had been.
func (p *process) freeze() { p.signal(syscall.SIGSTOP) }
func (p *process) thaw()   { p.signal(syscall.SIGCONT) }

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
}

// terminate is SIGTERM, after which the process ends by itself with status 0.
func (p *process) terminate() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	p.endsWell()
}

// endsWell waits for the process's own end, with status 0.
func (p *process) endsWell() {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-bounded(p.t).Done():
		p.t.Fatalf("%s does not end:\n%s", p.name, p.lastWords())
	}
	if p.err != nil {
		p.t.Fatalf("%s ended with %v:\n%s", p.name, p.err, p.lastWords())
	}
}

// lastWords are the end of what it wrote to stderr.
func (p *process) lastWords() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.SplitAfter(string(text), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "")
}

// bounded is the test's context, which ends before the test is killed for its time: then
// nobody would end what it started.
func bounded(t testing.TB) context.Context {
	deadline, is := t.(*testing.T).Deadline()
	if !is {
		return t.Context()
	}
	ctx, cancel := context.WithDeadline(t.Context(), deadline.Add(-20*time.Second))
	t.Cleanup(cancel)
	return ctx
}

// freeAddress is an address of this machine at which nobody listens. A process that is killed
// comes back to where its clients know it.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
