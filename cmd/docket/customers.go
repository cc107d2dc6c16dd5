package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/customernode"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/ownsocket"
	"github.com/seed-53cf897a/docket/ledger"
	private "github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/programme"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/server/customers"
	"github.com/seed-53cf897a/docket/server/front"
)

// The environment variables that stand in for --dir and --identity.
const (
	customersEnv = "DOCKET_CUSTOMERS"
	identityEnv  = "DOCKET_IDENTITY"
)

func (a *app) customers() *cobra.Command {
	c := &cobra.Command{
		Use:   "customers VERB",
		Short: "Keep a private log of who the foreign customers are",
		Long: `Keeps a provider's private customer log: complete, private, erasable, and provable
to one authority without showing anything to anybody else. It lies in one directory,
named by --dir or $` + customersEnv + `.

docket customers serve has it open, and every other verb asks that over a socket in the
directory, or with --server URL from another machine, as the one whom --access names by a key
or a certificate, in the roles that this one has (docket customers access). Where nobody serves, the verb opens the directory itself, with the key of the
vault that --identity or $` + identityEnv + ` names. Whoever finds or shows a customer is logged, and
so is what for (--reason).`,
		Example: `  docket customers init --dir C --party acme-cloud --trust trust --identity vault.key
  docket customers serve --dir C
  docket customers unlock --dir C --identity vault.key
  docket customers add --dir C customers.csv
  docket customers find --dir C 'marsh lantern'
  docket customers approve 1 --server https://customers.acme.example:8443 --access me.pem --trust trust --key holder-2`,
	}
	c.AddCommand(
		a.customersInit(), a.customersServe(), a.customersBrowse(), a.customersUnlock(), a.customersLock(), a.customersAccess(),
		a.customersAdd(), a.customersFind(), a.customersShow(), a.customersHouse(), a.customersQueue(), a.customersStats(),
		a.customersVerified(), a.customersChange(), a.customersClose(), a.customersHold(), a.customersRelease(),
		a.customersClosePeriod(), a.customersPublish(), a.customersPeriods(), a.customersReport(),
		a.customersScreen(), a.customersDecide(),
		a.customersDiscloser(), a.customersDisclose(), a.customersDisclosures(), a.customersApprove(), a.customersHandOut(), a.customersWithdraw(), a.customersVerify(),
		a.customersErase(), a.customersRotate(), a.customersBackupKeys(), a.customersRestoreKeys(), a.customersAudit(),
	)
	return c
}

// customersFlags are those of every verb on a customer log.
type customersFlags struct {
	app           *app
	dir, identity string
	server        string // elsewhere, in place of dir
	access        string // file of what it knows us by
	trust         string // directory of the copy that says which requests keep customers from being erased; "": that of the settings
	reason        string
	asJSON        bool
}

func (a *app) customersFlags(c *cobra.Command) *customersFlags {
	f := &customersFlags{app: a}
	c.Flags().StringVar(&f.dir, "dir", a.getenv(customersEnv), "directory of the customer log (or $"+customersEnv+")")
	c.MarkFlagDirname("dir")
	return f
}

// withIdentity adds the vault's key, for where nobody serves.
func (f *customersFlags) withIdentity(c *cobra.Command) *customersFlags {
	c.Flags().StringVar(&f.identity, "identity", f.app.getenv(identityEnv), "file of the vault's secret key, where nobody serves the directory (or $"+identityEnv+")")
	return f
}

func (f *customersFlags) withReason(c *cobra.Command) *customersFlags {
	c.Flags().StringVar(&f.reason, "reason", "", "what it is for: logged with who it was")
	return f
}

func (f *customersFlags) withJSON(c *cobra.Command) *customersFlags {
	c.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	return f
}

// settings reads what the directory is.
func (f *customersFlags) settings() (customernode.Settings, error) {
	ownerOnly()
	if f.dir == "" {
		return customernode.Settings{}, usageError("no directory of a customer log").hint("name one with --dir DIR or $%s; docket customers init makes one", customersEnv)
	}
	s, err := customernode.ReadSettings(vfs.Default, f.dir)
	if errors.Is(err, customernode.ErrNoLog) {
		return s, usageError("%w", err).hint("docket customers init --dir %s --party P --trust T --identity FILE makes one", f.dir)
	} else if err != nil {
		return s, refusal("%w", err)
	}
	return s, nil
}

// customersServer is a log's server as a verb asks it.
type customersServer struct {
	settings customernode.Settings // of one elsewhere what that says: no more than party, ledger, origin and zone
	base     string                // of its URLs
	bearer   string                // key that it knows us by; "": by a certificate, or the socket
	http     http.Client
	served   bool // by another process
	end      func() error
}

// How often, and after what pause, a process is asked again that has the directory open and
// does not answer: it makes its socket once it serves.
const (
	customersTries = 40
	customersPause = 50 * time.Millisecond
)

