// Package demo plays the whole of Docket on loopback, with fictional parties and
// throw-away keys: an authority restricts, providers screen their customers, answer and
// report, a licence puts a duty off, a request goes unanswered and is cited, another is answered
// from a private customer log, an auditor checks, and what must be refused is refused. Everything goes over HTTP through the same client that every user has;
// the demo has no other access, and no clock but the machine's. A file is a chapter; where a
// chapter comes is said in runSteps. What is new comes after what is old, so that the indexes
// which README names stay.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/view"
	"github.com/seed-53cf897a/docket/server"
)

// Options of a demo.
type Options struct {
	Dir    string    // replaced if it bears the demo's mark
	Listen string    // loopback address
	Once   bool      // end after the story, not with the context
	Out    io.Writer // the story
	Width  int       // of the terminal that Out is; 0: lines are not wrapped
	Docket string    // how the binary is called, for what to do next

	Fatal func(reason string) // ends the process when the state of a disk is unknown
}

// Why a directory is left as it is.
var (
	ErrNotOurs = errors.New("exists and is not an earlier demo's")
	ErrRunning = errors.New("a demo is running there")
)

const (
	markFile = ".docket-demo" // made by a demo, which may replace what is beside it
	origin   = "docket.demo.example/1"
)

// Run plays the demo. It returns nil if everything was as it should be, after the
// story with Once, otherwise when ctx ends.
func Run(ctx context.Context, o Options) error {
	lock, err := lockDir(o.Dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	l, err := net.Listen("tcp", o.Listen) // before the charter is written: it names the URL
	if err != nil {
		return fmt.Errorf("listening on %s: %w", o.Listen, err)
	}
	s := &scenario{out: o.Out, width: o.Width, dir: o.Dir, docket: o.Docket, fatal: o.Fatal, url: "http://" + l.Addr().String()}
	return s.run(ctx, l, o.Once)
}

// lockDir locks a directory for one demo and clears an earlier demo's files. The mark
// file is locked before anything is removed and is kept, so a running demo keeps its
// files.
func lockDir(dir string) (lock io.Closer, err error) {
	mark := filepath.Join(dir, markFile)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if _, err := os.Stat(mark); len(entries) > 0 && err != nil {
		return nil, fmt.Errorf("%s %w", dir, ErrNotOurs)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	lock, err = disk.Lock(vfs.Default, mark)
	if errors.Is(err, disk.ErrLocked) {
		return nil, fmt.Errorf("%s: %w", dir, ErrRunning)
	} else if err != nil {
		return nil, fmt.Errorf("locking %s: %w", mark, err)
	}
	if err := resetDir(dir); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// resetDir removes an earlier demo's files and makes the directories of a new one.
func resetDir(dir string) error {
	earlier, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range earlier {
		if e.Name() == markFile {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("clearing the earlier demo: %w", err)
		}
	}
	for _, sub := range []string{"keys", "receipts", "documents", screeningDir} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// scenario is one demo being played.
type scenario struct {
	out    io.Writer
	width  int // of the terminal; 0: not known
	dir    string
	docket string // how the binary is called
	fatal  func(reason string)
	url    string

	keyring *keyring
	node    *node.Node
	client  *client.Client
	policy  *proof.Policy
	ledger  record.ID
	heads   map[record.Thread]record.ID // newest record by thread

	dates, datesAfterMove scenarioDates

	keys         node.Keys
	witnessNodes []*witnessNode // three witnesses

	screeningReport []byte // the newest one, to which a response commits

	customers customerLog // acme-cloud's

	sentWithoutW2 sentRecord // the record that was published while one of them was stopped

	receipts   int // verified
	refusals   int // as they should be
	unexpected int // not as they should be
}

// run sets the stage, tells the story, and stays up if it is to.
func (s *scenario) run(ctx context.Context, l net.Listener, once bool) error {
	keys, err := node.CreateKeys(filepath.Join(s.dir, "ledger"), origin)
	if err != nil {
		l.Close()
		return err
	}
	s.keys = keys
	defer func() {
		for _, p := range s.witnessNodes {
			p.stop()
		}
	}()
	if err := s.newWitnesses(ctx, keys, s.url); err != nil {
		l.Close()
		return err
	}
	for _, p := range s.witnessNodes {
		if err := p.start(ctx); err != nil {
			l.Close()
			return err
		}
	}
	if s.node, err = node.Open(ctx, node.Config{Dir: filepath.Join(s.dir, "ledger"), Keys: keys, Fatal: s.fatal}); err != nil {
		l.Close()
		return err
	}
	defer s.node.Close()

	metrics, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		l.Close()
		return fmt.Errorf("listening for Prometheus: %w", err)
	}
	serving, end := context.WithCancel(ctx)
	defer end()
	served := make(chan error, 1)
	go func() { served <- s.node.Serve(serving, l, server.Config{MetricsListener: metrics}) }()

	told := errors.Join(s.runSteps(ctx, keys), s.customers.close())
	if told == nil && !once {
		s.printLine("")
		s.printWrapped("", fmt.Sprintf("the ledger stays up at %s (its pages are for a browser), its metrics at http://%s/metrics; interrupt to end it", s.url, metrics.Addr()))
		select {
		case <-ctx.Done():
		case err := <-served:
			return err
		}
	}
	end()
	return errors.Join(told, <-served, s.node.Close())
}

// runSteps is the story.
func (s *scenario) runSteps(ctx context.Context, keys node.Keys) (err error) {
	s.printLine("docket demo: fictional parties, throw-away keys, loopback only; files in %s", displayPath(s.dir))
	s.heads = make(map[record.Thread]record.ID)
	if s.client, err = client.New(s.url, nil); err != nil {
		return err
	}
	if s.keyring, err = newKeyring(filepath.Join(s.dir, "keys")); err != nil {
		return err
	}
	if err := s.writePolicy(keys); err != nil {
		return err
	}
	for _, chapter := range []func(context.Context) error{
		s.admitCharter, s.enrolAndDesignate, // authority
		s.screenCustomers,   // a search, a screening, an exception that lapses
		s.respond,           // providers
		s.report,            // what else they report
		s.license,           // a licence
		s.requestDisclosure, // a request that nobody answers
		s.keepCustomerLog,   // a private log, and a demand that is answered from it
		s.verifyAndAudit,    // auditor
		s.printDuties,
		s.printWitnesses,
	} {
		if err := chapter(ctx); err != nil {
			return fmt.Errorf("the demo could not go on: %w", err)
		}
	}
	s.printLine("")
	size := s.node.Ledger.Published().Checkpoint().Size
	if s.unexpected > 0 || s.receipts != int(size) {
		return fmt.Errorf("not as it should be: %d of what was told; %d records, %d receipts", s.unexpected, size, s.receipts)
	}
	s.printLine("ok: %d records, %d receipts, %d refusals as they should be", size, s.receipts, s.refusals)
	trust := filepath.Join(s.dir, "trust")
	s.printLine("next: %s verify --trust %s %s", s.docket, trust, filepath.Join(s.dir, "receipts", "*"+proof.ReceiptSuffix))
	s.printLine("      %s show --trust %s 2026-017", s.docket, trust)
	s.printLine("      %s duties --trust %s --party acme-cloud", s.docket, trust)
	return nil
}

// writePolicy writes the policy file with the ledger's URL.
func (s *scenario) writePolicy(keys node.Keys) error {
	var b strings.Builder
	for _, k := range keys.Signers {
		fmt.Fprintf(&b, "log %s %s\n", k.Key(), s.url)
	}
	b.WriteString(s.policyLines())
	var err error
	if s.policy, err = proof.ParsePolicy([]byte(b.String())); err != nil {
		return err
	}
	return s.write("policy.txt", []byte(b.String()))
}

func (s *scenario) write(name string, data []byte) error {
	return os.WriteFile(filepath.Join(s.dir, name), data, 0o644)
}

// ask asks the copy of the register, brought up to date.
func (s *scenario) ask(ctx context.Context, question func(*view.View) error) error {
	t, err := s.openTrust(ctx)
	if err != nil {
		return err
	}
	defer t.Close()
	reg, err := t.Register()
	if err != nil {
		return err
	}
	v, err := view.Latest(reg)
	if err != nil {
		return err
	}
	if err := question(v); err != nil {
		return err
	}
	return t.Close()
}

func (s *scenario) trustDir() string { return filepath.Join(s.dir, "trust") }

// openTrust pins the demo's charter and brings the copy up to date.
func (s *scenario) openTrust(ctx context.Context) (*client.Trust, error) {
	t, err := client.CreateTrust(ctx, vfs.Default, s.trustDir(), s.client, s.ledger)
	if err != nil {
		return nil, err
	}
	t.Fatal = s.fatal
	if err := t.Sync(ctx, s.client, nil); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}
