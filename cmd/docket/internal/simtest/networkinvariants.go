package simtest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

// networkInvariants checks the invariants of witnesses and clients. It observes every
// response on the network and knows all histories.
type networkInvariants struct {
	sim *networkSim

	mu         sync.Mutex                     // answers come on the callers' goroutines; guards what follows
	cosigned   map[string]map[proof.Tree]bool // by witness: all that its key was ever seen under
	requested  map[proof.Tree][]byte          // what the honest ledger has asked to be cosigned
	violations []error                        // seen on the wire

	trusted              map[string]map[proof.Tree]bool // by client: all that it ever believed
	halted               map[string]bool                // witnesses that hold evidence
	signedByMaliciousLog map[proof.Tree]bool            // by the forger: evidence may speak of these
	histories            [2]history
}

// errTwoHistoriesTrusted: clients trust checkpoints of two histories, which witnesses
// exist to prevent.
var errTwoHistoriesTrusted = errors.New("clients believe two histories")

// history is one history: the root at each size.
type history struct {
	log   *storetest.ReferenceLog
	roots []proof.Hash
}

func newNetworkInvariants(tn *networkSim) *networkInvariants {
	return &networkInvariants{
		sim: tn, cosigned: make(map[string]map[proof.Tree]bool), requested: make(map[proof.Tree][]byte), trusted: make(map[string]map[proof.Tree]bool),
		halted: make(map[string]bool), signedByMaliciousLog: make(map[proof.Tree]bool),
	}
}

func (l *history) extendTo(entries [][]byte) {
	if len(l.roots) > len(entries) {
		return
	}
	l.log = storetest.NewReferenceLog(entries)
	for size := len(l.roots); size <= len(entries); size++ {
		l.roots = append(l.roots, l.log.Head(size).Root)
	}
}

// contains tells whether the history began with that tree. What is larger than the
// history is not on it.
func (l *history) contains(t proof.Tree) bool {
	return t.Size < uint64(len(l.roots)) && l.roots[t.Size] == t.Root
}

