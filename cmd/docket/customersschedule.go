package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/customernode"
	private "github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/view"
	"github.com/seed-53cf897a/docket/server/customers"
)

// publisher publishes for docket customers serve, as docket customers publish does. What that
// prints goes to the log of the server.
type publisher struct {
	app    *app
	dir    string
	keys   []string
	trust  trustFlags
	server *customersServer // this process's own
}

// publisher is one for a server. Its keys are opened once here, so that what is wrong with them is
// known before the first period is due.
func (f *customersFlags) publisher(c *cobra.Command, server *customers.Server, s customernode.Settings, keys []string, trust *trustFlags, log *slog.Logger) (*publisher, error) {
	for _, key := range keys {
		if _, err := f.app.signerFor(c, key); err != nil {
			return nil, err
		}
	}
	p := &publisher{app: f.app.silent(log), dir: f.dir, keys: keys, trust: *trust, server: &customersServer{
		settings: s, base: ownBase, http: http.Client{Transport: inProcess{customers.AsSchedule(server.Handler())}}, end: func() error { return nil },
	}}
	p.trust.app = p.app
	if p.trust.dir == "" {
		p.trust.dir = s.Trust
	}
	opened, err := p.trust.open()
	if err != nil {
		return nil, err
	}
	if opened.Ledger() != s.Ledger {
		err = usageError("%s is of another ledger than the log", p.trust.dir).hint("name the trust directory of ledger %.8s… with --trust", s.Ledger)
	}
	return p, errors.Join(err, opened.Close())
}

// silent is for what verbs do within a server: nobody is asked, and what is said goes to its log.
func (a *app) silent(log *slog.Logger) *app {
	silent := *a
	silent.in, silent.out, silent.err, silent.tty, silent.prompt = strings.NewReader(""), io.Discard, logLines{log}, false, nil
	return &silent
}

// command is what the verbs take their context from.
func (p *publisher) command(ctx context.Context) *cobra.Command {
	c := &cobra.Command{}
	c.SetContext(ctx)
	return c
}

// Owed implements [customers.Publisher].
func (p *publisher) Owed(ctx context.Context) (owed customers.Owed, err error) {
	trust, err := p.trust.open()
	if err != nil {
		return owed, err
	}
	defer trust.Close()
	if _, err := p.trust.syncOrWarn(p.command(ctx), trust); err != nil {
		return owed, err
	}
	reg, err := trust.Register()
	if err != nil {
		return owed, err
	}
	v, err := trust.ViewAt(reg.Size())
	if err != nil {
		return owed, err
	}
	party := p.server.settings.Party
	newest, err := v.CustomerLog(party)
	if err != nil || newest == nil {
		return owed, err
	}
	owed.Newest = newest.Until
	err = v.Duties(view.DutyFilter{Party: party, Kind: view.DutyCustomerLog}, time.Now(), func(d view.Duty) bool {
		if d.Due != nil && (d.State == view.DutyOpen || d.State == view.DutyOverdue) {
			owed.By = *d.Due
		}
		return true
	})
	return owed, err
}

// Publish implements [customers.Publisher].
func (p *publisher) Publish(ctx context.Context, until record.Date) error {
	run := customersPublish{app: p.app, f: &customersFlags{app: p.app, dir: p.dir}}
	run.submit = submitCmd{app: p.app, chain: true, yes: true, trust: &p.trust, keys: p.keys, wait: 30 * time.Second}
	c := p.command(ctx)
	err := run.catchUp(c, p.server)
	if err == nil && !until.IsZero() {
		err = run.closeAndPublish(c, p.server, until)
	}
	var refused *customersProblem
	if errors.As(err, &refused) {
		switch refused.Type {
		case record.ProblemURN + "locked":
			return vault.ErrLocked
		case record.ProblemURN + "not-led-up":
			return fmt.Errorf("%w%w", err, quiet{private.ErrNotLedUp})
		}
	}
	return err
}

// logLines writes what a verb prints for people into a log, line by line.
type logLines struct{ log *slog.Logger }

func (l logLines) Write(text []byte) (int, error) {
	for line := range strings.Lines(string(text)) {
		l.log.Info("by the ledger", "said", strings.TrimSuffix(line, "\n"))
	}
	return len(text), nil
}

// inProcess asks a handler of this process, without a network.
type inProcess struct{ http.Handler }

// RoundTrip implements [http.RoundTripper]. Answers are held whole: those of publishing are
// small.
func (h inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := &heldAnswer{header: http.Header{}, status: http.StatusOK}
	h.ServeHTTP(w, r)
	return &http.Response{
		Status: fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)), StatusCode: w.status, Header: w.header,
		Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

type heldAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *heldAnswer) Header() http.Header         { return a.header }
func (a *heldAnswer) WriteHeader(status int)      { a.status = status }
func (a *heldAnswer) Write(b []byte) (int, error) { return a.body.Write(b) }
