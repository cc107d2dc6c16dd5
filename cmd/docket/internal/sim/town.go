package sim

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/witness"
)

// town is a ledger, its witnesses and its clients, each on a machine of its own.
// The ledger is honest at first; then, perhaps, its operator keeps two histories.
// All that happens, happens in the goroutine of [RunTown].
type town struct {
	story
	plan   plan
	net    *network
	policy *proof.Policy
	ledger *machine
	forger *forger // nil before the fork

	cast   *registertest.World
	unsaid *record.Envelope // nobody knows yet whether it was committed
	orders int

	backup backup // of the ledger
	misled bool   // the ledger lives on a backup now

	sluggard *sluggard
	sites    []*site
	watchers []*watcher
	oaths    *oaths
	seen     map[string]int
}

// plan says what a town is like.
type plan struct {
	witnesses, quorum int
	dishonest         int  // of those in the quorum
	outside           bool // one more is asked and does not count
	fork              bool
	liars             conduct // of the dishonest; any if empty
}

// sound tells whether any two quorums have an honest witness in common.
func (p plan) sound() bool { return 2*p.quorum-p.witnesses > p.dishonest }

var plans = []plan{
	{witnesses: 3, quorum: 2, outside: true},
	{witnesses: 4, quorum: 3, dishonest: 1},
	{witnesses: 5, quorum: 4, dishonest: 1, outside: true},
	{witnesses: 7, quorum: 5, dishonest: 2},
}

// planOf is the plan of a seed: the sound ones in turn, each with a fork two times
// out of three.
func planOf(seed uint64) plan {
	p := plans[seed%uint64(len(plans))]
	p.fork = seed%3 != 0
	return p
}

func newTown(seed uint64, p plan) *town {
	tn := &town{story: newStory(seed), plan: p, net: newNetwork(seed), seen: make(map[string]int)}
	var text strings.Builder
	keys := node.Keys{Origin: origin}
	for _, alg := range []proof.Algorithm{proof.Ed25519, proof.MLDSA44} {
		secret, public, err := proof.GenerateKey(alg, origin)
		must(err)
		signer, err := proof.ParseSigner(secret)
		must(err)
		keys.Signers = append(keys.Signers, signer)
		fmt.Fprintf(&text, "log %s %s\n", public, ledgerURL)
	}
	members := ""
	for i := range p.witnesses {
		c := honest
		switch {
		case i < p.dishonest:
			if c = p.liars; c == "" {
				c = pick(tn, double, double, restored, restored, babbling, dead, hanging, astray)
			}
		case i == p.witnesses-1 && p.witnesses-p.dishonest > p.quorum:
			c = pick(tn, honest, slow)
		}
		members += " " + tn.settleSite(&text, i, c)
	}
	fmt.Fprintf(&text, "group quorum %d%s\n", p.quorum, members)
	if p.outside {
		tn.settleSite(&text, p.witnesses, pick(tn, honest, slow, babbling, hanging))
	}
	text.WriteString("quorum quorum\n")
	var err error
	tn.policy, err = proof.ParsePolicy([]byte(text.String()))
	must(err)
	tn.ledger = &machine{net: tn.net, name: ledgerHost, keys: keys, disk: vfs.NewCrashableMem()}
	tn.ledger.ask.Transport = tn.net.from(ledgerHost)
	tn.cast = registertest.New(tn.now, origin, text.String())
	for i := range 4 {
		tn.watchers = append(tn.watchers, &watcher{town: tn, name: fmt.Sprintf("watcher-%d", i), disk: vfs.NewCrashableMem()})
	}
	tn.sluggard = newSluggard(tn)
	tn.net.odds = 12 // there are so many calls in each step
	tn.oaths = newOaths(tn)
	tn.net.tap = tn.oaths.heard
	return tn
}

// savedUp is how many new checkpoints a log may save up with a witness: more than a
// town makes of them, and few enough for a stranger to send.
const savedUp = 100

// listed is the witnesses' list of logs.
func (tn *town) listed() witness.LogList {
	l := witness.Log{Origin: origin, QPD: 24 * savedUp, Contact: "operator@" + ledgerHost}
	for _, s := range tn.ledger.keys.Signers {
		l.Keys = append(l.Keys, s.Key())
	}
	return witness.LogList{l, {Origin: sluggardOrigin, Keys: []proof.Key{tn.sluggard.signer.Key()}, QPD: 1 << 30, Contact: "nobody"}}
}

// settleSite adds a witness to the town and its keys to the policy, as one group.
func (tn *town) settleSite(policy *strings.Builder, i int, c conduct) (group string) {
	s, vkeys := newSite(tn, fmt.Sprintf("w%d.example", i), c)
	for k, vkey := range vkeys {
		fmt.Fprintf(policy, "witness w%d-%d %s %s\n", i, k, vkey, s.url())
	}
	group = fmt.Sprintf("w%d", i)
	fmt.Fprintf(policy, "group %s all w%d-0 w%d-1\n", group, i, i)
	tn.sites = append(tn.sites, s)
	tn.net.far[s.name] = true
	tn.saw("a witness: " + string(c))
	tn.saw(fmt.Sprintf("a witness's clock is ahead: %v", s.off > 0))
	return group
}

// TownReport is what a run came to.
type TownReport struct {
	Trace   string
	Entries int
	Seen    map[string]int // what happened, and how often
	Mishaps map[mishap]int
}

