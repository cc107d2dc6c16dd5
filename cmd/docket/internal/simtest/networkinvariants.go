package simtest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

// errTwoHistoriesTrusted: clients trust checkpoints of two histories, which witnesses
// exist to prevent.
var errTwoHistoriesTrusted = errors.New("clients believe two histories")

// history is one history: the root at each size.
type history struct {
	log   *storetest.ReferenceLog
	roots []proof.Hash
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
func (l *invariants) onResponse(at link, r *http.Request, body []byte, res *httptest.ResponseRecorder) {
	if r.URL.Path == "/add-checkpoint" && at.from == ledgerHost {
		l.recordCosignRequest(body)
	}
	i := slices.IndexFunc(l.sim.witnesses, func(s *witnessNode) bool { return s.name == at.to })
	if i < 0 || !l.sim.witnesses[i].isHonest() || res.Code != http.StatusOK {
		return
	}
	s := l.sim.witnesses[i]
	var note []byte
	switch {
	case at.from == slowLogHost:
		return
	case r.URL.Path == "/add-checkpoint":
		a, err := wire.ParseAddCheckpoint(body)
		if err != nil {
			l.addViolation(fmt.Errorf("%s cosigned a request that nobody can read: %w", s.name, err))
			return
		}
		sigs, err := proof.ParseSignatures(res.Body.Bytes())
		if err == nil {
			note, err = proof.AddSignatures(a.Note, sigs...)
		}
		if err != nil {
			l.addViolation(fmt.Errorf("%s answers with no cosignatures: %w", s.name, err))
			return
		}
		l.mu.Lock()
		halted := l.halted[s.name]
		l.mu.Unlock()
		if halted {
			l.addViolation(fmt.Errorf("%s holds evidence against the log, and cosigns it", s.name))
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
		l.addViolation(fmt.Errorf("a cosignature of %s does not verify: %w", s.name, err))
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	addTree(l.cosigned, s.name, by.Checkpoint().Tree())
}

// recordCosignRequest takes down what the honest ledger asks to be cosigned.
func (l *invariants) recordCosignRequest(body []byte) {
	a, err := wire.ParseAddCheckpoint(body)
	must(err)
	cp, _, err := proof.ParseCheckpoint(a.Note)
	must(err)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requested[cp.Tree()] = a.Note
}

func (l *invariants) addViolation(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.violations = append(l.violations, err)
}

// recordMaliciousSign: the forger is about to sign a head.
func (l *invariants) recordMaliciousSign(t proof.Tree) { l.signedByMaliciousLog[t] = true }

// recordTrusted: a client trusts a tree.
func (l *invariants) recordTrusted(client string, t proof.Tree) { addTree(l.trusted, client, t) }

// checkNetwork checks again what witnesses and clients promise.
func (l *invariants) checkNetwork() error {
	l.learnHistories()
	l.mu.Lock()
	defer l.mu.Unlock()
	errs := l.violations
	for _, name := range slices.Sorted(maps.Keys(l.cosigned)) {
		if err := l.checkOneHistory(l.cosigned[name]); err != nil {
			errs = append(errs, fmt.Errorf("%s has cosigned two histories: %w", name, err))
		}
	}
	asked := make(map[proof.Tree]bool)
	for t := range l.requested {
		asked[t] = true
	}
	if err := l.checkOneHistory(asked); err != nil {
		errs = append(errs, fmt.Errorf("the honest ledger has signed two histories: %w", err))
	}
	all := make(map[proof.Tree]bool)
	for _, trees := range l.trusted {
		maps.Copy(all, trees)
	}
	if err := l.checkOneHistory(all); err != nil {
		errs = append(errs, fmt.Errorf("%w: %w", errTwoHistoriesTrusted, err))
	}
	for _, s := range l.sim.witnesses {
		errs = append(errs, l.checkEvidence(s))
	}
	return errors.Join(errs...)
}

// learnHistories learns what the histories are.
func (l *invariants) learnHistories() {
	for i := range l.histories {
		if f := l.sim.maliciousLog; f != nil {
			l.histories[i].extendTo(f.branches[i].entries)
		} else if l.published.Size > 0 {
			l.histories[i].extendTo(l.entries)
		}
	}
}

// checkOneHistory: trees lie on one line. Before the fork, what is cosigned and not
// published yet is judged later.
func (l *invariants) checkOneHistory(trees map[proof.Tree]bool) error {
	var off [2]*proof.Tree
	for i := range l.histories {
		for t := range trees {
			if l.sim.maliciousLog == nil && t.Size >= uint64(len(l.histories[i].roots)) {
				continue
			}
			if !l.histories[i].contains(t) {
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
func (l *invariants) checkEvidence(s *witnessNode) error {
	if s.witness == nil {
		return nil
	}
	all, err := s.witness.Evidence().List()
	if err != nil {
		return err
	}
	if len(all) == 0 && l.halted[s.name] && s.isHonest() {
		return fmt.Errorf("%s has lost its evidence", s.name)
	}
	for _, kept := range all {
		if !l.forked() {
			return fmt.Errorf("%s holds evidence against a log with one history:\n%s", s.name, kept.File)
		}
		for _, signer := range l.sim.ledger.keys.Signers {
			if err := l.verifyEvidence(kept.File, signer.Key()); err != nil {
				return fmt.Errorf("evidence of %s: %w", s.name, err)
			}
		}
	}
	l.halted[s.name] = len(all) > 0
	return nil
}

func (l *invariants) verifyEvidence(file []byte, key proof.Key) error {
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
	if l.checkOneHistory(trees) == nil {
		return errors.New("it shows one history")
	}
	return nil
}

// forked tells whether the log has signed two histories.
func (l *invariants) forked() bool {
	return l.sim.maliciousLog != nil && l.checkOneHistory(l.signedByMaliciousLog) != nil
}

// forkCosigned tells whether trusty witnesses have cosigned both histories, each beyond
// the fork.
func (l *invariants) forkCosigned(also ...proof.Tree) bool {
	trees := make(map[proof.Tree]bool)
	for _, t := range also {
		trees[t] = true
	}
	for _, s := range l.sim.witnesses {
		if !s.isHonest() || len(l.cosigned[s.name]) == 0 {
			continue
		}
		newest := proof.Tree{}
		for t := range l.cosigned[s.name] {
			if t.Size > newest.Size {
				newest = t
			}
		}
		trees[newest] = true
	}
	return l.checkOneHistory(trees) != nil
}

func addTree(to map[string]map[proof.Tree]bool, who string, t proof.Tree) {
	if to[who] == nil {
		to[who] = make(map[proof.Tree]bool)
	}
	to[who][t] = true
}
