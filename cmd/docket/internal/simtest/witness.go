package simtest

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	fnote "github.com/transparency-dev/formats/note"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
)

// behaviour is how a witness behaves. All but honest and slow count as dishonest: the
// invariants promise nothing about what those sign. All clocks differ by some minutes.
type behaviour string

const (
	honest             behaviour = "honest"
	slow               behaviour = "slow"               // honest, and answers after the ledger has given up
	equivocating       behaviour = "signs whatever"     // cosigns all that a log signed, of any history
	malformed          behaviour = "answers nonsense"   // of many kinds
	offline            behaviour = "dead"               // is never there
	restoredFromBackup behaviour = "restored from old"  // its disk is at times one of days ago
	clockSkewed        behaviour = "clock is wrong"     // by more than verifiers tolerate; honest otherwise
	stalled            behaviour = "takes and says nil" // accepts the connection, and that is all
)

// witnessNode is a witness on a machine of its own.
type witnessNode struct {
	sim         *simulation
	name        string // also its host
	keys        []witness.Key
	behaviour   behaviour
	clockOffset time.Duration // its clock is ahead of the simulation's

	disk       *vfs.MemFS
	backup     *vfs.MemFS       // nil while there is none
	witness    *witness.Witness // nil while the process is down
	processCtx context.Context
	kill       context.CancelFunc
	fault      diskFault
}

// maxClockOffset is how far a witness's clock may be off and be believed all the same.
const maxClockOffset = 4 * time.Minute

func newWitnessNode(sim *simulation, name string, c behaviour) (s *witnessNode, vkeys []string) {
	s = &witnessNode{sim: sim, name: name, behaviour: c, disk: vfs.NewCrashableMem()}
	dice := rngOf(sim.seed, "clock of "+name, 0)
	if s.clockOffset = time.Duration(dice.Int64N(int64(2*maxClockOffset))) - maxClockOffset; c == clockSkewed {
		s.clockOffset += time.Hour
	}
	for _, alg := range []proof.Algorithm{proof.CosignatureEd25519, proof.MLDSA44} {
		secret, public, err := proof.GenerateKey(alg, name)
		must(err)
		s.keys, vkeys = append(s.keys, newSkewedKey(secret, s.clockOffset)), append(vkeys, public)
	}
	if s.runsRealWitness() {
		must(witness.CreateState(witness.Config{Keys: s.keys, FS: s.disk, Dir: "w"}))
	}
	return s, vkeys
}

// isHonest reports whether the invariants bind the witness.
func (s *witnessNode) isHonest() bool { return s.behaviour == honest || s.behaviour == slow }

// runsRealWitness tells whether it runs the real program.
func (s *witnessNode) runsRealWitness() bool {
	return s.isHonest() || s.behaviour == restoredFromBackup || s.behaviour == clockSkewed
}

// start starts the process, which goes on from what its disk has. It is false if the
// power failed meanwhile.
func (s *witnessNode) start() (bool, error) {
	if s.behaviour == offline {
		return true, nil
	}
	s.processCtx, s.kill = context.WithCancel(s.sim.dayCtx)
	if !s.runsRealWitness() {
		s.sim.net.listen(s.name, s.processCtx, s.handler(nil))
		return true, nil
	}
	cfg := witness.Config{
		Keys: s.keys, FS: errorfs.Wrap(s.disk, errorfs.InjectorFunc(s.onDiskOp)), Dir: "w", Logs: s.sim.logList(), Parallel: 1,
		Sources:   map[string][]string{origin: {ledgerURL, "http://" + mirrorHost(0), "http://" + mirrorHost(1)}, slowLogOrigin: {"http://" + slowLogHost}},
		Transport: processTransport{s.sim.net.transportOf(s.name), s.processCtx},
		Fatal:     func(reason string) { panic(processExit{reason}) },
	}
	for _, peer := range s.sim.witnesses {
		if peer != s {
			cfg.Peers = append(cfg.Peers, peer.url())
		}
	}
	w, err := witness.Open(cfg)
	if left := s.fault.disarm(); left != nil {
		if err == nil {
			err = w.Close()
		} else {
			err = nil // the write that failed, or what came of it
		}
		s.disk = left
		return false, err
	}
	if err != nil {
		s.kill()
		return false, fmt.Errorf("%s does not start after a crash: %w", s.name, err)
	}
	s.witness = w
	s.sim.net.listen(s.name, s.processCtx, s.handler(w.Handler()))
	return true, nil
}

// lookUp is what a witness does first after a crash.
func (s *witnessNode) lookUp() {
	if s.witness != nil {
		s.witness.LookUp(s.processCtx)
	}
}

func (s *witnessNode) url() string { return "http://" + s.name }

// handler is what the witness shows to the network.
func (s *witnessNode) handler(h http.Handler) http.Handler {
	switch s.behaviour {
	case equivocating:
		return http.HandlerFunc(s.cosignAnything)
	case malformed:
		return http.HandlerFunc(s.answerMalformed)
	case stalled:
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	case slow:
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if err := sleepContext(r.Context(), 15*time.Second); err != nil {
				http.Error(rw, err.Error(), http.StatusServiceUnavailable)
				return
			}
			h.ServeHTTP(rw, r)
		})
	}
	return h
}

// cosignAnything cosigns, and has no memory.
func (s *witnessNode) cosignAnything(rw http.ResponseWriter, r *http.Request) {
	note, err := noteOf(r)
	if r.URL.Path != "/add-checkpoint" || err != nil {
		http.NotFound(rw, r)
		return
	}
	cp, _, err := proof.ParseCheckpoint(note)
	must(err)
	for _, k := range s.keys {
		sig, err := k.Cosign(cp)
		must(err)
		rw.Write(sig.Line())
	}
}

