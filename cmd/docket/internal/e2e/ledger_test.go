// Package e2e tests the real binary from outside: it is built, started, killed and
// talked to over HTTP, as its users do.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

const origin = "docket.example/e2e"

// built is where the binary is, which TestMain removes.
var built struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	status := m.Run()
	os.RemoveAll(built.dir)
	os.Exit(status)
}

// binary builds docket once.
func binary(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "docket-e2e-"); built.err != nil {
			return
		}
		out, err := exec.Command("go", "build", "-o", built.dir, "github.com/seed-53cf897a/docket/cmd/docket").CombinedOutput()
		if err != nil {
			built.err = fmt.Errorf("building docket: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, "docket")
}

// ledger is a directory of docket serve, and the people who write to it.
type ledger struct {
	t      testing.TB
	dir    string
	policy *proof.Policy
	id     record.ID

	mu    sync.Mutex // guards the world
	world *registertest.World
}

// newLedger begins a ledger as its operator does: docket init, twice.
func newLedger(t testing.TB) *ledger {
	t.Helper()
	l := &ledger{t: t, dir: filepath.Join(t.TempDir(), "ledger")}
	text := l.docket("init", "--dir", l.dir, "--origin", origin) + "quorum none\n"
	var err error
	if l.policy, err = proof.ParsePolicy([]byte(text)); err != nil {
		t.Fatal(err)
	}
	l.world = registertest.New(time.Now(), origin, text)
	charter := l.world.Charter()
	file := filepath.Join(t.TempDir(), "charter.dsse.json")
	if err := os.WriteFile(file, charter.Marshal(), 0o600); err != nil {
		t.Fatal(err)
	}
	printed := l.docket("init", "--dir", l.dir, "--charter", file)
	l.world.NoteAdmitted(charter)
	if l.id = l.world.Ledger; strings.TrimSpace(printed) != l.id.String() {
		t.Fatalf("docket init --charter printed %q, the charter is %s", printed, l.id)
	}
	return l
}

// docket runs the command, which must exit 0, and returns its stdout.
func (l *ledger) docket(args ...string) string {
	l.t.Helper()
	status, out, talk := l.run(args...)
	if status != 0 {
		l.t.Fatalf("docket %s: exit %d\n%s%s", strings.Join(args, " "), status, out, talk)
	}
	return out
}

// run runs the command.
func (l *ledger) run(args ...string) (status int, out, talk string) {
	l.t.Helper()
	var stdout, stderr bytes.Buffer
	c := exec.Command(binary(l.t), args...)
	c.Stdout, c.Stderr = &stdout, &stderr
	c.Env = append(os.Environ(), "DOCKET_TRUST=", "DOCKET_LEDGER=")
	if err := c.Run(); err != nil && c.ProcessState == nil {
		l.t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

// process is one docket serve.
type process struct {
	url   string
	cmd   *exec.Cmd
	log   *bytes.Buffer // read it once the process has ended
	ended chan struct{} // then err is set
	err   error
}

// serve starts the server on a free port and waits until it says where it is.
func (l *ledger) serve(args ...string) *process {
	l.t.Helper()
	p := &process{log: new(bytes.Buffer), ended: make(chan struct{})}
	p.cmd = exec.Command(binary(l.t), append([]string{"serve", "--dir", l.dir, "--listen", "127.0.0.1:0", "--issuer-rate", "-1", "--min-free", "1"}, args...)...)
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	p.url = strings.TrimSpace(line)
	go func() {
		defer close(p.ended)
		p.err = p.cmd.Wait()
	}()
	l.t.Cleanup(p.kill)
	if err != nil {
		p.kill()
		l.t.Fatalf("docket serve said %q (%v):\n%s", line, err, p.log)
	}
	return p
}

// kill is kill −9. Killing twice is killing once.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.ended
}

// terminate is SIGTERM, after which the process ends by itself with status 0.
func (p *process) terminate() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-p.ended
	if p.err != nil {
		return fmt.Errorf("docket serve ended with %w:\n%s", p.err, p.log)
	}
	return nil
}

// end is terminate in a test's own goroutine.
func (p *process) end(t testing.TB) {
	t.Helper()
	if err := p.terminate(); err != nil {
		t.Fatal(err)
	}
}

// client talks to the process over connections of its own.
func (l *ledger) client(p *process) *client.Client {
	l.t.Helper()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	l.t.Cleanup(transport.CloseIdleConnections)
	c, err := client.New(p.url, transport)
	if err != nil {
		l.t.Fatal(err)
	}
	return c
}

// mustSubmit submits a record that is admitted.
func (l *ledger) mustSubmit(ctx context.Context, c *client.Client, env record.Envelope) *client.Receipt {
	l.t.Helper()
	s, err := c.Submit(ctx, env.Marshal(), client.SinglePolicy{Only: l.policy}, client.Retry{MaxElapsed: time.Minute})
	if err != nil || s.Receipt == nil {
		l.t.Fatalf("submitting: %v, %v", s, err)
	}
	l.world.NoteAdmitted(env)
	l.world.Now = time.Now().UTC().Truncate(time.Millisecond)
	return s.Receipt
}