// connect is the server that --server names, else whoever serves the directory, else this
// process itself for as long as the verb takes. The caller ends it.
func (f *customersFlags) connect(c *cobra.Command) (*customersServer, error) {
	if elsewhere, err := f.remote(c); err != nil {
		return nil, err
	} else if elsewhere {
		if err := idle(c, "beside --server: whoever serves has the vault's key", "identity"); err != nil {
			return nil, err
		}
		return f.dialRemote(c.Context())
	}
	s, err := f.settings()
	if err != nil {
		return nil, err
	}
	for try := 0; ; try++ {
		server, err := f.dial(c.Context(), s)
		if err == nil {
			return server, nil
		}
		server, err = f.serveItself(c, s)
		if !errors.Is(err, customernode.ErrInUse) {
			return server, err
		}
		if try == customersTries {
			return nil, notYet("%w, and does not answer", err).hint("run the same command again when it has ended, or serves")
		}
		select {
		case <-time.After(customersPause): // it begins, or ends
		case <-c.Context().Done():
			return nil, c.Context().Err()
		}
	}
}

func (f *customersFlags) dial(ctx context.Context, s customernode.Settings) (*customersServer, error) {
	conn, err := ownsocket.Dial(ctx, f.dir, customernode.SocketFile)
	if err != nil {
		return nil, err
	}
	conn.Close()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return ownsocket.Dial(ctx, f.dir, customernode.SocketFile)
	}}
	return &customersServer{settings: s, base: ownBase, served: true, http: http.Client{Transport: transport}, end: func() error { transport.CloseIdleConnections(); return nil }}, nil
}

// serveItself opens the directory and answers on its socket, until the verb ends.
func (f *customersFlags) serveItself(c *cobra.Command, s customernode.Settings) (_ *customersServer, err error) {
	n, err := customernode.Lock(customernode.Config{Dir: f.dir, Settings: s, Fatal: f.app.diskFailed})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	if f.identity == "" {
		return nil, notYet("nobody serves %s, so that its vault is locked", f.dir).
			hint("docket customers serve --dir %s, then docket customers unlock; or give this command the vault's key with --identity FILE or $%s", f.dir, identityEnv)
	}
	ids, err := f.app.identities(c.Context(), f.identity)
	if err != nil {
		return nil, err
	}
	// What a server keeps to its own log, this one's owner may read.
	failures := slog.New(slog.NewTextHandler(f.app.err, &slog.HandlerOptions{Level: slog.LevelError}))
	server, err := f.newServer(f.app, n, s, failures, nil)
	if err != nil {
		return nil, err
	}
	if err := server.Unlock(c.Context(), unlockedHere, ids...); err != nil {
		return nil, f.vaultError(err)
	}
	l, err := ownsocket.Listen(f.dir, customernode.SocketFile)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(c.Context()))
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, l, front.Config{Grace: time.Minute}, true) }()
	to, err := f.dial(c.Context(), s)
	if err != nil {
		stop()
		return nil, errors.Join(err, <-served)
	}
	idle := to.end
	to.served = false
	to.end = func() error {
		idle()
		stop()
		return errors.Join(<-served, n.Close())
	}
	return to, nil
}

// newServer puts a server over a directory that this process has; a is told what a copy of the
// ledger says.
func (f *customersFlags) newServer(a *app, n *customernode.Node, s customernode.Settings, log *slog.Logger, metrics net.Listener) (*customers.Server, error) {
	zone, err := s.Location()
	if err != nil {
		return nil, refusal("%w", err)
	}
	idle, err := s.Idle()
	if err != nil {
		return nil, refusal("%w", err)
	}
	c := customers.Config{
		About: customers.About{Party: s.Party, Ledger: s.Ledger, Origin: s.Origin, Zone: s.Zone},
		Open:  n.Open, Zone: zone, Clients: s.Clients, Dir: f.dir, Log: log, LockAfter: idle, MetricsListener: metrics,
		Programme: func() (*programme.History, error) { return customernode.Programme(vfs.Default, f.dir) },
		Backup: func(ctx context.Context, dir string) (string, []string, error) {
			return n.Keys().Backup(ctx, vfs.Default, dir, time.Now())
		},
	}
	if dir := cmp.Or(f.trust, s.Trust); dir != "" {
		c.OpenRequests = func(ctx context.Context) ([]customers.OpenRequest, error) {
			trust := &trustFlags{app: a, context: func() context.Context { return ctx }, dir: dir}
			return openRequests(ctx, trust, s.Party)
		}
	}
	return customers.New(c)
}

// identities reads the vault's secret key.
func (a *app) identities(ctx context.Context, name string) ([]age.Identity, error) {
	raw, err := a.readFile(name)
	if err != nil {
		return nil, err
	}
	defer clear(raw)
	ids, err := vault.ParseIdentities(raw, a.asker(ctx, name))
	switch {
	case errors.Is(err, errInterrupted):
		return nil, errInterrupted
	case errors.Is(err, vault.ErrWrongKey), errors.Is(err, errNoTerminal):
		return nil, refusal("%s: %w", name, err).hint("give its password on a terminal or in $%s", passwordEnv)
	case err != nil:
		return nil, usageError("%s: %w", name, err).hint("it is the file that docket customers init wrote, or one of age-keygen -pq")
	}
	a.warnOfReaders(name)
	return ids, nil
}

