package simtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/cosignatures"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

// maliciousLog is an operator who keeps two histories of one log, each with records that
// are in order, signs both with the log's keys, has both cosigned by whomever it can
// reach, and shows each to an audience of its own, quorum or not.
type maliciousLog struct {
	sim      *networkSim
	branches [2]*branch
	charter  []byte // the chain that proves it, from before the fork
}

// branch is one of the histories.
type branch struct {
	host           string // that asks the witnesses, and answers to the audience
	registerFS     *vfs.MemFS
	register       *register.Register
	entries        [][]byte
	log            *storetest.ReferenceLog
	collector      *cosignatures.Collector
	note           []byte // the head that was signed last, with the cosignatures that it got
	lastWithQuorum []byte // the newest that had a quorum
}

func viewHost(i int) string   { return fmt.Sprintf("view-%d.example", i) }
func staleHost(i int) string  { return fmt.Sprintf("stale-%d.example", i) }  // the newest that had a quorum
func mixedHost(i int) string  { return fmt.Sprintf("mixed-%d.example", i) }  // checkpoints of one, the rest of the other
func mirrorHost(i int) string { return fmt.Sprintf("mirror-%d.example", i) } // tiles alone, kept by somebody else

// newMaliciousLog takes over where the honest ledger stopped.
func newMaliciousLog(tn *networkSim, entries [][]byte, published *proof.Published) (*maliciousLog, error) {
	f := &maliciousLog{sim: tn}
	for i := range f.branches {
		b := &branch{host: viewHost(i), registerFS: vfs.NewMem(), entries: append([][]byte(nil), entries...), note: published.Note(), lastWithQuorum: published.Note()}
		b.log = storetest.NewReferenceLog(b.entries)
		f.branches[i] = b
	}
	b := f.branches[0]
	in, err := proof.NewBuilder(b.tiles, -1).InclusionProof(tn.dayCtx, 0, published.Checkpoint().Tree())
	if err != nil {
		return nil, err
	}
	f.charter, err = proof.FormatChain([]proof.Receipt{{Entry: entries[0], Path: in.Path, Checkpoint: published.Note()}})
	return f, errors.Join(err, f.open())
}

// open opens what has goroutines.
func (f *maliciousLog) open() error {
	for i, b := range f.branches {
		var err error
		if b.register, err = register.Open(b.registerFS, "judge", registerOptions()); err != nil {
			return err
		}
		if at := b.register.Size(); at < uint64(len(b.entries)) {
			if err := replayEntries(b.register, b.entries[at:], b.log.Head(len(b.entries)).Root); err != nil {
				return err
			}
		}
		b.collector = cosignatures.New(cosignatures.Config{Transport: f.sim.net.transportOf(b.host)})
		other := f.branches[1-i]
		f.sim.net.listen(viewHost(i), f.sim.dayCtx, f.handler(&b.note, b))
		f.sim.net.listen(staleHost(i), f.sim.dayCtx, f.handler(&b.lastWithQuorum, b))
		f.sim.net.listen(mixedHost(i), f.sim.dayCtx, f.handler(&b.note, other))
		f.sim.net.listen(mirrorHost(i), f.sim.dayCtx, f.handler(nil, b))
	}
	return nil
}

func (f *maliciousLog) close() error {
	var errs []error
	for _, b := range f.branches {
		b.collector.Close()
		errs = append(errs, b.register.Close())
	}
	return errors.Join(errs...)
}

// appendRecord puts a record into one of the histories, and signs nothing yet.
func (b *branch) appendRecord(env record.Envelope) error {
	v, err := record.Open(env, b.register.CandidateKeys)
	if err != nil {
		return err
	}
	last, err := record.ParseEntry(b.entries[len(b.entries)-1])
	if err != nil {
		return err
	}
	d := b.register.Begin(maxTime(time.Now().UTC().Truncate(time.Millisecond), last.Admitted)) // whatever its clock says
	e, err := d.Judge(v)
	if err != nil {
		return err
	}
	b.entries = append(b.entries, e.Marshal())
	b.log = storetest.NewReferenceLog(b.entries)
	return b.register.Advance(d, b.log.Head(len(b.entries)).Root)
}

// publish asks the witnesses for all that it can get, and shows the head with that.
func (f *maliciousLog) publish(b *branch) (quorum bool, err error) {
	head := b.log.Head(len(b.entries))
	signed, err := proof.SignCheckpoint(proof.Checkpoint{Origin: origin, Size: head.Size, Root: head.Root}, f.sim.ledger.keys.Signers...)
	if err != nil {
		return false, err
	}
	f.sim.invariants.onMaliciousSign(head)
	answer, _ := b.collector.Cosign(f.sim.dayCtx, ledger.CosignRequest{
		Signed: signed, Policy: f.sim.policy,
		ConsistencyProof: func(ctx context.Context, from uint64) ([]proof.Hash, error) {
			if from == 0 || from == head.Size {
				return nil, nil
			}
			_, path, err := proof.NewBuilder(b.tiles, -1).ConsistencyProof(ctx, from, head)
			return path, err
		},
	})
	if b.note, err = proof.AddSignatures(signed.Note(), answer.Cosignatures...); err != nil {
		return false, err
	}
	if _, short := f.sim.policy.Verify(b.note, time.Now()); short != nil {
		return false, nil
	}
	b.lastWithQuorum = b.note
	return true, nil
}

// tiles is a [proof.ReadTiles].
func (b *branch) tiles(_ context.Context, ids []proof.TileID) (out [][]byte, err error) {
	for _, id := range ids {
		if !id.In(uint64(len(b.entries))) {
			return nil, fmt.Errorf("%s is not there", id)
		}
		out = append(out, b.log.Tile(id))
	}
	return out, nil
}

// handler is the read API of tlog-tiles with one checkpoint, or none, and the rest of a
// branch.
func (f *maliciousLog) handler(says *[]byte, has *branch) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		path := strings.TrimPrefix(r.URL.Path, "/")
		tile, noTile := proof.ParseTilePath(path)
		bundle, noBundle := proof.ParseEntryBundlePath(path)
		size := uint64(len(has.entries))
		switch {
		case path == "checkpoint" && says != nil:
			rw.Write(*says)
		case strings.HasPrefix(path, "v1/records/"):
			rw.Write(f.charter)
		case noTile == nil && tile.In(size):
			rw.Write(has.log.Tile(tile))
		case noBundle == nil && bundle.In(size):
			from := bundle.Index * proof.TileWidth
			data, err := proof.FormatEntryBundle(has.entries[from : from+uint64(bundle.Width)])
			must(err)
			rw.Write(data)
		default:
			http.NotFound(rw, r)
		}
	})
}
