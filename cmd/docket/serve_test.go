package main

import (
	"io"
	"log/slog"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/witnessnode"
	"github.com/seed-53cf897a/docket/server"
)

// Each flag of serve reaches the configuration of what does its work, and nothing else: what
// a configuration does is shown beside what it configures. Those left out here are shown by
// scripts, with a server that runs.
func TestServeFlagsReachTheirConfig(t *testing.T) {
	configs := func(line string) (*node.Config, *server.Config) {
		t.Helper()
		var s serveFlags
		c := new(cobra.Command)
		s.flags(c)
		if err := c.ParseFlags(strings.Fields(line)); err != nil {
			t.Fatal(err)
		}
		n, h, err := s.configs(slog.New(slog.NewTextHandler(io.Discard, nil)))
		if err != nil {
			t.Fatal(err)
		}
		n.Log = nil
		return &n, &h
	}
	rows := map[string]struct {
		value string
		set   func(n *node.Config, h *server.Config)
	}{
		"dir":                     {"D", func(n *node.Config, h *server.Config) { n.Dir = "D" }},
		"min-free":                {"7", func(n *node.Config, h *server.Config) { n.MinFree = 7 << 20 }},
		"issuer-rate":             {"7", func(n *node.Config, h *server.Config) { h.IssuerRate.PerSecond = 7 }},
		"issuer-burst":            {"7", func(n *node.Config, h *server.Config) { h.IssuerRate.Burst = 7 }},
		"publish-wait":            {"7s", func(n *node.Config, h *server.Config) { h.PublishWait = 7 * time.Second }},
		"publish-interval":        {"7s", func(n *node.Config, h *server.Config) { n.Ledger.PublishInterval = 7 * time.Second }},
		"commit-interval":         {"7s", func(n *node.Config, h *server.Config) { n.Ledger.CommitInterval = 7 * time.Second }},
		"heartbeat":               {"7s", func(n *node.Config, h *server.Config) { n.Ledger.RecosignInterval = 7 * time.Second }},
		"witness-timeout":         {"7s", func(n *node.Config, h *server.Config) { n.Cosignatures.Timeout = 7 * time.Second }},
		"witness-interval":        {"w1=7s", func(n *node.Config, h *server.Config) { n.Cosignatures.MinInterval["w1"] = 7 * time.Second }},
		"new-log":                 {"true", func(n *node.Config, h *server.Config) { n.Ledger.NewLog = true }},
		"trusted-proxy":           {"192.0.2.7", func(n *node.Config, h *server.Config) { h.Proxies = []string{"192.0.2.7"} }},
		"max-connections":         {"7", func(n *node.Config, h *server.Config) { h.MaxConnections = 7 }},
		"max-address-connections": {"7", func(n *node.Config, h *server.Config) { h.MaxPerAddress = 7 }},
	}
	elsewhere := []string{"store", "standby", "lease", "url", "listen", "auditor", "metrics-listen", "tls-cert", "tls-key", "verbose"}
	c := new(cobra.Command)
	new(serveFlags).flags(c)
	c.Flags().VisitAll(func(f *pflag.Flag) {
		row, ok := rows[f.Name]
		if !ok {
			if !strings.Contains(strings.Join(elsewhere, " "), f.Name) {
				t.Errorf("--%s: nothing says where it goes", f.Name)
			}
			return
		}
		wantNode, wantServer := configs("")
		row.set(wantNode, wantServer)
		gotNode, gotServer := configs("--" + f.Name + "=" + row.value)
		if !reflect.DeepEqual(gotNode, wantNode) || !reflect.DeepEqual(gotServer, wantServer) {
			t.Errorf("--%s %s:\n%+v\n%+v\nwant\n%+v\n%+v", f.Name, row.value, gotNode, gotServer, wantNode, wantServer)
		}
	})
}

// So do those of witness serve.
func TestWitnessFlagsReachTheirConfig(t *testing.T) {
	configs := func(line string) (*witnessFlags, *witnessnode.Server) {
		t.Helper()
		var s witnessServeFlags
		c := new(cobra.Command)
		s.flags(c)
		if err := c.ParseFlags(strings.Fields(line)); err != nil {
			t.Fatal(err)
		}
		p, h, err := s.configs(nil)
		if err != nil {
			t.Fatal(err)
		}
		h.Metrics = nil
		return &p, &h
	}
	for flag, set := range map[string]func(p *witnessFlags, h *witnessnode.Server){
		"--min-free 7": func(p *witnessFlags, h *witnessnode.Server) { p.minFree = 7 << 20 },
		"--gossip 7s":  func(p *witnessFlags, h *witnessnode.Server) { h.GossipInterval = 7 * time.Second },
		"--trusted-proxy 192.0.2.7": func(p *witnessFlags, h *witnessnode.Server) {
			h.Proxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32")}
		},
		"--max-connections 7":         func(p *witnessFlags, h *witnessnode.Server) { h.MaxConnections = 7 },
		"--max-address-connections 7": func(p *witnessFlags, h *witnessnode.Server) { h.MaxPerAddress = 7 },
	} {
		wantWitness, wantServer := configs("")
		set(wantWitness, wantServer)
		gotWitness, gotServer := configs(flag)
		if !reflect.DeepEqual(gotWitness, wantWitness) || !reflect.DeepEqual(gotServer, wantServer) {
			t.Errorf("%s:\n%+v\n%+v\nwant\n%+v\n%+v", flag, gotWitness, gotServer, wantWitness, wantServer)
		}
	}
}
