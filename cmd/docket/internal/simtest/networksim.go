package simtest

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

// networkSim is a ledger, its witnesses and its clients, each on its own simulated
// machine. The log is honest at first; with scenario.fork it later keeps two histories.
// All steps run in the goroutine of [RunNetwork].
type networkSim struct {
	simBase
	scenario     scenario
	net          *network
	policy       *proof.Policy
	ledger       *ledgerNode
	maliciousLog *maliciousLog // nil before the fork

	records      *registertest.World
	undecided    *record.Envelope // whether it was committed is not known yet
	designations int

	backup   backup // of the ledger
	onBackup bool   // the ledger lives on a backup now

	slowLog    *slowLog
	witnesses  []*witnessNode
	clients    []*clientNode
	invariants *networkInvariants
	events     map[string]int
}

// scenario is the configuration of one network simulation.
type scenario struct {
	witnesses, quorum  int
	dishonest          int  // of those in the quorum
	extraWitness       bool // one more is asked and does not count
	fork               bool
	dishonestBehaviour behaviour // of the dishonest; any if empty
}

// quorumsIntersect tells whether any two quorums have an honest witness in common.
func (p scenario) quorumsIntersect() bool { return 2*p.quorum-p.witnesses > p.dishonest }

var scenarios = []scenario{
	{witnesses: 3, quorum: 2, extraWitness: true},
	{witnesses: 4, quorum: 3, dishonest: 1},
	{witnesses: 5, quorum: 4, dishonest: 1, extraWitness: true},
	{witnesses: 7, quorum: 5, dishonest: 2},
}

// scenarioFor is the scenario of a seed: the sound ones in turn, each with a fork two
// times out of three.
func scenarioFor(seed uint64) scenario {
	p := scenarios[seed%uint64(len(scenarios))]
	p.fork = seed%3 != 0
	return p
}

func newNetworkSim(seed uint64, p scenario) *networkSim {
	tn := &networkSim{simBase: newSimBase(seed), scenario: p, net: newNetwork(seed), events: make(map[string]int)}
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
			if c = p.dishonestBehaviour; c == "" {
				c = pick(tn, equivocating, equivocating, restoredFromBackup, restoredFromBackup, malformed, offline, stalled, clockSkewed)
			}
		case i == p.witnesses-1 && p.witnesses-p.dishonest > p.quorum:
			c = pick(tn, honest, slow)
		}
		members += " " + tn.addWitness(&text, i, c)
	}
	fmt.Fprintf(&text, "group quorum %d%s\n", p.quorum, members)
	if p.extraWitness {
		tn.addWitness(&text, p.witnesses, pick(tn, honest, slow, malformed, stalled))
	}
	text.WriteString("quorum quorum\n")
	var err error
	tn.policy, err = proof.ParsePolicy([]byte(text.String()))
	must(err)
	tn.ledger = &ledgerNode{net: tn.net, name: ledgerHost, keys: keys, disk: vfs.NewCrashableMem()}
	tn.ledger.cosignConfig.Transport = tn.net.transportOf(ledgerHost)
	tn.records = registertest.New(tn.now, origin, text.String())
	for i := range 4 {
		tn.clients = append(tn.clients, &clientNode{sim: tn, name: fmt.Sprintf("watcher-%d", i), disk: vfs.NewCrashableMem()})
	}
	tn.slowLog = newSlowLog(tn)
	tn.net.faultOdds = 12 // there are so many calls in each step
	tn.invariants = newNetworkInvariants(tn)
	tn.net.observe = tn.invariants.onResponse
	return tn
}

// checkpointBurst is how many new checkpoints a log may save up with a witness: more
// than a simulation makes of them, and few enough for an outsider to send.
const checkpointBurst = 100

// logList is the witnesses' list of logs.
func (tn *networkSim) logList() witness.LogList {
	l := witness.Log{Origin: origin, QPD: 24 * checkpointBurst, Contact: "operator@" + ledgerHost}
	for _, s := range tn.ledger.keys.Signers {
		l.Keys = append(l.Keys, s.Key())
	}
	return witness.LogList{l, {Origin: slowLogOrigin, Keys: []proof.Key{tn.slowLog.signer.Key()}, QPD: 1 << 30, Contact: "nobody"}}
}

