package main

import (
	"context"
	"os"
	"strconv"
	"strings"
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
	entries := copied(ts, args[0])
	for uint64(len(entries)) <= changed {
		entries = append(entries, entries[len(entries)-1])
	}
	e, err := record.ParseEntry(entries[changed])
	ts.Check(err)
	e.Admitted = e.Admitted.Add(time.Millisecond)
	entries[changed] = e.Marshal()
	writeChain(ts, args[3], entries, index)
}

// forgeChain writes the chain that an operator hands out who admits what nobody had the
// right to sign: forge-chain DIR CASE OUT adds one of the cases below to the entries of a
// trust directory's copy. The log signs and its witnesses cosign: they do not judge.
func forgeChain(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: forge-chain DIR CASE OUT")
	}
	entries := copied(ts, args[0])
	w := scriptLedgerOf(ts).world
	w.Now = time.Now()
	admit := func(st *record.Statement, keys ...string) uint64 {
		env := w.Sign(st, keys...)
		v, err := record.Open(env, func(*record.Statement) (all []*record.Key) {
			for _, name := range keys {
				all = append(all, w.Signer(name).Key())
			}
			return all
		})
		ts.Check(err)
		e, err := v.Entry(time.Now(), func(*record.Key) bool { return true })
		ts.Check(err)
		entries = append(entries, e.Marshal())
		return uint64(len(entries) - 1)
	}
	order := w.Statement("designation/2026-099", record.Authority, w.NewDesignation("Marrow Net (fictional)"))
	var shown []uint64
	switch args[1] {
	case "one-officer":
		shown = []uint64{0, 1, admit(order, "authority/officer-1")}
	case "provider":
		shown = []uint64{0, 1, 2, admit(order, "acme-cloud/compliance", "acme-cloud/ci")}
	case "other-party":
		answer := w.Statement("response/2026-014/borealis", "borealis", &record.Response{Status: "no-relationship"})
		shown = []uint64{0, 1, 2, admit(answer, "acme-cloud/ci")}
	case "self-enrolled":
		self := &record.Keys{Add: []record.PartyKey{w.Officer("authority/self", record.FuncDesignator)}}
		shown = []uint64{0, 1, admit(w.Statement("party/authority", record.Authority, self), "authority/self")}
		shown = append(shown, admit(order, "authority/officer-1", "authority/self"))
	default:
		ts.Fatalf("no such case: %s", args[1])
	}
	writeChain(ts, args[2], entries, shown...)
}

// copied are the entries of a trust directory's copy.
func copied(ts *testscript.TestScript, dir string) (entries [][]byte) {
	trust, err := client.OpenTrust(vfs.Default, ts.MkAbs(dir))
	ts.Check(err)
	defer trust.Close()
	for i := range trust.Checkpoint().Checkpoint().Size {
		raw, err := trust.Entry(context.Background(), i)
		ts.Check(err)
		entries = append(entries, raw)
	}
	return entries
}

// writeChain proves entries, fewer than fill a tile, by the log's own keys and its
// witnesses.
func writeChain(ts *testscript.TestScript, out string, entries [][]byte, indexes ...uint64) {
	ranges := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	edge := ranges.NewEmptyRange(0)
	var tile []byte
	for _, raw := range entries {
		leaf := proof.LeafHash(raw)
		tile = append(tile, leaf[:]...)
		ts.Check(edge.Append(leaf[:], nil))
	}
	root, err := edge.GetRootHash(nil)
	ts.Check(err)
	s := scriptLedgerOf(ts)
	cp := proof.Checkpoint{Origin: s.world.CharterPredicate.Origin, Size: uint64(len(entries)), Root: proof.Hash(root)}
	policy, err := proof.ParsePolicy([]byte(s.world.CharterPredicate.Policy))
	ts.Check(err)
	signed, err := proof.SignCheckpoint(cp, s.keys.Signers...)
	ts.Check(err)
	answer, err := s.witnesses.cosign(context.Background(), ledger.CosignRequest{Signed: signed, Policy: policy})
	ts.Check(err)
	note, err := proof.AddSignatures(signed.Note(), answer.Cosignatures...)
	ts.Check(err)
	read := func(context.Context, []proof.TileID) ([][]byte, error) { return [][]byte{tile}, nil }
	var text strings.Builder
	for _, index := range indexes {
		in, err := proof.NewBuilder(read, -1).InclusionProof(context.Background(), index, cp.Tree())
		ts.Check(err)
		one, err := proof.Receipt{Entry: entries[index], Index: index, Path: in.Path, Checkpoint: note}.Format()
		ts.Check(err)
		text.Write(one)
	}
	ts.Check(os.WriteFile(ts.MkAbs(out), []byte(text.String()), 0o644))
}
