package demo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
)

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
	view, err := s.caught(ctx, note)
	if err != nil {
		return err
	}
	s.outcome("fork", "the operator's key signs a second history", "refused by "+strings.Join(refusers, ", ")+"; evidence in "+filepath.Join(s.dir, "evidence"))
	s.step("", "", "  gossip      w2, back and never asked, was handed the second history and holds the proof")
	s.step("", "", "  proven      "+view.String())
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

// caught starts the witness again that was stopped before either history was whole. It
// is asked to cosign neither: somebody to whom the second one was shown hands that in,
// and the first it knows by gossip alone. The file that it makes of them is kept, and
// verified as a stranger would.
func (s *story) caught(ctx context.Context, note []byte) (*proof.SplitView, error) {
	back := s.posts[1]
	if err := back.start(ctx); err != nil {
		return nil, err
	}
	face, err := wire.NewWitness(back.url, nil)
	if err != nil {
		return nil, err
	}
	if err := face.HandIn(ctx, note); err != nil {
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

// decide is a person at each witness: until then nothing more is cosigned. The demo is
// that person, since its ledger is to go on.
func (s *story) decide() error {
	for _, p := range s.posts {
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
	s.step("", "", "  decided by  a person at each witness; until then they cosign nothing more of this log (here the demo decides at once)")
	return nil
}