// onResponse takes down each cosignature that passes (it is the network's tap).
func (o *networkInvariants) onResponse(l link, r *http.Request, body []byte, res *httptest.ResponseRecorder) {
	if r.URL.Path == "/add-checkpoint" && l.from == ledgerHost {
		o.onCosignRequest(body)
	}
	i := slices.IndexFunc(o.sim.witnesses, func(s *witnessNode) bool { return s.name == l.to })
	if i < 0 || !o.sim.witnesses[i].isHonest() || res.Code != http.StatusOK {
		return
	}
	s := o.sim.witnesses[i]
	var note []byte
	switch {
	case l.from == slowLogHost:
		return
	case r.URL.Path == "/add-checkpoint":
		a, err := wire.ParseAddCheckpoint(body)
		if err != nil {
			o.addViolation(fmt.Errorf("%s cosigned a request that nobody can read: %w", s.name, err))
			return
		}
		sigs, err := proof.ParseSignatures(res.Body.Bytes())
		if err == nil {
			note, err = proof.AddSignatures(a.Note, sigs...)
		}
		if err != nil {
			o.addViolation(fmt.Errorf("%s answers with no cosignatures: %w", s.name, err))
			return
		}
		o.mu.Lock()
		halted := o.halted[s.name]
		o.mu.Unlock()
		if halted {
			o.addViolation(fmt.Errorf("%s holds evidence against the log, and cosigns it", s.name))
		}
	case r.Method == http.MethodGet && r.URL.Path == "/"+wire.OriginHash(origin)+"/checkpoint":
		note = res.Body.Bytes()
	default:
		return
	}
	keys := make([]proof.Key, len(s.keys))
	for i, k := range s.keys {
		keys[i] = k.Key()
	}
	by, err := proof.VerifyLog(note, origin, keys...)
	if err != nil || len(by.LogKeys()) != len(keys) {
		o.addViolation(fmt.Errorf("a cosignature of %s does not verify: %w", s.name, err))
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	addTree(o.cosigned, s.name, by.Checkpoint().Tree())
}

// onCosignRequest takes down what the honest ledger asks to be cosigned.
func (o *networkInvariants) onCosignRequest(body []byte) {
	a, err := wire.ParseAddCheckpoint(body)
	must(err)
	cp, _, err := proof.ParseCheckpoint(a.Note)
	must(err)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.requested[cp.Tree()] = a.Note
}

func (o *networkInvariants) addViolation(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.violations = append(o.violations, err)
}

// onMaliciousSign: the forger is about to sign a head.
func (o *networkInvariants) onMaliciousSign(t proof.Tree) { o.signedByMaliciousLog[t] = true }

// onTrusted: a client trusts a tree.
func (o *networkInvariants) onTrusted(client string, t proof.Tree) { addTree(o.trusted, client, t) }

// check checks every invariant again.
func (o *networkInvariants) check() error {
	if err := o.learnHistories(); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	errs := o.violations
	for _, name := range slices.Sorted(maps.Keys(o.cosigned)) {
		if err := o.checkOneHistory(o.cosigned[name]); err != nil {
			errs = append(errs, fmt.Errorf("%s has cosigned two histories: %w", name, err))
		}
	}
	asked := make(map[proof.Tree]bool)
	for t := range o.requested {
		asked[t] = true
	}
	if err := o.checkOneHistory(asked); err != nil {
		errs = append(errs, fmt.Errorf("the honest ledger has signed two histories: %w", err))
	}
	all := make(map[proof.Tree]bool)
	for _, trees := range o.trusted {
		maps.Copy(all, trees)
	}
	if err := o.checkOneHistory(all); err != nil {
		errs = append(errs, fmt.Errorf("%w: %w", errTwoHistoriesTrusted, err))
	}
	for _, s := range o.sim.witnesses {
		errs = append(errs, o.checkEvidence(s))
	}
	return errors.Join(errs...)
}

// learnHistories learns what the histories are.
func (o *networkInvariants) learnHistories() error {
	if f := o.sim.maliciousLog; f != nil {
		for i, b := range f.branches {
			o.histories[i].extendTo(b.entries)
		}
		return nil
	}
	n := o.sim.ledger.node
	if n == nil || n.Ledger.Published() == nil {
		return nil
	}
	entries, err := n.Ledger.Entries(o.sim.dayCtx, 0, n.Ledger.Published().Checkpoint().Size)
	if err != nil {
		return err
	}
	for i := range o.histories {
		o.histories[i].extendTo(entries)
	}
	return nil
}

// checkOneHistory: trees lie on one line. Before the fork, what is cosigned and not
// published yet is judged later.
func (o *networkInvariants) checkOneHistory(trees map[proof.Tree]bool) error {
	var off [2]*proof.Tree
	for i := range o.histories {
		for t := range trees {
			if o.sim.maliciousLog == nil && t.Size >= uint64(len(o.histories[i].roots)) {
				continue
			}
			if !o.histories[i].contains(t) {
				off[i] = &t
			}
		}
	}
	if off[0] == nil || off[1] == nil {
		return nil
	}
	return fmt.Errorf("size %d, root %s, is not on the one, and size %d, root %s, not on the other", off[0].Size, off[0].Root, off[1].Size, off[1].Root)
}

// checkEvidence: what a witness keeps verifies offline with nothing but the log's keys,
// speaks of what the log has signed, is not there without a fork, and stays.
func (o *networkInvariants) checkEvidence(s *witnessNode) error {
	if s.witness == nil {
		return nil
	}
	all, err := s.witness.Evidence().List()
	if err != nil {
		return err
	}
	if len(all) == 0 && o.halted[s.name] && s.isHonest() {
		return fmt.Errorf("%s has lost its evidence", s.name)
	}
	for _, kept := range all {
		if !o.forked() {
			return fmt.Errorf("%s holds evidence against a log with one history:\n%s", s.name, kept.File)
		}
		for _, signer := range o.sim.ledger.keys.Signers {
			if err := o.verifyEvidence(kept.File, signer.Key()); err != nil {
				return fmt.Errorf("evidence of %s: %w", s.name, err)
			}
		}
	}
	o.halted[s.name] = len(all) > 0
	return nil
}

func (o *networkInvariants) verifyEvidence(file []byte, key proof.Key) error {
	e, err := proof.ParseEvidence(file)
	if err != nil {
		return err
	}
	if again, err := e.Format(); err != nil || !bytes.Equal(again, file) {
		return fmt.Errorf("it is not in its canonical form (%v)", err)
	}
	split, err := e.Verify(key)
	if err != nil {
		return err
	}
	trees := make(map[proof.Tree]bool)
	for _, s := range []*proof.Signed{split.First(), split.Second()} {
		if s != nil {
			trees[s.Checkpoint().Tree()] = true
		}
	}
	if o.checkOneHistory(trees) == nil {
		return errors.New("it shows one history")
	}
	return nil
}

// forked tells whether the log has signed two histories.
func (o *networkInvariants) forked() bool {
	return o.sim.maliciousLog != nil && o.checkOneHistory(o.signedByMaliciousLog) != nil
}

// forkCosigned tells whether trusty witnesses have cosigned both histories, each beyond
// the fork.
func (o *networkInvariants) forkCosigned(also ...proof.Tree) bool {
	trees := make(map[proof.Tree]bool)
	for _, t := range also {
		trees[t] = true
	}
	for _, s := range o.sim.witnesses {
		if !s.isHonest() || len(o.cosigned[s.name]) == 0 {
			continue
		}
		newest := proof.Tree{}
		for t := range o.cosigned[s.name] {
			if t.Size > newest.Size {
				newest = t
			}
		}
		trees[newest] = true
	}
	return o.checkOneHistory(trees) != nil
}

func addTree(to map[string]map[proof.Tree]bool, who string, t proof.Tree) {
	if to[who] == nil {
		to[who] = make(map[proof.Tree]bool)
	}
	to[who][t] = true
}
