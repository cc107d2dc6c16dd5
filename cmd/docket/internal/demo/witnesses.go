package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/witnessnode"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
	"github.com/seed-53cf897a/docket/witness/gossip"
)

// witnessNode is one witness of the story.
type witnessNode struct {
	name    string // w1
	url     string
	address string
	config  witness.Config

	listener net.Listener // of an address that is taken and not yet served
	w        *witness.Witness
	end      context.CancelFunc
	ended    chan error
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
		own, err := witnessnode.Init(ctx, dir, name+".demo.example/docket", "", s.fatal)
		if err != nil {
			return err
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		p := &witnessNode{name: name, url: "http://" + l.Addr().String(), address: l.Addr().String(), listener: l, config: witness.Config{
			Keys: own, FS: vfs.Default, Dir: dir, Logs: logs, Sources: map[string][]string{origin: {ledgerURL}}, Log: slog.New(slog.DiscardHandler), Fatal: s.fatal,
		}}
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
	l := p.listener // kept since its port was chosen, which somebody else would take
	if p.listener = nil; l == nil {
		if l, err = net.Listen("tcp", p.address); err != nil {
			return errors.Join(err, w.Close())
		}
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
		if l := p.listener; l != nil {
			p.listener = nil
			return l.Close()
		}
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

// printWitnesses tells how it went without one of them, and lets the operator's key sign
// a second history.
func (s *scenario) printWitnesses(ctx context.Context) error {
	s.printChapter("witnesses")
	alone := s.sentWithoutW2.receipt.Published()
	who := alone.SatisfiedMembers(alone.LastCosignedAt())
	if !slices.Equal(who, []string{"w1", "w3"}) {
		s.unexpected++
	}
	s.printOutcome("w2 stopped", "before #12: receipts go on (2 of 3)", "cosigned by "+strings.Join(who, ", "))

	note, err := s.signFork(ctx)
	if err != nil {
		return err
	}
	var refusers []string
	for _, p := range []*witnessNode{s.witnessNodes[0], s.witnessNodes[2]} {
		if s.refusesToCosign(ctx, p, note) {
			refusers = append(refusers, p.name)
		}
	}
	if len(refusers) != 2 {
		s.unexpected++
		s.printOutcome("fork", "the operator's key signs a second history", "COSIGNED")
		return nil
	}
	s.refusals++
	if _, err := s.catchFork(ctx, note); err != nil {
		return err
	}
	s.printOutcome("fork", "the operator's key signs a second history", "refused by "+strings.Join(refusers, ", ")+"; evidence in "+filepath.Join(s.dir, "evidence"))
	s.printDetail("gossip", "w2, back and never asked, was handed the second history and holds the proof")
	return s.acknowledgeEvidence()
}

// signFork signs another history of the same size, with the log's real keys: the last
// entry is another one.
func (s *scenario) signFork(ctx context.Context) ([]byte, error) {
	cp := s.node.Ledger.Published().Checkpoint()
	entries, err := s.node.Ledger.Entries(ctx, 0, cp.Size)
	if err != nil {
		return nil, err
	}
	entries[cp.Size-1] = []byte("what an operator would rather have there")
	cp.Root = rootOf(entries)
	signed, err := proof.SignCheckpoint(cp, s.keys.Signers...)
	if err != nil {
		return nil, err
	}
	return signed.Note(), nil
}

// rootOf is RFC 6962's tree hash, as its section 2.1 writes it.
func rootOf(entries [][]byte) proof.Hash {
	switch n := len(entries); n {
	case 0:
		return proof.EmptyRoot()
	case 1:
		return proof.LeafHash(entries[0])
	default:
		k := 1
		for k*2 < n {
			k *= 2
		}
		return proof.NodeHash(rootOf(entries[:k]), rootOf(entries[k:]))
	}
}

// refusesToCosign asks a witness to cosign the second history.
func (s *scenario) refusesToCosign(ctx context.Context, p *witnessNode, note []byte) bool {
	w, err := wire.NewWitness(p.url, nil)
	if err != nil {
		return false
	}
	_, err = w.AddCheckpoint(ctx, wire.AddCheckpoint{Old: s.node.Ledger.Published().Checkpoint().Size, Note: note})
	return err != nil
}

// catchFork starts the stopped witness, which was asked to cosign neither history,
// gives it the forked checkpoint as a client would, and runs one round of gossip, from
// which it learns the first history. The evidence is written to a file and verified
// from there.
func (s *scenario) catchFork(ctx context.Context, note []byte) (*proof.SplitView, error) {
	back := s.witnessNodes[1]
	if err := back.start(ctx); err != nil {
		return nil, err
	}
	face, err := wire.NewWitness(back.url, nil)
	if err != nil {
		return nil, err
	}
	if err := face.AddSeenCheckpoint(ctx, note); err != nil {
		return nil, err
	}
	back.w.Gossip(ctx)
	kept, err := back.w.Evidence().List()
	if err != nil {
		return nil, err
	}
	if len(kept) != 1 {
		return nil, fmt.Errorf("%s holds %d pieces of evidence of one fork", back.name, len(kept))
	}
	if err := os.MkdirAll(filepath.Join(s.dir, "evidence"), 0o755); err != nil {
		return nil, err
	}
	name := filepath.Join("evidence", kept[0].ID[:16]+proof.EvidenceSuffix)
	if err := s.write(name, kept[0].File); err != nil {
		return nil, err
	}
	file, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		return nil, err
	}
	e, err := proof.ParseEvidence(file)
	if err != nil {
		return nil, err
	}
	return e.Verify(s.policy.LogKeys(origin)...)
}

// acknowledgeEvidence is a person at each witness: until then nothing more is cosigned. The demo is
// that person, since its ledger is to go on.
func (s *scenario) acknowledgeEvidence() error {
	for _, p := range s.witnessNodes {
		kept, err := p.w.Evidence().List()
		if err != nil {
			return err
		}
		for _, k := range kept {
			if k.Acknowledged != nil {
				continue
			}
			if err := p.w.Evidence().Acknowledge(k.ID, gossip.Acknowledgement{By: "the demo", Reason: "the fork was part of the story"}); err != nil {
				return err
			}
		}
	}
	return nil
}
