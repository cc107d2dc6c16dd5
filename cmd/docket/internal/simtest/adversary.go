package simtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/cosignatures"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

// maliciousLog signs two histories of one log, each of valid records, with the log's
// keys, gets cosignatures for both from all witnesses that it can reach, and serves
// each to a different audience, with or without a quorum.
type maliciousLog struct {
	sim      *simulation
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
func mirrorHost(i int) string { return fmt.Sprintf("mirror-%d.example", i) } // tiles alone, by another operator

// newMaliciousLog takes over where the honest ledger stopped.
func newMaliciousLog(sim *simulation, entries [][]byte, published *proof.Published) (*maliciousLog, error) {
	f := &maliciousLog{sim: sim}
	for i := range f.branches {
		b := &branch{host: viewHost(i), registerFS: vfs.NewMem(), entries: append([][]byte(nil), entries...), note: published.Note(), lastWithQuorum: published.Note()}
		b.log = storetest.NewReferenceLog(b.entries)
		f.branches[i] = b
	}
	b := f.branches[0]
	in, err := proof.NewTileReader(b.tiles, -1).At(published.Checkpoint().Tree()).InclusionProof(sim.dayCtx, 0)
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
	f.sim.invariants.recordMaliciousSign(head)
	answer, _ := b.collector.Cosign(f.sim.dayCtx, ledger.CosignRequest{
		Signed: signed, Policy: f.sim.policy,
		ConsistencyProof: func(ctx context.Context, from uint64) ([]proof.Hash, error) {
			if from == 0 || from == head.Size {
				return nil, nil
			}
			_, path, err := proof.NewTileReader(b.tiles, -1).At(head).ConsistencyProof(ctx, from)
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

// strangerHost has no key, and sends witnesses whatever he has.
const strangerHost = "stranger.example"

// replayNotes sends a witness the honest ledger's notes again, as an outsider, in one
// way or the other: all are genuine, most are old; or the newest alone, many times.
func (sim *simulation) replayNotes(s *witnessNode) {
	w, err := wire.NewWitness(s.url(), sim.net.transportOf(strangerHost))
	must(err)
	notes := sim.invariants.requestedNotes()
	way := sim.intn(3)
	if way == 2 && len(notes) > 0 {
		sim.repeatRequest(s, notes[len(notes)-1])
		return
	}
	handed := way == 1
	taken := 0
	for _, note := range notes {
		if handed {
			err = w.AddSeenCheckpoint(sim.dayCtx, note)
		} else {
			_, err = w.AddCheckpoint(sim.dayCtx, wire.AddCheckpoint{Note: note})
		}
		if err == nil {
			taken++
		}
	}
	sim.tracef("a stranger replays %d checkpoints to %s (handed in: %v), %d are taken", len(notes), s.name, handed, taken)
	if len(notes) > 0 {
		sim.countEvent("old checkpoints replayed")
	}
}

// repeatRequest asks a witness again and again for one checkpoint, as an outsider, more
// often than a log's burst allows. No witness of ours ever has enough of it.
func (sim *simulation) repeatRequest(s *witnessNode, note []byte) {
	w, err := wire.NewWitness(s.url(), sim.net.transportOf(strangerHost))
	must(err)
	cp, _, err := proof.ParseCheckpoint(note)
	must(err)
	taken := 0
	for range checkpointBurst + 5 {
		_, err := w.AddCheckpoint(sim.dayCtx, wire.AddCheckpoint{Old: cp.Size, Note: note})
		var status *wire.StatusError
		switch {
		case err == nil:
			taken++
		case errors.As(err, &status) && status.Code == http.StatusTooManyRequests && s.runsRealWitness():
			sim.invariants.addViolation(fmt.Errorf("%s has enough of repetitions, and the ledger's would be among them: %w", s.name, err))
		}
	}
	sim.tracef("a stranger repeats the checkpoint of %d to %s, %d times of %d with success", cp.Size, s.name, taken, checkpointBurst+5)
	if taken > checkpointBurst {
		sim.countEvent("newest checkpoint repeated")
	}
}

// sendMalformed sends invalid requests, as an outsider: no log's checkpoint, one of an
// unknown log, one that the outsider signed, and evidence of which each checkpoint is
// genuine.
func (sim *simulation) sendMalformed(s *witnessNode) {
	w, err := wire.NewWitness(s.url(), sim.net.transportOf(strangerHost))
	must(err)
	sign := func(origin string) []byte {
		secret, _, err := proof.GenerateKey(proof.Ed25519, origin)
		must(err)
		signer, err := proof.ParseSigner(secret)
		must(err)
		signed, err := proof.SignCheckpoint(proof.Checkpoint{Origin: origin, Size: uint64(1 + sim.intn(100))}, signer)
		must(err)
		return signed.Note()
	}
	for _, note := range [][]byte{[]byte("nonsense\n"), sign("unknown.example"), sign(origin)} {
		if w.AddSeenCheckpoint(sim.dayCtx, note) == nil && s.runsRealWitness() {
			sim.invariants.addViolation(fmt.Errorf("%s takes nonsense for a checkpoint:\n%s", s.name, note))
		}
	}
	if notes := sim.invariants.requestedNotes(); len(notes) > 1 {
		e, err := proof.NewEvidence(pick(sim, notes...), pick(sim, notes...), proof.LeafHash(nil))
		must(err)
		file, err := e.Format()
		must(err)
		if w.AddEvidence(sim.dayCtx, file) == nil && s.runsRealWitness() && !sim.invariants.forked() {
			sim.invariants.addViolation(fmt.Errorf("%s takes nonsense for evidence:\n%s", s.name, file))
		}
	}
	sim.tracef("a stranger sends nonsense to %s", s.name)
	sim.countEvent("nonsense sent to a witness")
}

// floodWitness lets the malicious log sign trees that can never be compared, more than
// a witness stores, to leave no space for what a client submits.
func (f *maliciousLog) floodWitness(s *witnessNode) {
	sim := f.sim
	w, err := wire.NewWitness(s.url(), sim.net.transportOf(strangerHost))
	must(err)
	from, taken := uint64(1)<<(30+sim.intn(20)), 0
	for i := range uint64(70) {
		cp := proof.Checkpoint{Origin: origin, Size: from + i, Root: proof.LeafHash(fmt.Appendf(nil, "%d", from+i))}
		signed, err := proof.SignCheckpoint(cp, sim.ledger.keys.Signers...)
		must(err)
		sim.invariants.recordMaliciousSign(cp.Tree())
		if w.AddSeenCheckpoint(sim.dayCtx, signed.Note()) == nil {
			taken++
		}
	}
	sim.tracef("the operator floods %s with trees that nobody can compare: %d of 70 are taken", s.name, taken)
	sim.countEvent("log floods a witness")
}

// slowLog is another log that the witnesses serve. It shows its newest checkpoint,
// and says nothing when it is asked for tiles.
type slowLog struct {
	sim    *simulation
	signer *proof.Signer
	log    *storetest.ReferenceLog
}

const (
	slowLogHost   = "sluggard.example"
	slowLogOrigin = "sluggard.example/log"
	slowLogSize   = 12
)

func newSlowLog(sim *simulation) *slowLog {
	secret, _, err := proof.GenerateKey(proof.Ed25519, slowLogOrigin)
	must(err)
	l := &slowLog{sim: sim}
	l.signer, err = proof.ParseSigner(secret)
	must(err)
	var entries [][]byte
	for i := range slowLogSize {
		entries = append(entries, fmt.Appendf(nil, "entry %d", i))
	}
	l.log = storetest.NewReferenceLog(entries)
	return l
}

func (l *slowLog) note(size int) []byte {
	head := l.log.Head(size)
	signed, err := proof.SignCheckpoint(proof.Checkpoint{Origin: slowLogOrigin, Size: head.Size, Root: head.Root}, l.signer)
	must(err)
	return signed.Note()
}

func (l *slowLog) listen(life context.Context) {
	l.sim.net.listen(slowLogHost, life, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/tile/") {
			<-r.Context().Done()
			return
		}
		rw.Write(l.note(slowLogSize))
	}))
}

// submitTo lets a witness cosign the sluggard's log at some size, if it never did.
func (l *slowLog) submitTo(s *witnessNode) {
	w, err := wire.NewWitness(s.url(), l.sim.net.transportOf(slowLogHost))
	must(err)
	size := 1 + l.sim.intn(slowLogSize)
	_, err = w.AddCheckpoint(l.sim.dayCtx, wire.AddCheckpoint{Note: l.note(size)})
	l.sim.tracef("another log, which serves no tiles, brings %d entries to %s: %s", size, s.name, firstLine(err))
	if err == nil && s.runsRealWitness() {
		l.sim.countEvent("witness of two logs")
	}
}

// requestedNotes are the checkpoints that the ledger has asked any witness to cosign
// while it was honest, one of each tree, the smallest first.
func (o *invariants) requestedNotes() (notes [][]byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var trees []proof.Tree
	for t := range o.requested {
		trees = append(trees, t)
	}
	slices.SortFunc(trees, proof.Tree.Compare)
	for _, t := range trees {
		notes = append(notes, o.requested[t])
	}
	return notes
}
