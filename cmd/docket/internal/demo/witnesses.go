package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/witnessnode"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
)

// witnessNode is one witness of the story.
type witnessNode struct {
	name    string // w1
	url     string
	address string
	config  witness.Config

	w     *witness.Witness
	end   context.CancelFunc
	ended chan error
}

// newWitnesses makes three witnesses with their keys and states, each the others' peer.
func (s *scenario) newWitnesses(ctx context.Context, keys node.Keys, ledgerURL string) error {
	var logKeys []proof.Key
	for _, k := range keys.Signers {
		logKeys = append(logKeys, k.Key())
	}
	logs := witness.LogList{{Origin: origin, Keys: logKeys, QPD: 1_000_000, Contact: "the demo"}}
	for i := range 3 {
		name := fmt.Sprintf("w%d", i+1)
		dir := filepath.Join(s.dir, "witnesses", name)
		own, err := witnessnode.Init(ctx, dir, name+".demo.example/docket", "")
		if err != nil {
			return err
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		p := &witnessNode{name: name, url: "http://" + l.Addr().String(), address: l.Addr().String(), config: witness.Config{
			Keys: own, FS: vfs.Default, Dir: dir, Logs: logs, Sources: map[string][]string{origin: {ledgerURL}}, Log: slog.New(slog.DiscardHandler),
		}}
		if err := l.Close(); err != nil {
			return err
		}
		s.witnessNodes = append(s.witnessNodes, p)
	}
	for _, p := range s.witnessNodes {
		for _, other := range s.witnessNodes {
			if other != p {
				p.config.Peers = append(p.config.Peers, other.url)
			}
		}
	}
	return nil
}

// start opens the witness and serves it until stop.
func (p *witnessNode) start(ctx context.Context) error {
	w, err := witness.Open(p.config)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", p.address)
	if err != nil {
		return errors.Join(err, w.Close())
	}
	ctx, p.end = context.WithCancel(ctx)
	p.w, p.ended = w, make(chan error, 1)
	go func() {
		p.ended <- witnessnode.Server{Witness: w, GossipInterval: time.Minute, Log: p.config.Log}.Serve(ctx, l)
	}()
	return nil
}

// stop ends the witness, as a broken machine would.
func (p *witnessNode) stop() error {
	if p.w == nil {
		return nil
	}
	p.end()
	err := errors.Join(<-p.ended, p.w.Close())
	p.w = nil
	return err
}

// policyLines are the witnesses as a policy names them: two keys of one operator
// stand in one group.
func (s *scenario) policyLines() string {
	var b strings.Builder
	var groups []string
	for _, p := range s.witnessNodes {
		var members []string
		for i, k := range p.config.Keys {
			member := p.name + []string{"e", "m"}[i]
			members = append(members, member)
			fmt.Fprintf(&b, "witness %s %s %s\n", member, k.Key(), p.url)
		}
		groups = append(groups, p.name)
		fmt.Fprintf(&b, "group %s any %s\n", p.name, strings.Join(members, " "))
	}
	fmt.Fprintf(&b, "group two-of-three 2 %s\nquorum two-of-three\n", strings.Join(groups, " "))
	return b.String()
}