// asker asks a person what a protected key, or a plug-in of age, wants to know.
func (a *app) asker(ctx context.Context, name string) vault.Asker {
	return func(prompt string, secret bool) (string, error) {
		if !secret {
			return "", fmt.Errorf("%s: %w", prompt, errNoTerminal)
		}
		p, err := a.password(ctx, name)()
		return string(p), err
	}
}

// vaultError says what to do about a vault that does not open.
func (f *customersFlags) vaultError(err error) error {
	switch {
	case errors.Is(err, vault.ErrWrongKey):
		return refusal("%w", err).hint("--identity names the secret key of another vault, or of before docket customers rotate: use the newest")
	case errors.Is(err, vault.ErrNoVault):
		return refusal("%w", err).hint("bring back %s from the backup: without it nothing in the log can be read", filepath.Join(f.dir, customernode.VaultFile))
	case errors.Is(err, vault.ErrNotVault):
		return refusal("%w", err).hint("bring back %s from the backup", filepath.Join(f.dir, customernode.VaultFile))
	case errors.Is(err, private.ErrLost), errors.Is(err, private.ErrOtherKey):
		return refusal("%w", err)
	case errors.Is(err, ledger.ErrCorrupt):
		return refusal("%w", err).hint("move %s away, and bring back its backup, with the keys' newest (docket customers restore-keys)", f.dir)
	case errors.Is(err, vault.ErrNoPlugin):
		return refusal("%w", err).hint("install the plug-in, so that it is found in $PATH")
	}
	return err
}

// readLine reads the first line of a file, or of what is typed: what others must not see stands
// on no command line.
func (a *app) readLine(name string) (string, error) {
	from, err := a.openFile(name)
	if err != nil {
		return "", err
	}
	defer from.Close()
	line, err := bufio.NewReader(io.LimitReader(from, 4096)).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", err
	}
	return strings.TrimSpace(line), nil
}

// request asks for what is at a path, and decodes the answer; a nil answer is not read.
func (s *customersServer) request(ctx context.Context, method, path, media string, body []byte, answer any) error {
	resp, err := s.send(ctx, method, path, media, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if answer == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(answer)
}

// send is a request whose answer is read by the caller. A problem is an error.
func (s *customersServer) send(ctx context.Context, method, path, media string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", media)
	if s.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+s.bearer)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, s.unanswered(ctx, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxFile))
	if err != nil {
		return nil, err
	}
	p := &customersProblem{wait: resp.Header.Get("Retry-After")}
	if json.Unmarshal(raw, &p.Problem) != nil || p.Status == 0 {
		return nil, refusal("the customer log's server answers %s", resp.Status).hint("if that is another server, check the URL")
	}
	return nil, p.failure()
}

// post asks with a JSON body.
func (s *customersServer) post(ctx context.Context, path string, query, answer any) error {
	body, err := json.Marshal(query)
	if err != nil {
		return err
	}
	return s.request(ctx, http.MethodPost, "/v1/customers/"+path, "application/json", body, answer)
}

func (s *customersServer) get(ctx context.Context, path string, answer any) error {
	return s.request(ctx, http.MethodGet, "/v1/customers/"+path, "application/json", nil, answer)
}

// customersProblem is a refusal of the log's server.
type customersProblem struct {
	customers.Problem
	wait string
}

func (p *customersProblem) Error() string { return cmp.Or(p.Detail, p.Title) }

// failure is its exit status and what to do next.
func (p *customersProblem) failure() error {
	words := p.Error()
	for _, f := range p.Faults {
		words += "\n" + f.String()
	}
	f := &failure{status: exitRefused, err: fmt.Errorf("%s%w", words, quiet{p})}
	switch p.Type {
	case record.ProblemURN + "locked":
		f.status, f.nextStep = exitNotYet, "docket customers unlock, then the same command again"
	case record.ProblemURN + "malformed":
		f.status = exitMisused
	case record.ProblemURN + "unknown-client":
		f.nextStep = "whoever runs the server lets you in: docket customers access add, and a new start of docket customers serve"
	default:
		if p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests {
			f.status, f.nextStep = exitNotYet, "run the same command again"
			if p.wait != "" {
				f.nextStep += " in " + p.wait + " s"
			}
		}
	}
	return f
}

// quiet is in an error's tree and adds no words.
type quiet struct{ error }

func (quiet) Error() string   { return "" }
func (q quiet) Unwrap() error { return q.error }

// withServer runs a verb against whoever serves the directory.
func (f *customersFlags) withServer(run func(c *cobra.Command, s *customersServer, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) (err error) {
		s, err := f.connect(c)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.end()) }()
		return run(c, s, args)
	}
}
