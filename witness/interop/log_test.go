package interop

import (
	"context"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
)

func newCosigner(skey string) (note.Signer, error) { return fnote.NewSignerForCosignatureV1(skey) }

// testLog is a log of one tile in memory, with an Ed25519 key, which both witnesses know.
type testLog struct {
	origin, vkey string
	signer       note.Signer
	list         witness.LogList
	leaves       []byte // their hashes
}

func newLog(origin string, size int) *testLog {
	skey, vkey := newKey(proof.Ed25519, origin)
	l := &testLog{origin: origin, vkey: vkey, signer: must(note.NewSigner(skey))}
	l.list = must(witness.ParseLogs([]byte("logs/v0\nvkey " + vkey + "\nqpd 2147483647\ncontact x\n")))
	for i := range size {
		h := proof.LeafHash([]byte{byte(i), byte(i >> 8)})
		l.leaves = append(l.leaves, h[:]...)
	}
	return l
}

func (l *testLog) read(_ context.Context, ids []proof.TileID) ([][]byte, error) {
	out := make([][]byte, len(ids))
	for i, id := range ids {
		at := int(id.Index) * 256 * 32
		out[i] = l.leaves[at : at+id.Width*32]
	}
	return out, nil
}

// treeAt is that of the first n leaves: n ones appended, one after another, to the
// empty tree's compact range.
func (l *testLog) treeAt(n uint64) proof.Tree {
	return proof.Tree{Size: n, Root: l.root(0, n)}
}

func (l *testLog) root(lo, hi uint64) proof.Hash {
	switch hi - lo {
	case 0:
		return proof.EmptyRoot()
	case 1:
		return proof.Hash(l.leaves[lo*32 : hi*32])
	}
	k := uint64(1)
	for 2*k < hi-lo {
		k *= 2
	}
	return proof.NodeHash(l.root(lo, lo+k), l.root(lo+k, hi))
}

func (l *testLog) signed(cp proof.Checkpoint) []byte {
	sig := must(l.signer.Sign(cp.Body()))
	return must(proof.FormatNote(cp, proof.Signature{Name: l.origin, ID: l.signer.KeyHash(), Sig: sig}))
}

func (l *testLog) note(n uint64) []byte {
	return l.signed(proof.Checkpoint{Origin: l.origin, Size: n, Root: l.treeAt(n).Root})
}

func (l *testLog) request(m, n uint64) wire.AddCheckpoint {
	_, path, err := proof.NewBuilder(l.read, -1).ConsistencyProof(context.Background(), m, l.treeAt(n))
	if err != nil {
		panic(err)
	}
	return wire.AddCheckpoint{Old: m, Path: path, Note: l.note(n)}
}
