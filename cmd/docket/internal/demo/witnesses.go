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
	"github.com/seed-53cf897a/docket/cmd/docket/internal/stand"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
)

// post is one witness of the story.
type post struct {
	name    string // w1
	url     string
	address string
	config  witness.Config

	w     *witness.Witness
	end   context.CancelFunc
	ended chan error
}

// newPosts makes three witnesses with their keys, each the others' peer.
func (s *story) newPosts(ctx context.Context, keys node.Keys, ledgerURL string) error {
	var logKeys []proof.Key
	for _, k := range keys.Signers {
		logKeys = append(logKeys, k.Key())
	}
	logs := witness.LogList{{Origin: origin, Keys: logKeys, QPD: 1_000_000, Contact: "the demo"}}
	for i := range 3 {
		name := fmt.Sprintf("w%d", i+1)
		dir := filepath.Join(s.dir, "witnesses", name)
		own, err := stand.CreateKeys(ctx, dir, name+".demo.example/docket", "")
		if err != nil {
			return err
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		p := &post{name: name, url: "http://" + l.Addr().String(), address: l.Addr().String(), config: witness.Config{
			Keys: own, FS: vfs.Default, Dir: dir, Logs: logs, Sources: map[string][]string{origin: {ledgerURL}}, Log: slog.New(slog.DiscardHandler),
		}}
		if err := l.Close(); err != nil {
			return err
		}
		s.posts = append(s.posts, p)
	}
	for _, p := range s.posts {
		for _, other := range s.posts {
			if other != p {
				p.config.Peers = append(p.config.Peers, other.url)
			}
		}
	}
	return nil
}

// start opens the witness and serves it until stop.
func (p *post) start(ctx context.Context) error {
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
		p.ended <- stand.Server{Witness: w, Every: time.Minute, Log: p.config.Log}.Serve(ctx, l)
	}()
	return nil
}

// stop ends the witness, as a broken machine would.
func (p *post) stop() error {
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
func (s *story) policyLines() string {
	var b strings.Builder
	var groups []string
	for _, p := range s.posts {
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

// witnesses tells how it went without one of them, and lets the operator's key sign
// a second history.
func (s *story) witnesses(ctx context.Context) error {
	s.line("witnesses")
	alone := s.without.receipt.Published()
	who := alone.Witnessed(alone.CosignedAt())
	if !slices.Equal(who, []string{"w1", "w3"}) {
		s.wrong++
	}
	s.outcome("w2 stopped", "before #12: receipts go on (2 of 3)", "cosigned by "+strings.Join(who, ", "))

	note, err := s.fork(ctx)
	if err != nil {
		return err
	}
	var refusers []string
	for _, p := range []*post{s.posts[0], s.posts[2]} {
		if s.refuses(ctx, p, note) {
			refusers = append(refusers, p.name)
		}
	}
	if len(refusers) != 2 {
		s.wrong++
		s.outcome("fork", "the operator's key signs a second history", "COSIGNED")
		return nil
	}
	s.refusals++
	id, err := s.caught(ctx, note)
	if err != nil {
		return err
	}
	s.outcome("fork", "the operator's key signs a second history", "refused by "+strings.Join(refusers, ", ")+"; evidence in "+filepath.Join(s.dir, "evidence"))
	s.step("", "", "  proven by   "+id)
	return s.decide()
}

// fork signs another history of the same size, with the log's real keys: the last
// entry is another one.
func (s *story) fork(ctx context.Context) ([]byte, error) {
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

// refuses asks a witness to cosign the second history.
func (s *story) refuses(ctx context.Context, p *post, note []byte) bool {
	w, err := wire.NewWitness(p.url, nil)
	if err != nil {
		return false
	}
	_, err = w.AddCheckpoint(ctx, wire.AddCheckpoint{Old: s.node.Ledger.Published().Checkpoint().Size, Note: note})
	return err != nil
}

// caught hands the second history in where it was not seen yet, lets gossip carry
// the evidence, and verifies the file as a stranger would.
func (s *story) caught(ctx context.Context, note []byte) (id string, err error) {
	w1, err := wire.NewWitness(s.posts[0].url, nil)
	if err != nil {
		return "", err
	}
	if err := w1.HandIn(ctx, note); err != nil {
		return "", err
	}
	s.posts[0].w.Gossip(ctx)
	if err := os.MkdirAll(filepath.Join(s.dir, "evidence"), 0o755); err != nil {
		return "", err
	}
	for _, p := range []*post{s.posts[0], s.posts[2]} {
		kept, err := p.w.Evidence().List()
		if err != nil {
			return "", err
		}
		if len(kept) == 0 {
			return "", fmt.Errorf("%s has no evidence of the fork", p.name)
		}
		e, err := proof.ParseEvidence(kept[0].File)
		if err != nil {
			return "", err
		}
		view, err := e.Verify(s.policy.LogKeys(origin)...)
		if err != nil {
			return "", err
		}
		id = view.String()
		if err := s.write(filepath.Join("evidence", kept[0].ID[:16]+proof.EvidenceSuffix), kept[0].File); err != nil {
			return "", err
		}
	}
	return id, nil
}

// decide is a person at each witness: until then nothing more is cosigned.
func (s *story) decide() error {
	for _, p := range []*post{s.posts[0], s.posts[2]} {
		kept, err := p.w.Evidence().List()
		if err != nil {
			return err
		}
		for _, k := range kept {
			if k.Acknowledged != nil {
				continue
			}
			if err := p.w.Evidence().Acknowledge(k.ID, witness.Acknowledgement{By: "the demo", Reason: "the fork was part of the story"}); err != nil {
				return err
			}
		}
	}
	s.step("", "", "  decided by  a person at each witness; until then they cosign nothing more of this log")
	return nil
}
