package interop

import (
	"bytes"
	"net/url"
	"slices"
	"testing"
	"time"

	formats "github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	fproof "github.com/transparency-dev/formats/proof"
	fwitness "github.com/transparency-dev/formats/witness"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Tessera's client reads our ledger over HTTP: it follows it from one checkpoint to
// the next, checks every tile and entry bundle against the root, and builds the
// proofs that our receipts carry.
func TestTesseraReadsOurLedger(t *testing.T) {
	d := newDocket(t)
	key := must(fnote.NewVerifier(d.vkey))
	fetch := must(client.NewHTTPFetcher(must(url.Parse(d.url)), nil))
	follower, err := client.NewLogStateTracker(t.Context(), fetch.ReadTile, nil, key, d.origin, client.UnilateralConsensus(fetch.ReadCheckpoint))
	if err != nil {
		t.Fatal(err)
	}
	for _, more := range []int{0, 5, 247, 0, 300, 40} {
		receipt := must(proof.ParseReceipt(d.appendRecords(more)))
		before := follower.Latest()
		_, path, shown, err := follower.Update(t.Context())
		if err != nil {
			t.Fatalf("following from %d: %v", before.Size, err)
		}
		now := follower.Latest()
		from, to := tree(before), tree(now)
		if err := proof.VerifyConsistency(from, to, hashes(path)); err != nil {
			t.Errorf("tessera's proof from %d to %d: %v", from.Size, to.Size, err)
		}
		if _, err := d.policy.Verify(shown, time.Now()); err != nil {
			t.Errorf("the checkpoint that tessera fetched: %v", err)
		}
		builder := must(client.NewProofBuilder(t.Context(), now.Size, fetch.ReadTile))
		inclusion, err := builder.InclusionProof(t.Context(), receipt.Index)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(hashes(inclusion), receipt.Path) {
			t.Errorf("entry %d of %d: tessera's proof is not that of the receipt", receipt.Index, now.Size)
		}
		check := fsck.New(d.origin, key, fetch, leafHashes, fsck.Opts{N: 2})
		if err := check.Check(t.Context()); err != nil {
			t.Errorf("fsck of %d entries: %v", now.Size, err)
		}
	}
	t.Logf("followed, proved and checked to %d entries", follower.Latest().Size)
}

func tree(cp formats.Checkpoint) proof.Tree {
	return proof.Tree{Size: cp.Size, Root: proof.Hash(cp.Hash)}
}

func hashes(path [][]byte) []proof.Hash {
	var out []proof.Hash
	for _, h := range path {
		out = append(out, proof.Hash(h))
	}
	return out
}

// leafHashes reads an entry bundle with tessera's parser.
func leafHashes(bundle []byte) ([][]byte, error) {
	var b api.EntryBundle
	if err := b.UnmarshalText(bundle); err != nil {
		return nil, err
	}
	var out [][]byte
	for _, entry := range b.Entries {
		out = append(out, rfc6962.DefaultHasher.HashLeaf(entry))
	}
	return out, nil
}

// Receipts as the server hands them out are read by transparency-dev's parser, and
// verified without a line of ours: inclusion by sumdb/tlog, the signatures by
// sumdb/note, the quorum of our policy file by formats and by tessera.
func TestOthersVerifyOurReceipts(t *testing.T) {
	d := newDocket(t)
	members := d.policy.Witnesses()
	group := must(fwitness.ParsePolicy([]byte(d.policy.Text())))
	theirGroup := must(tessera.NewWitnessGroupFromPolicy([]byte(d.policy.Text())))
	for range 40 {
		text := d.publish(d.importRecord())
		var r fproof.TLogProof
		if err := r.Unmarshal(text); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if again := r.Marshal(); !bytes.Equal(again, text) {
			t.Fatalf("read and written again it is\n%s\nwas\n%s", again, text)
		}
		cp, rest, n, err := formats.ParseCheckpoint(r.Checkpoint, d.origin, must(fnote.NewVerifier(d.vkey)),
			must(fnote.NewVerifier(members[0].Key.String())), must(fnote.NewVerifier(members[1].Key.String())))
		if err != nil || len(rest) > 0 || len(n.Sigs) != 3 {
			t.Fatalf("the receipt's checkpoint: %v, %d signatures verified, want 3\n%s", err, len(n.Sigs), r.Checkpoint)
		}
		path := make(tlog.RecordProof, len(r.Hashes))
		for i, h := range r.Hashes {
			path[i] = h
		}
		err = tlog.CheckRecord(path, int64(cp.Size), tlog.Hash(cp.Hash), int64(r.Index), tlog.RecordHash(r.ExtraData))
		if err != nil {
			t.Errorf("entry %d of %d: %v", r.Index, cp.Size, err)
		}
		if !group.Satisfied(r.Checkpoint) || !theirGroup.Satisfied(r.Checkpoint) {
			t.Errorf("the quorum is not satisfied, for formats or for tessera:\n%s", r.Checkpoint)
		}
		n.Sigs, n.UnverifiedSigs = n.Sigs[:1], nil
		if alone := must(note.Sign(n)); group.Satisfied(alone) || theirGroup.Satisfied(alone) {
			t.Fatal("the quorum is satisfied by the log's signature alone")
		}
	}
}
