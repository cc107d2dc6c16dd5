package main

import (
	"context"
	"os"
	"strconv"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// forge writes the receipt that an operator and a dishonest quorum would hand out of a
// second history: forge DIR INDEX CHANGED OUT takes the entries of a trust directory's
// copy, changes one, or adds one that nobody has seen, and proves that another is in the
// tree of them all.
func forge(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 4 {
		ts.Fatalf("usage: forge DIR INDEX CHANGED OUT")
	}
	index, err := strconv.ParseUint(args[1], 10, 64)
	ts.Check(err)
	changed, err := strconv.ParseUint(args[2], 10, 64)
	ts.Check(err)
	trust, err := client.OpenTrust(vfs.Default, ts.MkAbs(args[0]))
	ts.Check(err)
	defer trust.Close()
	cp := trust.Checkpoint().Checkpoint()
	ranges := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	edge := ranges.NewEmptyRange(0)
	var tile, own []byte // of fewer entries than fill one
	covered := cp.Size
	cp.Size = max(covered, changed+1)
	for i := range cp.Size {
		raw, err := trust.Entry(context.Background(), min(i, covered-1))
		ts.Check(err)
		if i == changed {
			e, err := record.ParseEntry(raw)
			ts.Check(err)
			e.Admitted = e.Admitted.Add(time.Millisecond)
			raw = e.Marshal()
		}
		if i == index {
			own = raw
		}
		leaf := proof.LeafHash(raw)
		tile = append(tile, leaf[:]...)
		ts.Check(edge.Append(leaf[:], nil))
	}
	root, err := edge.GetRootHash(nil)
	ts.Check(err)
	cp.Root = proof.Hash(root)
	read := func(context.Context, []proof.TileID) ([][]byte, error) { return [][]byte{tile}, nil }
	in, err := proof.NewBuilder(read, -1).InclusionProof(context.Background(), index, cp.Tree())
	ts.Check(err)

	s := stageOf(ts)
	policy, err := proof.ParsePolicy([]byte(s.world.Rules.Policy))
	ts.Check(err)
	signed, err := proof.SignCheckpoint(cp, s.keys.Signers...)
	ts.Check(err)
	answer, err := s.witnesses.cosign(context.Background(), ledger.Ask{Signed: signed, Policy: policy})
	ts.Check(err)
	note, err := proof.AddSignatures(signed.Note(), answer.Cosignatures...)
	ts.Check(err)
	text, err := proof.Receipt{Entry: own, Index: index, Path: in.Path, Checkpoint: note}.Format()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[3]), text, 0o644))
}