// addWitness adds a witness to the network and its keys to the policy, as one group.
func (tn *networkSim) addWitness(policy *strings.Builder, i int, c behaviour) (group string) {
	s, vkeys := newWitnessNode(tn, fmt.Sprintf("w%d.example", i), c)
	for k, vkey := range vkeys {
		fmt.Fprintf(policy, "witness w%d-%d %s %s\n", i, k, vkey, s.url())
	}
	group = fmt.Sprintf("w%d", i)
	fmt.Fprintf(policy, "group %s all w%d-0 w%d-1\n", group, i, i)
	tn.witnesses = append(tn.witnesses, s)
	tn.net.distant[s.name] = true
	tn.countEvent("a witness: " + string(c))
	tn.countEvent(fmt.Sprintf("a witness's clock is ahead: %v", s.clockOffset > 0))
	return group
}

// NetworkReport is what a run came to.
type NetworkReport struct {
	Trace   string
	Entries int
	Events  map[string]int // what happened, and how often
	Faults  map[fault]int
}

// RunNetwork simulates a network for that many steps; a violated invariant is its
// error.
func RunNetwork(t *testing.T, seed uint64, p scenario, steps int) (*NetworkReport, error) {
	t.Helper()
	cryptotest.SetGlobalRandom(t, seed)
	tn := newNetworkSim(seed, p)
	forkAt := steps / 3
	for left := steps; left > 0; {
		today := min(left, 15+tn.intn(25))
		fork := p.fork && tn.maliciousLog == nil && steps-left >= forkAt
		if fork {
			tn.setClockLater()
		}
		left -= today
		err := tn.runDay(t, func() error {
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
		tn.setClock()
	}
	tn.setClockLater()
	err := tn.runDay(t, func() error { return errors.Join(tn.healPartition(), tn.check()) })
	return tn.report(), err
}

func (tn *networkSim) report() *NetworkReport {
	return &NetworkReport{Trace: tn.Trace(), Entries: len(tn.invariants.histories[0].roots) - 1, Events: tn.events, Faults: tn.net.faultCounts}
}

// runDay runs the network for a day, with every machine on.
func (tn *networkSim) runDay(t *testing.T, steps func() error) error {
	startAll := func() error {
		if tn.maliciousLog != nil {
			must(tn.maliciousLog.open())
		}
		tn.slowLog.listen(tn.dayCtx)
		return errors.Join(tn.startAll(), steps())
	}
	return tn.simBase.runDay(t, startAll, func(end func()) error {
		if tn.ledger.node != nil {
			tn.ledger.crash(100, 0)
		}
		for _, s := range tn.witnesses {
			s.stop(100)
		}
		var err error
		if tn.maliciousLog != nil {
			err = tn.maliciousLog.close()
		}
		end()
		synctest.Wait()
		return err
	})
}

// check checks every invariant again.
func (tn *networkSim) check() error {
	synctest.Wait()
	for _, s := range tn.witnesses {
		if s.stopIfPowerFailed() {
			tn.tracef("%s has lost its power", s.name)
			tn.countEvent("witness loses power")
		}
	}
	return tn.invariants.check()
}

// countEvent counts what happened.
func (tn *networkSim) countEvent(what string) { tn.events[what]++ }

// nextRecord is a record that any history admits, whatever else is in it.
func (tn *networkSim) nextRecord() record.Envelope {
	tn.records.Now = time.Now().UTC().Truncate(time.Millisecond)
	switch {
	case tn.undecided != nil:
		return *tn.undecided
	case tn.records.Ledger.IsZero():
		return tn.records.Charter()
	case tn.records.Head("party/authority").IsZero():
		return tn.records.Authority()
	}
	tn.designations++
	order := tn.records.NewDesignation(fmt.Sprintf("Kestrel %d", tn.designations))
	st := tn.records.Statement(fmt.Sprintf("designation/2026-%03d", tn.designations), record.Authority, order)
	return tn.records.Sign(st, "authority/officer-1", "authority/officer-2")
}

// commitRecord commits one more record on the honest ledger.
func (tn *networkSim) commitRecord() error {
	l, env := tn.ledger.node.Ledger, tn.nextRecord()
	tn.undecided = &env
	if err := tn.ledger.runStep(tn.dayCtx, l.CheckClock); err != nil { // as Run does before it commits
		tn.tracef("the clock is not confirmed: %s", firstLine(err))
		tn.countEvent("clock not confirmed")
		return tn.allow(err, ledger.ErrNoQuorum, ledger.ErrClock)
	}
	v, err := record.Open(env, tn.ledger.node.Register.CandidateKeys)
	if err != nil {
		return err
	}
	if _, err := l.Append(tn.dayCtx, v); errors.Is(err, ledger.ErrBacklog) {
		return nil
	} else if err != nil && l.Err() == nil {
		return err
	}
	committed := tn.ledger.runStep(tn.dayCtx, l.Commit)
	if err := tn.allow(committed, ledger.ErrClock); err != nil || tn.ledger.node == nil {
		return err
	}
	_, there, err := l.Lookup(v.ID())
	if there {
		tn.records.NoteAdmitted(env)
	}
	if there || committed == nil { // or it was refused, being of yesterday
		tn.undecided = nil
	}
	return err
}

// publish publishes what is committed on the honest ledger, or has its newest
// checkpoint cosigned again.
func (tn *networkSim) publish() error {
	l := tn.ledger.node.Ledger
	if l.Head().Size == 0 {
		return nil
	}
	what, act := "publish", l.Publish
	if tn.chance(20) {
		what, act = "recosign", l.Recosign
	}
	err := tn.ledger.runStep(tn.dayCtx, act)
	tn.tracef("%s of %d: %s", what, l.Head().Size, firstLine(err))
	if errors.Is(err, ledger.ErrNoQuorum) {
		tn.countEvent("no quorum")
	}
	return tn.allow(errors.Join(err, l.MergeLate(tn.dayCtx)), ledger.ErrNoQuorum, ledger.ErrClock)
}

// allow allows a step to fail as it may, or because the ledger's machine fell.
func (tn *networkSim) allow(err error, allowed ...error) error {
	tn.ledger.fault.mu.Lock()
	fell := tn.ledger.fault.diskAfter != nil
	tn.ledger.fault.mu.Unlock()
	if fell {
		tn.tracef("the ledger has lost its power")
		tn.countEvent("ledger loses power")
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

func (tn *networkSim) startAll() error {
	if tn.maliciousLog == nil && tn.ledger.node == nil {
		if ok, err := tn.ledger.start(tn.dayCtx); err != nil || !ok {
			return err
		}
	}
	for _, s := range tn.witnesses {
		if s.witness == nil {
			if _, err := s.start(); err != nil {
				return err
			}
		}
	}
	for _, s := range tn.witnesses {
		s.lookUp()
	}
	return nil
}

func firstLine(err error) string {
	if err == nil {
		return "done"
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	return first
}

// step takes one random step of the simulation.
func (tn *networkSim) step() error {
	s := pick(tn, tn.witnesses...)
	switch n := tn.intn(112); {
	case n < 35:
		return tn.operatorStep()
	case n < 40:
		return tn.crashLedger()
	case n < 48:
		if s.witness != nil {
			tn.tracef("the power of %s will fail", s.name)
			s.fault.arm(false, tn.intn(5), pick(tn, 0, 30, 70, 100), tn.rng.Uint64())
		}
	case n < 52:
		keep := pick(tn, 0, 50, 100)
		tn.tracef("%s crashes, %d %% of what it had not synced is kept", s.name, keep)
		tn.countEvent("witness crashes")
		s.stop(keep)
	case n < 60:
		for _, s := range tn.witnesses {
			if err := tn.startWitness(s); err != nil {
				return err
			}
		}
	case n < 64:
		return tn.backUpOrRestoreWitnesses()
	case n < 70:
		tn.changeLinks()
	case n < 78:
		return tn.gossip(s)
	case n < 90:
		c := pick(tn, tn.clients...)
		tn.chooseShownHost(c)
		return c.update(tn.chance(60))
	case n < 93:
		c := pick(tn, tn.clients...)
		return c.submitToWitness(c.note)
	case n < 96:
		return tn.checkPublishing()
	case n < 99:
		tn.replayNotes(s)
	case n < 101:
		tn.sendMalformed(s)
	case n < 104:
		if tn.maliciousLog != nil {
			tn.maliciousLog.floodWitness(s)
		}
	case n < 106:
		tn.slowLog.submitTo(s)
	case n < 109:
		return tn.backUpOrRollBack()
	default:
		d := pick(tn, time.Second, 20*time.Second, 3*time.Minute)
		tn.tracef("%v pass", d)
		time.Sleep(d)
	}
	return nil
}

// operatorStep is what the operator does: it admits and publishes, on one of its
// histories if it has two.
func (tn *networkSim) operatorStep() error {
	if tn.maliciousLog != nil {
		return tn.maliciousStep(tn.intn(2))
	}
	if tn.ledger.node == nil {
		return tn.startAll()
	}
	for range tn.intn(3) {
		if err := tn.commitRecord(); err != nil || tn.ledger.node == nil {
			return err
		}
	}
	return tn.publish()
}

func (tn *networkSim) maliciousStep(i int) error {
	b := tn.maliciousLog.branches[i]
	for range tn.intn(4) {
		if err := b.appendRecord(tn.nextRecord()); err != nil {
			return fmt.Errorf("the forger's own record: %w", err)
		}
	}
	quorum, err := tn.maliciousLog.publish(b)
	for range 2 {
		if !quorum && err == nil {
			quorum, err = tn.maliciousLog.publish(b)
		}
	}
	tn.tracef("the forger asks for view %d of %d entries; quorum: %v", i, len(b.entries), quorum)
	if !quorum || err != nil {
		return err
	}
	tn.countEvent("forged view with a quorum")
	c := tn.clients[i+2*tn.intn(2)] // of whom the operator knows that he will look
	tn.net.redirect(link{c.name, ledgerHost}, b.host)
	return c.update(tn.chance(60))
}

func (tn *networkSim) crashLedger() error {
	if tn.ledger.node == nil {
		return nil
	}
	if tn.chance(50) {
		tn.tracef("the ledger crashes")
		tn.countEvent("ledger crashes")
		tn.ledger.crash(pick(tn, 0, 50, 100), tn.rng.Uint64())
		return nil
	}
	tn.tracef("the power of the ledger will fail")
	tn.ledger.fault.arm(false, tn.intn(4), pick(tn, 0, 50, 100), tn.rng.Uint64())
	return nil
}

// startWitness starts a witness that is down; now and then the power fails meanwhile.
func (tn *networkSim) startWitness(s *witnessNode) error {
	if s.witness != nil || !s.runsRealWitness() {
		return nil
	}
	if tn.chance(30) {
		s.fault.arm(false, tn.intn(40), pick(tn, 0, 50, 100), tn.rng.Uint64())
	}
	ok, err := s.start()
	tn.tracef("%s starts: %v", s.name, ok)
	if !ok {
		tn.countEvent("witness loses power as it starts")
	}
	s.lookUp()
	return err
}

// backUpOrRestoreWitnesses makes backups of the careless witnesses, or brings them back.
func (tn *networkSim) backUpOrRestoreWitnesses() error {
	for _, s := range tn.witnesses {
		if s.behaviour != restoredFromBackup {
			continue
		}
		if s.backup == nil || tn.maliciousLog == nil && tn.chance(50) {
			tn.tracef("a backup of %s is made", s.name)
			if !s.shutDown() {
				continue
			}
			s.backup = crashedDisk(s.disk, 100, 0)
			if _, err := s.start(); err != nil {
				return err
			}
			s.lookUp()
			continue
		}
		tn.tracef("%s is restored from its backup", s.name)
		tn.countEvent("witness restored from a backup")
		s.stop(100)
		s.disk = crashedDisk(s.backup, 100, 0)
		if _, err := s.start(); err != nil {
			return err
		}
		s.lookUp()
	}
	return nil
}

// changeLinks cuts one link of the network, or isolates one witness, or mends all.
func (tn *networkSim) changeLinks() {
	s := pick(tn, tn.witnesses...)
	asking := []string{ledgerHost, viewHost(0), viewHost(1)}
	switch tn.intn(4) {
	case 0:
		for l := range tn.net.blocked {
			tn.net.setBlocked(l, false)
		}
		tn.tracef("all links are mended")
	case 1:
		from := pick(tn, asking...)
		tn.tracef("%s does not reach %s", from, s.name)
		tn.countEvent("ledger and witness parted")
		tn.net.setBlocked(link{from, s.name}, true)
	case 2:
		tn.tracef("%s is cut off from the other witnesses", s.name)
		tn.countEvent("witnesses parted")
		for _, peer := range tn.witnesses {
			tn.net.setBlocked(link{s.name, peer.name}, true)
			tn.net.setBlocked(link{peer.name, s.name}, true)
		}
	default:
		c := pick(tn, tn.clients...)
		tn.tracef("%s is cut off from all witnesses", c.name)
		tn.countEvent("client and witnesses parted")
		for _, peer := range tn.witnesses {
			tn.net.setBlocked(link{c.name, peer.name}, true)
		}
	}
}

// gossip lets a witness make one round, which a peer that hangs must not prolong.
func (tn *networkSim) gossip(s *witnessNode) error {
	if s.witness == nil {
		return nil
	}
	begun := time.Now()
	r := s.witness.Gossip(tn.dayCtx)
	took := time.Since(begun)
	tn.tracef("%s gossips for %s: %+v", s.name, took.Round(time.Second), r)
	tn.countEvent("gossip")
	if took > maxRoundTime {
		return fmt.Errorf("a round of gossip of %s took %s", s.name, took)
	}
	return nil
}

// maxRoundTime is what a witness with so many peers, asked one after another, may
// take if all of them hang.
const maxRoundTime = 10 * time.Minute

// chooseShownHost decides what a client will be shown: the history of its audience, and now
// and then another, or something of both.
func (tn *networkSim) chooseShownHost(c *clientNode) {
	if tn.maliciousLog == nil {
		return
	}
	i := int(c.name[len(c.name)-1]) % 2
	host := viewHost(i)
	switch tn.intn(8) {
	case 0:
		host = viewHost(1 - i)
	case 1, 2:
		host = staleHost(tn.intn(2))
	case 3:
		host = mixedHost(tn.intn(2))
		tn.countEvent("client is shown something of both")
	}
	tn.tracef("%s will be shown %s", c.name, host)
	tn.net.redirect(link{c.name, ledgerHost}, host)
}

// fork makes the operator sign two histories from now on, and choose who is shown
// which.
func (tn *networkSim) fork() error {
	if err := tn.checkPublishing(); err != nil {
		return err
	}
	for _, s := range tn.witnesses {
		if s.behaviour == restoredFromBackup {
			s.backup = crashedDisk(s.disk, 100, 0) // the last one that is of use to the operator
		}
	}
	l := tn.ledger.node.Ledger
	published := l.Published()
	entries, err := l.Entries(tn.dayCtx, 0, published.Checkpoint().Size)
	if err != nil {
		return err
	}
	if err := tn.ledger.stop(); err != nil {
		return err
	}
	if tn.maliciousLog, err = newMaliciousLog(tn, entries, published); err != nil {
		return err
	}
	tn.undecided = nil
	tn.tracef("the operator keeps two histories from size %d on", len(entries))
	tn.countEvent("fork")
	tn.assignHistories()
	for i := range tn.maliciousLog.branches {
		for _, s := range tn.witnesses {
			tn.net.setBlocked(link{s.name, mirrorHost(i)}, true)
		}
	}
	return nil
}

// assignHistories decides who is shown which history: each witness by chance, most the first
// alone so that it has a quorum, or one half of the honest each and the others both.
func (tn *networkSim) assignHistories() {
	scheme := tn.intn(3)
	for i, s := range tn.witnesses {
		side := tn.intn(3) // 2: both
		switch {
		case scheme == 1 && tn.chance(80):
			side = 0
		case scheme == 2 && s.isHonest():
			side = i % 2
		case scheme == 2:
			side = 2
		}
		if side < 2 {
			tn.net.setBlocked(link{viewHost(1 - side), s.name}, true)
		}
		tn.net.redirect(link{s.name, ledgerHost}, viewHost(side%2))
	}
}