// answerMalformed answers one kind of nonsense after another.
func (s *witnessNode) answerMalformed(rw http.ResponseWriter, r *http.Request) {
	note, err := noteOf(r)
	cp, _, bad := proof.ParseCheckpoint(note)
	if err != nil || bad != nil {
		http.Error(rw, "what?", http.StatusTeapot)
		return
	}
	conflict := func(size uint64) {
		rw.Header().Set("Content-Type", wire.SizeMediaType)
		rw.WriteHeader(http.StatusConflict)
		fmt.Fprintf(rw, "%d\n", size)
	}
	switch rngOf(s.sim.seed, s.name+string(note), 0).IntN(6) {
	case 0:
		conflict(cp.Size + 1000)
	case 1:
		conflict(0)
	case 2:
		cp.Size++
		sig, err := s.keys[0].Cosign(cp) // of something else
		must(err)
		rw.Write(sig.Line())
	case 3:
		rw.Write(make([]byte, 1<<20))
	case 4:
		http.Error(rw, "it is inconsistent, believe me", http.StatusUnprocessableEntity)
	default:
		fmt.Fprintf(rw, "\u2014 %s AAAAAAAA\n", s.name)
	}
}

func noteOf(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	a, err := wire.ParseAddCheckpoint(body)
	return a.Note, err
}

// onDiskOp is asked before each operation on the disk. What the power takes is one of
// the writes to the state's log, or any to the evidence; while the process starts,
// any at all.
func (s *witnessNode) onDiskOp(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || op.Kind == errorfs.OpRemove || strings.HasSuffix(op.Path, ".sst") {
		return nil
	}
	if s.witness != nil && !strings.HasSuffix(op.Path, ".log") && !strings.Contains(op.Path, "/evidence") {
		return nil // Pebble works in the background
	}
	if comes, _ := s.fault.countOp(false); !comes {
		return nil
	}
	s.kill() // nothing that happens now is
	return s.fault.trigger(s.disk)
}

// stopIfPowerFailed takes the machine down if its power has failed.
func (s *witnessNode) stopIfPowerFailed() bool {
	s.fault.mu.Lock()
	left := s.fault.diskAfter
	s.fault.mu.Unlock()
	if left == nil || s.witness == nil {
		return false
	}
	s.stop(100)
	return true
}

// stop ends the process where it stands, and its machine too if not all is kept.
func (s *witnessNode) stop(keep int) {
	if s.processCtx == nil || s.behaviour == offline {
		return
	}
	left := s.fault.disarm()
	if left == nil && s.witness != nil {
		if s.behaviour == restoredFromBackup { // after a crash it would look up what it had forgotten
			s.shutDown()
			return
		}
		left = crashedDisk(s.disk, keep, s.sim.rng.Uint64())
	}
	s.kill()
	synctest.Wait()
	if s.witness != nil {
		s.witness.Close() // of a process that is dead: only its goroutines are to end
		s.witness, s.disk = nil, left
	}
}

// shutDown ends the process as its operator does, so that the note of that is in a
// backup. It is false if it was down.
func (s *witnessNode) shutDown() bool {
	if s.witness == nil {
		return false
	}
	if left := s.fault.disarm(); left != nil { // the power has failed already
		s.disk = left
	}
	s.kill()
	synctest.Wait()
	s.witness.Close()
	s.witness = nil
	return true
}

// processTransport is a network that a process reaches while it lives.
type processTransport struct {
	http.RoundTripper
	ctx context.Context
}

// RoundTrip implements [http.RoundTripper].
func (a processTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if a.ctx.Err() != nil {
		return nil, errors.New("the process is dead")
	}
	return a.RoundTripper.RoundTrip(r)
}

// skewedKey is a witness's key on a machine with a clock of its own: all that a witness
// does by its clock is to stamp cosignatures.
type skewedKey struct {
	key         proof.Key
	clockOffset time.Duration // ahead of the world's
	cosignAt    func(at uint64, cp proof.Checkpoint) ([]byte, error)
}

// newSkewedKey reads a witness's private key.
func newSkewedKey(secret string, off time.Duration) skewedKey {
	c, err := proof.ParseCosigner(secret)
	must(err)
	w := skewedKey{key: c.Key(), clockOffset: off}
	if w.key.Algorithm() == proof.MLDSA44 {
		signer, err := fnote.NewMLDSASigner(secret)
		must(err)
		w.cosignAt = func(at uint64, cp proof.Checkpoint) ([]byte, error) {
			return signer.SignSubtree(at, cp.Origin, 0, cp.Size, cp.Root[:])
		}
		return w
	}
	fields := strings.SplitN(secret, "+", 5) // PRIVATE, KEY, name, ID, base64 of the type and the seed
	seed, err := base64.StdEncoding.DecodeString(fields[4])
	must(err)
	private := ed25519.NewKeyFromSeed(seed[1:])
	w.cosignAt = func(at uint64, cp proof.Checkpoint) ([]byte, error) { // tlog-cosignature "Ed25519 signed message"
		message := fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, cp.Body())
		return append(binary.BigEndian.AppendUint64(nil, at), ed25519.Sign(private, message)...), nil
	}
	return w
}

// Key implements [witness.Key].
func (w skewedKey) Key() proof.Key { return w.key }

// Cosign implements [witness.Key].
func (w skewedKey) Cosign(cp proof.Checkpoint) (proof.Signature, error) {
	sig, err := w.cosignAt(uint64(time.Now().Add(w.clockOffset).Unix()), cp)
	return proof.Signature{Name: w.key.Name(), ID: w.key.ID(), Sig: sig}, err
}
