package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/customernode"
	"github.com/seed-53cf897a/docket/server/customers"
)

// The environment variables that stand in for --server and --access.
const (
	customersServerEnv = "DOCKET_CUSTOMERS_SERVER"
	accessEnv          = "DOCKET_ACCESS"
)

// withServerFlags lets a verb ask a server elsewhere.
func (f *customersFlags) withServerFlags(c *cobra.Command) *customersFlags {
	c.Flags().StringVar(&f.server, "server", f.app.getenv(customersServerEnv), "URL of the log's server, in place of --dir: docket customers serve --listen (or $"+customersServerEnv+")")
	c.Flags().StringVar(&f.access, "access", f.app.getenv(accessEnv), "with --server: file of your key, or of your certificate and its private key in PEM (or $"+accessEnv+")")
	return f
}

// remote tells whether a server elsewhere is to be asked. What stands on the command line goes
// before the environment.
func (f *customersFlags) remote(c *cobra.Command) (bool, error) {
	given := c.Flags().Changed
	switch {
	case given("server") && given("dir"):
		return false, usageErrorOf(c, "--dir has no effect beside --server: it is one or the other")
	case f.server == "", given("dir") && !given("server"):
		return false, idle(c, "without --server: over the socket in the directory its owner asks", "access")
	case f.dir != "" && !given("server"):
		return false, usageError("$%s and $%s are both set", customersEnv, customersServerEnv).hint("name one with --dir DIR or --server URL")
	}
	return true, nil
}

// dialRemote is a server elsewhere, which knows who asks by a key or a certificate.
func (f *customersFlags) dialRemote(ctx context.Context) (*customersServer, error) {
	at, err := url.Parse(f.server)
	if err != nil || at.Host == "" || at.User != nil || at.RawQuery != "" || at.Fragment != "" || at.Scheme != "https" && at.Scheme != "http" {
		return nil, usageError("--server %s: want the URL that docket customers serve --listen prints", f.server).hint("like https://customers.acme.example:8443")
	}
	secure := at.Scheme == "https"
	if !secure && !loopback(net.JoinHostPort(at.Hostname(), cmp.Or(at.Port(), "80"))) {
		return nil, usageError("--server %s: without TLS others could read what is asked and answered", f.server).hint("want https:// where it is not this machine")
	}
	if f.access == "" {
		return nil, usageError("who asks?").hint("name your key, or your certificate, with --access FILE or $%s; docket customers access add lets one in", accessEnv)
	}
	who, err := f.readAccess(secure)
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSHandshakeTimeout = 10 * time.Second
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: who.certificates}
	server := &customersServer{base: strings.TrimSuffix(at.String(), "/"), bearer: who.key, served: true, http: http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // a body with a customer goes to nobody else
	}}, end: func() error { transport.CloseIdleConnections(); return nil }}
	var about customers.About
	err = server.get(ctx, "about", &about)
	var p *customersProblem
	if err != nil && !(errors.As(err, &p) && p.Status == http.StatusNotFound) {
		return nil, err
	}
	if err != nil || about.Party == "" || about.Ledger.IsZero() {
		return nil, refusal("%s does not answer as the server of a customer log", f.server).hint("check the URL: docket customers serve --listen prints it")
	}
	server.settings = customernode.Settings{Party: about.Party, Ledger: about.Ledger, Origin: about.Origin, Zone: about.Zone}
	return server, nil
}

// access is by what a client is known.
type access struct {
	key          string
	certificates []tls.Certificate
}

func (f *customersFlags) readAccess(secure bool) (who access, err error) {
	raw, err := f.app.readFile(f.access)
	if err != nil {
		return who, err
	}
	defer clear(raw)
	f.app.warnOfReaders(f.access)
	if block, _ := pem.Decode(raw); block == nil {
		if who.key = strings.TrimSpace(string(raw)); !customers.IsKey(who.key) {
			return who, wrongFileError(f.access, raw, "a client's key, or its certificate and private key in PEM", nil)
		}
		return who, nil
	}
	if !secure {
		return who, usageError("%s is a certificate, and that is shown over TLS alone", f.access).hint("want https:// in --server, or a key")
	}
	one, err := tls.X509KeyPair(raw, raw)
	if err != nil {
		return who, usageError("%s: %w", f.access, err).hint("it has both, as PEM: cat CERTIFICATE.pem PRIVATE-KEY.pem > %s; the private key under no password", f.access)
	}
	who.certificates = []tls.Certificate{one}
	return who, nil
}

// ownBase is how the server of the directory is named in requests, which go over its socket.
const ownBase = "http://customers"

// unanswered says what to do where no answer came.
func (s *customersServer) unanswered(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f := notYet("asking the customer log's server: %w", err)
	if s.base == ownBase {
		return f.hint("it has ended; run the same command again")
	}
	status, next := exitStatusOf(err)
	if next == "" {
		status, next = exitNotYet, "it is out of reach: check its URL, or run the same command again later"
	}
	f.status, f.nextStep = status, next
	return f
}
