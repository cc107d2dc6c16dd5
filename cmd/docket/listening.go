package main

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/server/front"
)

// listenFlags is what the flags of whatever serves strangers say of its listeners and
// their bounds.
type listenFlags struct {
	address, metrics              string
	proxies                       []string
	maxConnections, maxPerAddress int
}

func (l *listenFlags) flags(c *cobra.Command, address string, most int) {
	f := c.Flags()
	f.StringVar(&l.address, "listen", address, "address to listen on; port 0 takes a free one")
	f.StringVar(&l.metrics, "metrics-listen", "", "address of a listener for Prometheus alone, at /metrics, plain HTTP: one that strangers cannot reach (default: none)")
	f.StringSliceVar(&l.proxies, "trusted-proxy", nil, "address or network of a proxy before the server, behind which many clients have one address; may be repeated")
	f.IntVar(&l.maxConnections, "max-connections", most, "connections open at once")
	f.IntVar(&l.maxPerAddress, "max-address-connections", 0, "connections of one address (/64 of IPv6) open at once; 0 means an eighth of all")
}

// open opens the listeners; that of the metrics is nil unless it was asked for.
func (l *listenFlags) open() (main, metrics net.Listener, err error) {
	if main, err = listenOn("--listen", l.address); err != nil || l.metrics == "" {
		return main, nil, err
	}
	if metrics, err = listenOn("--metrics-listen", l.metrics); err != nil {
		main.Close()
	}
	return main, metrics, err
}

func listenOn(flag, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, refusal("listening on %s: %w", address, err).hint("another process has the port: end it, or name another with %s", flag)
	case err != nil:
		return nil, usageError("listening on %s: %w", address, err).hint("an address is HOST:PORT of this machine, like 127.0.0.1:8470 or :443")
	}
	return l, nil
}

// proxyPrefixes refuses bounds that no server can keep, and reads the proxies.
func (l *listenFlags) proxyPrefixes() ([]netip.Prefix, error) {
	if l.maxConnections < 1 || l.maxPerAddress < 0 {
		return nil, usageError("--max-connections %d, --max-address-connections %d: want a number of connections", l.maxConnections, l.maxPerAddress)
	}
	proxies, err := front.ParseProxies(l.proxies)
	if err != nil {
		return nil, usageError("--trusted-proxy: %w", err)
	}
	return proxies, nil
}

// allowedConnections is how many there may be: half of what the process may open, since a store
// that can open no file ends it.
func (l *listenFlags) allowedConnections(log *slog.Logger) int {
	files := maxOpenFiles()
	if uint64(l.maxConnections) <= files/2 {
		return l.maxConnections
	}
	log.Warn("this process may open few files, so it takes fewer connections; raise the limit (ulimit -n, LimitNOFILE)",
		"files", files, "connections", files/2)
	return int(files / 2)
}
