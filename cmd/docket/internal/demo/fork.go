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

// printWitnesses tells how it went without one of them, and lets the operator's key sign
// a second history.
func (s *scenario) printWitnesses(ctx context.Context) error {
	s.printLine("witnesses")
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
	view, err := s.catchFork(ctx, note)
	if err != nil {
		return err
	}
	s.printOutcome("fork", "the operator's key signs a second history", "refused by "+strings.Join(refusers, ", ")+"; evidence in "+filepath.Join(s.dir, "evidence"))
	s.printStep("", "", "  gossip      w2, back and never asked, was handed the second history and holds the proof")
	s.printStep("", "", "  proven      "+view.String())
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

// catchFork starts the witness again that was stopped before either history was whole. It
// is asked to cosign neither: somebody to whom the second one was shown hands that in,
// and the first it knows by gossip alone. The file that it makes of them is kept, and
// verified as a stranger would.
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
			if err := p.w.Evidence().Acknowledge(k.ID, witness.Acknowledgement{By: "the demo", Reason: "the fork was part of the story"}); err != nil {
				return err
			}
		}
	}
	s.printStep("", "", "  decided by  a person at each witness; until then they cosign nothing more of this log (here the demo decides at once)")
	return nil
}
