package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/customernode"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/ownsocket"
	private "github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/server/customers"
	"github.com/seed-53cf897a/docket/server/front"
)

// unlockedHere is who unlocks the vault from a command line.
var unlockedHere = private.Who{By: "owner", Role: string(customers.Compliance)}

func (a *app) customersServe() *cobra.Command {
	var listen, metrics string
	var keys []string
	var t tlsFlags
	c := &cobra.Command{
		Use:   "serve --dir C [--listen ADDRESS]",
		Short: "Take events, answer questions, lock the vault when nobody asks",
		Long: `Serves a customer log on the socket C/serve.sock, which its owner alone may open, and
with --listen over HTTP too: on loopback for those who show a key (docket customers access),
elsewhere with TLS (--tls-cert, --tls-key) for those who show a key or a certificate. The
same address has pages for the compliance team, in any browser: what is late, a customer's
events, hits to decide, holds, disclosures, periods, who looked.

The vault is locked at first: nothing is read and no event is taken, 503 with Retry-After,
before docket customers unlock. It locks again on SIGHUP, and after 15 minutes without a
call of any kind, or what lockAfter in C/customers.json says. Where events have to be taken
in day and night, whoever sends them keeps it open.

With --identity it is unlocked from the start: then the key lies on a disk beside it.

With --publish-key, a key of the party's automation, it also closes and publishes each
period on the day by which the ledger wants it, the first at once, as docket customers
publish does. While the vault is locked what is due waits, and says so in the log, the
metrics and /healthz; a failure is tried again, and a record that is late, or that the log
does not lead up to, is an alarm in all three. It keeps no vault open.

The copy of the ledger in --trust, or in the trust directory of C/customers.json, says which
requests wait for an answer and so keep customers from being erased.

The log of requests goes to stderr, without bodies and without names of customers. On SIGINT
or SIGTERM it finishes what is at work and ends with status 0.`,
		Example: `  docket customers serve --dir C
  docket customers serve --dir C --listen 127.0.0.1:8471
  docket customers serve --dir C --listen :8443 --tls-cert cert.pem --tls-key key.pem
  docket customers serve --dir C --publish-key ci.key --trust trust`,
		Args: cobra.NoArgs,
	}
	f := a.customersFlags(c)
	trust := a.trustFlags(c).addLedgerFlag(c).withMaxAgeFlag(c)
	c.Flags().StringArrayVar(&keys, "publish-key", nil, "publish each period when it is due, signed with this private key file or KMS URI; may be repeated")
	c.Flags().StringVar(&f.identity, "identity", "", "file of the vault's secret key: unlock it at once")
	c.Flags().StringVar(&listen, "listen", "", "address to listen on besides the socket; without TLS, on loopback only")
	c.Flags().StringVar(&metrics, "metrics-listen", "", "address of a listener for Prometheus alone, at /metrics, plain HTTP (default: none)")
	t.flags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if len(keys) == 0 {
			if err := idle(c, "without --publish-key: nothing is published", "ledger", "max-age"); err != nil {
				return err
			}
		}
		s, err := f.settings()
		if err != nil {
			return err
		}
		f.trust = trust.dir
		log := a.eventLog(false)
		secure, err := t.config(log)
		if err != nil {
			return err
		}
		if err := mayListen(listen, secure); err != nil {
			return err
		}
		if err := checkFreeSpace(vfs.Default, f.dir); err != nil {
			return err
		}
		n, err := customernode.Lock(customernode.Config{Dir: f.dir, Settings: s, Log: log, Fatal: endFailed})
		if errors.Is(err, customernode.ErrInUse) {
			return notYet("%w", err).hint("end that one first; one process at a time has it open")
		} else if err != nil {
			return err
		}
		defer n.Close()
		var others, forMetrics net.Listener
		if metrics != "" {
			if forMetrics, err = listenOn("--metrics-listen", metrics); err != nil {
				return err
			}
		}
		server, err := f.newServer(a.silent(log), n, s, log, forMetrics)
		if err != nil {
			return err
		}
		var publishing *publisher
		if len(keys) > 0 {
			if publishing, err = f.publisher(c, server, s, keys, trust, log); err != nil {
				return err
			}
		}
		if f.identity != "" {
			ids, err := a.identities(c.Context(), f.identity)
			if err != nil {
				return err
			}
			if err := server.Unlock(c.Context(), unlockedHere, ids...); err != nil {
				return f.vaultError(err)
			}
		}
		own, err := ownsocket.Listen(f.dir, customernode.SocketFile)
		if err != nil {
			return refusal("%w", err)
		}
		where := "unix:" + own.Addr().String()
		if listen != "" {
			if others, err = listenOn("--listen", listen); err != nil {
				return errors.Join(err, own.Close())
			}
			where = urlOf(others, secure)
		}
		a.printf("%s\n", where)
		log.Info("serving", "origin", s.Origin, "url", where, "locked", server.Locked(), "pid", os.Getpid())
		err = runCustomers(c.Context(), server, publishing, own, others, secure)
		if errors.Is(err, customers.ErrStopped) {
			return refusal("%w", err).hint("start it again: the next start recovers")
		} else if err != nil {
			return err
		}
		log.Info("ended", "origin", s.Origin)
		return n.Close()
	}
	return c
}

