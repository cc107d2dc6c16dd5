package sim

import (
	"bytes"
	"cmp"
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

// oaths are the laws of witnesses and of those who rely on them. They see every
// answer on the wire, and know every history that there is.
type oaths struct {
	town *town

	mu       sync.Mutex                     // answers come on the callers' goroutines; guards what follows
	cosigned map[string]map[proof.Tree]bool // by witness: all that its key was ever seen under
	asked    map[proof.Tree][]byte          // what the honest ledger has asked to be cosigned
	breaches []error                        // seen on the wire

	trusted map[string]map[proof.Tree]bool // by client: all that it ever believed
	halted  map[string]bool                // witnesses that hold evidence
	signed  map[proof.Tree]bool            // by the forger: evidence may speak of these
	lines   [2]line
}

// errBelieved is the law for whose sake there are witnesses.
var errBelieved = errors.New("clients believe two histories")

// line is one history: the root at each size.
type line struct {
	log   *storetest.Log
	roots []proof.Hash
}

func newOaths(tn *town) *oaths {
	return &oaths{
		town: tn, cosigned: make(map[string]map[proof.Tree]bool), asked: make(map[proof.Tree][]byte), trusted: make(map[string]map[proof.Tree]bool),
		halted: make(map[string]bool), signed: make(map[proof.Tree]bool),
	}
}

func (l *line) follow(entries [][]byte) {
	if len(l.roots) > len(entries) {
		return
	}
	l.log = storetest.LogOf(entries)
	for size := len(l.roots); size <= len(entries); size++ {
		l.roots = append(l.roots, l.log.Head(size).Root)
	}
}

// has tells whether the history began with that tree. What is larger than the
// history is not on it.
func (l *line) has(t proof.Tree) bool {
	return t.Size < uint64(len(l.roots)) && l.roots[t.Size] == t.Root
}

// heard takes down each cosignature that passes (it is the network's tap).
func (o *oaths) heard(l link, r *http.Request, body []byte, res *httptest.ResponseRecorder) {
	if r.URL.Path == "/add-checkpoint" && l.from == ledgerHost {
		o.hearAsked(body)
	}
	i := slices.IndexFunc(o.town.sites, func(s *site) bool { return s.name == l.to })
	if i < 0 || !o.town.sites[i].trusty() || res.Code != http.StatusOK {
		return
	}
	s := o.town.sites[i]
	var note []byte
	switch {
	case l.from == sluggardHost:
		return
	case r.URL.Path == "/add-checkpoint":
		a, err := wire.ParseAddCheckpoint(body)
		if err != nil {
			o.breach(fmt.Errorf("%s cosigned a request that nobody can read: %w", s.name, err))
			return
		}
		sigs, err := proof.ParseSignatures(res.Body.Bytes())
		if err == nil {
			note, err = proof.AddSignatures(a.Note, sigs...)
		}
		if err != nil {
			o.breach(fmt.Errorf("%s answers with no cosignatures: %w", s.name, err))
			return
		}
		o.mu.Lock()
		halted := o.halted[s.name]
		o.mu.Unlock()
		if halted {
			o.breach(fmt.Errorf("%s holds evidence against the log, and cosigns it", s.name))
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
		o.breach(fmt.Errorf("a cosignature of %s does not verify: %w", s.name, err))
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	add1(o.cosigned, s.name, by.Checkpoint().Tree())
}

// hearAsked takes down what the honest ledger asks to be cosigned.
func (o *oaths) hearAsked(body []byte) {
	a, err := wire.ParseAddCheckpoint(body)
	must(err)
	cp, _, err := proof.ParseCheckpoint(a.Note)
	must(err)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked[cp.Tree()] = a.Note
}

func (o *oaths) breach(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.breaches = append(o.breaches, err)
}

// signs: the forger is about to sign a head.
func (o *oaths) signs(t proof.Tree) { o.signed[t] = true }

// believed: a client trusts a tree.
func (o *oaths) believed(client string, t proof.Tree) { add1(o.trusted, client, t) }

// check is every law, once more.
func (o *oaths) check() error {
	if err := o.follow(); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	errs := o.breaches
	for _, name := range slices.Sorted(maps.Keys(o.cosigned)) {
		if err := o.oneHistory(o.cosigned[name]); err != nil {
			errs = append(errs, fmt.Errorf("%s has cosigned two histories: %w", name, err))
		}
	}
	asked := make(map[proof.Tree]bool)
	for t := range o.asked {
		asked[t] = true
	}
	if err := o.oneHistory(asked); err != nil {
		errs = append(errs, fmt.Errorf("the honest ledger has signed two histories: %w", err))
	}
	all := make(map[proof.Tree]bool)
	for _, trees := range o.trusted {
		maps.Copy(all, trees)
	}
	if err := o.oneHistory(all); err != nil {
		errs = append(errs, fmt.Errorf("%w: %w", errBelieved, err))
	}
	for _, s := range o.town.sites {
		errs = append(errs, o.evidence(s))
	}
	return errors.Join(errs...)
}

// follow learns what the histories are.
func (o *oaths) follow() error {
	if f := o.town.forger; f != nil {
		for i, b := range f.branches {
			o.lines[i].follow(b.entries)
		}
		return nil
	}
	n := o.town.ledger.node
	if n == nil || n.Ledger.Published() == nil {
		return nil
	}
	entries, err := n.Ledger.Entries(o.town.ctx, 0, n.Ledger.Published().Checkpoint().Size)
	if err != nil {
		return err
	}
	for i := range o.lines {
		o.lines[i].follow(entries)
	}
	return nil
}

// oneHistory: trees lie on one line. Before the fork, what is cosigned and not
// published yet is judged later.
func (o *oaths) oneHistory(trees map[proof.Tree]bool) error {
	var off [2]*proof.Tree
	for i := range o.lines {
		for t := range trees {
			if o.town.forger == nil && t.Size >= uint64(len(o.lines[i].roots)) {
				continue
			}
			if !o.lines[i].has(t) {
				off[i] = &t
			}
		}
	}
	if off[0] == nil || off[1] == nil {
		return nil
	}
	return fmt.Errorf("size %d, root %s, is not on the one, and size %d, root %s, not on the other", off[0].Size, off[0].Root, off[1].Size, off[1].Root)
}

// evidence: what a witness keeps verifies offline with nothing but the log's keys,
// speaks of what the log has signed, is not there without a fork, and stays.
func (o *oaths) evidence(s *site) error {
	if s.witness == nil {
		return nil
	}
	all, err := s.witness.Evidence().List()
	if err != nil {
		return err
	}
	if len(all) == 0 && o.halted[s.name] && s.trusty() {
		return fmt.Errorf("%s has lost its evidence", s.name)
	}
	for _, kept := range all {
		if !o.forked() {
			return fmt.Errorf("%s holds evidence against a log with one history:\n%s", s.name, kept.File)
		}
		for _, signer := range o.town.ledger.keys.Signers {
			if err := o.verifies(kept.File, signer.Key()); err != nil {
				return fmt.Errorf("evidence of %s: %w", s.name, err)
			}
		}
	}
	o.halted[s.name] = len(all) > 0
	return nil
}

func (o *oaths) verifies(file []byte, key proof.Key) error {
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
	if o.oneHistory(trees) == nil {
		return errors.New("it shows one history")
	}
	return nil
}

// forked tells whether the log has signed two histories.
func (o *oaths) forked() bool { return o.town.forger != nil && o.oneHistory(o.signed) != nil }

// known tells whether trusty witnesses have cosigned both histories, each beyond
// the fork.
func (o *oaths) known(also ...proof.Tree) bool {
	trees := make(map[proof.Tree]bool)
	for _, t := range also {
		trees[t] = true
	}
	for _, s := range o.town.sites {
		if !s.trusty() || len(o.cosigned[s.name]) == 0 {
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
	return o.oneHistory(trees) != nil
}

// compareTrees orders by size, then by root.
func compareTrees(a, b proof.Tree) int {
	return cmp.Or(cmp.Compare(a.Size, b.Size), bytes.Compare(a.Root[:], b.Root[:]))
}

func add1(to map[string]map[proof.Tree]bool, who string, t proof.Tree) {
	if to[who] == nil {
		to[who] = make(map[proof.Tree]bool)
	}
	to[who][t] = true
}
