package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
)

// conduct is how a witness behaves. All but the honest ones, the slow one among
// them, count as dishonest: the laws promise nothing about what they sign. The clocks
// of all differ by some minutes.
type conduct string

const (
	honest   conduct = "honest"
	slow     conduct = "slow"               // honest, and answers after the ledger has given up
	double   conduct = "signs whatever"     // cosigns all that a log signed, of any history
	babbling conduct = "answers nonsense"   // of many kinds
	dead     conduct = "dead"               // is never there
	restored conduct = "restored from old"  // its disk is at times one of days ago
	astray   conduct = "clock is wrong"     // by more than anybody grants; honest otherwise
	hanging  conduct = "takes and says nil" // accepts the connection, and that is all
)

// site is a witness on a machine of its own.
type site struct {
	town    *town
	name    string // also its host
	keys    []witness.Key
	conduct conduct
	off     time.Duration // its clock is ahead of the world's

	disk    *vfs.MemFS
	backup  *vfs.MemFS       // nil while there is none
	witness *witness.Witness // nil while the process is down
	life    context.Context
	end     context.CancelFunc
	trouble trouble
}

// farBehind is how far a witness's clock may be off and be believed all the same.
const farBehind = 4 * time.Minute

func newSite(tn *town, name string, c conduct) (s *site, vkeys []string) {
	s = &site{town: tn, name: name, conduct: c, disk: vfs.NewCrashableMem()}
	dice := diceOf(tn.seed, "clock of "+name, 0)
	if s.off = time.Duration(dice.Int64N(int64(2*farBehind))) - farBehind; c == astray {
		s.off += time.Hour
	}
	for _, alg := range []proof.Algorithm{proof.CosignatureEd25519, proof.MLDSA44} {
		secret, public, err := proof.GenerateKey(alg, name)
		must(err)
		s.keys, vkeys = append(s.keys, newWatch(secret, s.off)), append(vkeys, public)
	}
	if s.own() {
		must(witness.Create(witness.Config{Keys: s.keys, FS: s.disk, Dir: "w"}))
	}
	return s, vkeys
}

// trusty tells whether the laws hold the witness to its word.
func (s *site) trusty() bool { return s.conduct == honest || s.conduct == slow }

// own tells whether it runs the real program.
func (s *site) own() bool { return s.trusty() || s.conduct == restored || s.conduct == astray }

// up starts the process, which goes on from what its disk has. It is false if the
// power failed meanwhile.
func (s *site) up() (bool, error) {
	if s.conduct == dead {
		return true, nil
	}
	s.life, s.end = context.WithCancel(s.town.ctx)
	if !s.own() {
		s.town.net.up(s.name, s.life, s.face(nil))
		return true, nil
	}
	cfg := witness.Config{
		Keys: s.keys, FS: errorfs.Wrap(s.disk, errorfs.InjectorFunc(s.write)), Dir: "w", Logs: s.town.listed(), Parallel: 1,
		Sources:   map[string][]string{origin: {ledgerURL, "http://" + mirror(0), "http://" + mirror(1)}, sluggardOrigin: {"http://" + sluggardHost}},
		Transport: alive{s.town.net.from(s.name), s.life},
		Fatal:     func(reason string) { panic(death{reason}) },
	}
	for _, peer := range s.town.sites {
		if peer != s {
			cfg.Peers = append(cfg.Peers, peer.url())
		}
	}
	w, err := witness.Open(cfg)
	if left := s.trouble.end(); left != nil {
		if err == nil {
			err = w.Close()
		} else {
			err = nil // the write that failed, or what came of it
		}
		s.disk = left
		return false, err
	}
	if err != nil {
		s.end()
		return false, fmt.Errorf("%s does not start after a crash: %w", s.name, err)
	}
	s.witness = w
	s.town.net.up(s.name, s.life, s.face(w.Handler()))
	return true, nil
}

func (s *site) url() string { return "http://" + s.name }

// face is what the witness shows to the network.
func (s *site) face(h http.Handler) http.Handler {
	switch s.conduct {
	case double:
		return http.HandlerFunc(s.signWhatever)
	case babbling:
		return http.HandlerFunc(s.babble)
	case hanging:
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	case slow:
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if err := wait(r.Context(), 15*time.Second); err != nil {
				http.Error(rw, err.Error(), http.StatusServiceUnavailable)
				return
			}
			h.ServeHTTP(rw, r)
		})
	}
	return h
}

// signWhatever cosigns, and has no memory.
func (s *site) signWhatever(rw http.ResponseWriter, r *http.Request) {
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

// babble answers one kind of nonsense after another.
func (s *site) babble(rw http.ResponseWriter, r *http.Request) {
	note, err := noteOf(r)
	cp, _, bad := proof.ParseCheckpoint(note)
	if err != nil || bad != nil {
		http.Error(rw, "what?", http.StatusTeapot)
		return
	}
	conflict := func(size uint64) {
		rw.Header().Set("Content-Type", wire.SizeType)
		rw.WriteHeader(http.StatusConflict)
		fmt.Fprintf(rw, "%d\n", size)
	}
	switch diceOf(s.town.seed, s.name+string(note), 0).IntN(6) {
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

// write is asked before each operation on the disk. What the power takes is one of
// the writes to the state's log, or any to the evidence; while the process starts,
// any at all.
func (s *site) write(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || op.Kind == errorfs.OpRemove || strings.HasSuffix(op.Path, ".sst") {
		return nil
	}
	if s.witness != nil && !strings.HasSuffix(op.Path, ".log") && !strings.Contains(op.Path, "/evidence") {
		return nil // Pebble works in the background
	}
	if comes, _ := s.trouble.next(false); !comes {
		return nil
	}
	s.end() // nothing that happens now is
	return s.trouble.came(s.disk)
}

// fell takes the machine down if its power has failed.
func (s *site) fell() bool {
	s.trouble.mu.Lock()
	left := s.trouble.left
	s.trouble.mu.Unlock()
	if left == nil || s.witness == nil {
		return false
	}
	s.down(100)
	return true
}

// down ends the process where it stands, and its machine too if not all is kept.
func (s *site) down(keep int) {
	if s.life == nil || s.conduct == dead {
		return
	}
	left := s.trouble.end()
	if left == nil && s.witness != nil {
		left = afterCrash(s.disk, keep, s.town.rng.Uint64())
	}
	s.end()
	synctest.Wait()
	if s.witness != nil {
		s.witness.Close() // of a process that is dead: only its goroutines are to end
		s.witness, s.disk = nil, left
	}
}

// alive is a network that a process reaches while it lives.
type alive struct {
	http.RoundTripper
	life context.Context
}

// RoundTrip implements [http.RoundTripper].
func (a alive) RoundTrip(r *http.Request) (*http.Response, error) {
	if a.life.Err() != nil {
		return nil, errors.New("the process is dead")
	}
	return a.RoundTripper.RoundTrip(r)
}