// mayListen refuses plain HTTP where others could read it.
func mayListen(address string, secure *tls.Config) error {
	if address == "" || secure != nil {
		if secure != nil {
			secure.ClientAuth = tls.RequestClientCert // by its fingerprint it is known, whoever issued it
		}
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return usageError("--listen %s: %w", address, err).hint("an address is HOST:PORT of this machine, like 127.0.0.1:8471")
	}
	if ip, err := netip.ParseAddr(host); host == "localhost" || err == nil && ip.IsLoopback() {
		return nil
	}
	return usageError("--listen %s without TLS: others could read what is asked and answered", address).
		hint("listen on loopback, like 127.0.0.1:8471, or give --tls-cert and --tls-key")
}

// runCustomers serves until ctx ends, locks the vault on SIGHUP and when nobody asks, and
// publishes on schedule where there is somebody who does.
func runCustomers(ctx context.Context, server *customers.Server, publishing *publisher, own, others net.Listener, secure *tls.Config) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	var beside sync.WaitGroup
	beside.Go(func() { server.LockWhenIdle(ctx) })
	if publishing != nil {
		beside.Go(func() { server.PublishOnSchedule(ctx, publishing) })
	}
	beside.Go(func() {
		for {
			select {
			case <-hangup:
				server.Lock(ctx, private.Who{By: "docket", Reason: "SIGHUP"})
			case <-ctx.Done():
				return
			}
		}
	})
	ended := make(chan error, 2)
	running := 1
	go func() { ended <- server.Serve(ctx, own, front.Config{}, true) }()
	if others != nil {
		running++
		go func() { ended <- server.Serve(ctx, others, front.Config{TLS: secure}, false) }()
	}
	var errs []error
	for range running {
		if err := <-ended; err != nil {
			errs = append(errs, err)
		}
		stop()
	}
	beside.Wait()
	return errors.Join(errs...)
}

func (a *app) customersUnlock() *cobra.Command {
	c := &cobra.Command{
		Use:   "unlock --dir C --identity FILE",
		Short: "Unlock the vault of a log that is served",
		Long: `Unlocks the vault of a customer log that docket customers serve has open, over its
socket. The key's password, if it has one, is asked for here, or is in $` + passwordEnv + `; the
server keeps neither key nor file. A plug-in of age runs where the server does. With --server
the key goes to that machine, which then could keep it: whose it is has to be trusted so far.`,
		Example: `  docket customers unlock --dir C --identity vault.key`,
		Args:    cobra.NoArgs,
	}
	f := a.customersFlags(c).withIdentity(c).withServerFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if f.identity == "" {
			return usageError("which key?").hint("name the vault's secret key with --identity FILE or $%s", identityEnv)
		}
		ids, err := a.identities(c.Context(), f.identity)
		if err != nil {
			return err
		}
		var text bytes.Buffer
		defer func() { clear(text.Bytes()) }()
		for _, id := range ids {
			fmt.Fprintln(&text, id) // age's own text of it, which the socket alone sees
		}
		server, err := f.dialServing(c)
		if err != nil {
			return err
		}
		defer server.end()
		ctx, cancel := context.WithTimeout(c.Context(), 10*time.Minute) // a long log may have much to replay
		defer cancel()
		if err := server.request(ctx, "POST", "/v1/customers/unlock", "text/plain", text.Bytes(), nil); err != nil {
			return err
		}
		a.logf("unlocked")
		return nil
	}
	return c
}

// dialServing asks whoever serves, and nobody else.
func (f *customersFlags) dialServing(c *cobra.Command) (*customersServer, error) {
	if elsewhere, err := f.remote(c); err != nil {
		return nil, err
	} else if elsewhere {
		return f.dialRemote(c.Context())
	}
	s, err := f.settings()
	if err != nil {
		return nil, err
	}
	server, err := f.dial(c.Context(), s)
	if err != nil {
		return nil, notYet("nobody serves %s", f.dir).hint("docket customers serve --dir %s", f.dir)
	}
	return server, nil
}

func (a *app) customersLock() *cobra.Command {
	c := &cobra.Command{
		Use:     "lock --dir C",
		Short:   "Lock the vault of a log that is served",
		Long:    "Locks the vault of a customer log that docket customers serve has open, as SIGHUP does.",
		Example: `  docket customers lock --dir C`,
		Args:    cobra.NoArgs,
	}
	f := a.customersFlags(c).withServerFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		server, err := f.dialServing(c)
		if err != nil {
			return err
		}
		defer server.end()
		if err := server.post(c.Context(), "lock", struct{}{}, nil); err != nil {
			return err
		}
		a.logf("locked")
		return nil
	}
	return c
}