// RunTown lets a town live for that many steps; a broken law is its error.
func RunTown(t *testing.T, seed uint64, p plan, steps int) (*TownReport, error) {
	t.Helper()
	cryptotest.SetGlobalRandom(t, seed)
	tn := newTown(seed, p)
	forkAt := steps / 3
	for left := steps; left > 0; {
		today := min(left, 15+tn.roll(25))
		fork := p.fork && tn.forger == nil && steps-left >= forkAt
		if fork {
			tn.morrow()
		}
		left -= today
		err := tn.day(t, func() error {
			if fork {
				if err := tn.fork(); err != nil {
					return err
				}
			}
			for range today {
				if err := errors.Join(tn.step(), tn.check()); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return tn.report(), err
		}
		tn.night()
	}
	tn.morrow()
	err := tn.day(t, func() error { return errors.Join(tn.heal(), tn.check()) })
	return tn.report(), err
}

func (tn *town) report() *TownReport {
	return &TownReport{Trace: tn.Trace(), Entries: len(tn.oaths.lines[0].roots) - 1, Seen: tn.seen, Mishaps: tn.net.count}
}

// day opens the town for a day, with every machine on.
func (tn *town) day(t *testing.T, live func() error) error {
	morning := func() error {
		if tn.forger != nil {
			must(tn.forger.morning())
		}
		tn.sluggard.morning(tn.ctx)
		return errors.Join(tn.bootAll(), live())
	}
	return tn.story.day(t, morning, func(end func()) error {
		if tn.ledger.node != nil {
			tn.ledger.crash(100, 0)
		}
		for _, s := range tn.sites {
			s.down(100)
		}
		var err error
		if tn.forger != nil {
			err = tn.forger.evening()
		}
		end()
		synctest.Wait()
		return err
	})
}

// check re-checks every law.
func (tn *town) check() error {
	synctest.Wait()
	for _, s := range tn.sites {
		if s.fell() {
			tn.note("%s has lost its power", s.name)
			tn.saw("witness loses power")
		}
	}
	return tn.oaths.check()
}

// saw counts what happened.
func (tn *town) saw(what string) { tn.seen[what]++ }

// next is a record that any history admits, whatever else is in it.
func (tn *town) next() record.Envelope {
	tn.cast.Now = time.Now().UTC().Truncate(time.Millisecond)
	switch {
	case tn.unsaid != nil:
		return *tn.unsaid
	case tn.cast.Ledger.IsZero():
		return tn.cast.Charter()
	case tn.cast.Head("party/authority").IsZero():
		return tn.cast.Authority()
	}
	tn.orders++
	order := tn.cast.Order(fmt.Sprintf("Kestrel %d", tn.orders))
	st := tn.cast.Statement(fmt.Sprintf("designation/2026-%03d", tn.orders), record.Authority, order)
	return tn.cast.Sign(st, "authority/officer-1", "authority/officer-2")
}

// write commits one more record on the honest ledger.
func (tn *town) write() error {
	l, env := tn.ledger.node.Ledger, tn.next()
	tn.unsaid = &env
	if err := tn.ledger.step(tn.ctx, l.CheckClock); err != nil { // as Run does before it commits
		tn.note("the clock is not confirmed: %s", brief(err))
		tn.saw("clock not confirmed")
		return tn.expect(err, ledger.ErrNoQuorum, ledger.ErrClock)
	}
	v, err := record.Open(env, tn.ledger.node.Register.Candidates)
	if err != nil {
		return err
	}
	if _, err := l.Append(tn.ctx, v); errors.Is(err, ledger.ErrBacklog) {
		return nil
	} else if err != nil && l.Err() == nil {
		return err
	}
	committed := tn.ledger.step(tn.ctx, l.Commit)
	if err := tn.expect(committed, ledger.ErrClock); err != nil || tn.ledger.node == nil {
		return err
	}
	_, there, err := l.Lookup(v.ID())
	if there {
		tn.cast.Note(env)
	}
	if there || committed == nil { // or it was refused, being of yesterday
		tn.unsaid = nil
	}
	return err
}

// publish publishes what is committed on the honest ledger, or has its newest
// checkpoint cosigned again.
func (tn *town) publish() error {
	l := tn.ledger.node.Ledger
	if l.Head().Size == 0 {
		return nil
	}
	what, act := "publish", l.Publish
	if tn.chance(20) {
		what, act = "recosign", l.Recosign
	}
	err := tn.ledger.step(tn.ctx, act)
	tn.note("%s of %d: %s", what, l.Head().Size, brief(err))
	if errors.Is(err, ledger.ErrNoQuorum) {
		tn.saw("no quorum")
	}
	return tn.expect(errors.Join(err, l.TakeLate(tn.ctx)), ledger.ErrNoQuorum, ledger.ErrClock)
}

// expect allows a step to fail as it may, or because the ledger's machine fell.
func (tn *town) expect(err error, allowed ...error) error {
	tn.ledger.trouble.mu.Lock()
	fell := tn.ledger.trouble.left != nil
	tn.ledger.trouble.mu.Unlock()
	if fell {
		tn.note("the ledger has lost its power")
		tn.saw("ledger loses power")
		tn.ledger.crash(100, 0)
		return nil
	}
	if err == nil {
		return nil
	}
	for _, a := range allowed {
		if errors.Is(err, a) {
			return nil
		}
	}
	return fmt.Errorf("a step of the ledger: %w", err)
}

func (tn *town) bootAll() error {
	if tn.forger == nil && tn.ledger.node == nil {
		if ok, err := tn.ledger.up(tn.ctx); err != nil || !ok {
			return err
		}
	}
	for _, s := range tn.sites {
		if s.witness == nil {
			if _, err := s.up(); err != nil {
				return err
			}
		}
	}
	return nil
}

func brief(err error) string {
	if err == nil {
		return "done"
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	return first
}
