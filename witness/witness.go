// Package witness cosigns the checkpoints of any number of transparency logs (C2SP
// tlog-witness), and detects a log that shows different clients different histories.
//
// What it promises: for each origin it never cosigns two checkpoints of which one does
// not extend the other, whatever crashes, races or lies happen; what it has cosigned is
// durable before the signature exists; two signed histories that reach it, in whatever
// way, are stored as evidence that anyone can verify offline, and from then on it
// cosigns nothing of that log until an operator has decided.
//
// What it does not promise: it does not read entries, so a cosignature says nothing
// about their content. A log that keeps its two audiences, and the witnesses of each,
// permanently apart is not detected. sign-subtree, which is optional in tlog-witness,
// is not offered. Checkpoints with extension lines are refused, because an ML-DSA
// cosignature does not cover them.
//
// What it has cosigned is its state. [CreateState] makes it with the keys, and no
// witness runs without it: a witness that has lost its state would cosign a fork.
// [RecreateState] replaces a lost one.
//
// The package offers steps, [Witness.Cosign], [Witness.Gossip] and [Witness.LookUp];
// [Witness.Handler] is the HTTP handler of the first, [Witness.Run] the loop around the
// others. This package is add-checkpoint: it checks, persists, and signs or refuses. What it
// refuses it hands to package gossip, which compares and keeps evidence; its comment has
// the states and transitions as a table.
//
// # Contract
//
// These conditions are tried in this order, and the first that holds refuses a checkpoint. The
// lock of its log is held from the third to the last:
//
//	what the keys cosigned of the log before is being looked up                  503
//	the newest one is repeated within 10 s, and nothing below stops the log      200, the same lines
//	a write had an unknown outcome since the start                               503
//	a tree of that size with another root was cosigned, or is known to gossip    evidence: the log is halted, below
//	the old size is larger than the checkpoint's / is not the one cosigned last  400 / 409
//	the same size has another root, or the proof does not verify                 422
//	the log is halted: evidence is not acknowledged                              403
//	the log has left the list                                                    404
//	the disk is nearly full / the log's allowance for new trees is used up       503 / 429
//	writing the checkpoint, synced, fails                                        503, for all logs, until a restart
//
// Only then the keys sign. Before all this the note was parsed (400), its log is on the list
// (404), and a key of it signed (403). Each check that tlog-witness demands has a comment
// SPEC beside it. Nothing else keeps the witness from signing: not a peer or a source that
// hangs, not a full queue, not evidence against another log.
//
// # Format
//
// Which logs it serves is a list in the witness network's format ([ParseLogs]):
//
//	logs/v0
//	vkey log.example/2026+f5d9f1dc+ASU3SmVct8mIZ7IXkRE8uXMZUpDpjIl+LHj42GKD+wB4
//	qpd 86400
//	contact ops@log.example
//
// A log asks with POST /add-checkpoint (tlog-witness "add-checkpoint"): the size that was
// cosigned last, a consistency proof from there, an empty line, the signed checkpoint:
//
//	old 2
//	ZW0+j1RCOM324y1kD1G6CRSVmxTt16UtC4uZq0yKxsY=
//
//	log.example/2026
//	3
//	w2UeVBcUxT1kjsx7rsp/4sNu9PplvM4ksdcShkN95WY=
//
//	— log.example/2026 9dnx3JsgD2dE91X+67Hfk5Cce2FGD4LhCiDU9K+c2aHNlkLu6yAzMYQLoWnrSPwteBnZ8iwTWsPeyBZlxgHAOYvtXQs=
//
// The answer is a line for each key of the witness (tlog-cosignature), this one by the
// key w1.example+906067f9+BBbPuY4uH+YBLx4IXqRPp4gPQlRP3QQNSr23Mnxu5Msx:
//
//	— w1.example kGBn+QAAAABrCFexeuHSc1Osh4sW76Kxd5aZbmHwLqzR9aUJlHMjzYVWiMX5aQ+P3gfJvvo2JaPAjLiA4sM43aqt74TL+TU3v9VbBg==
//
// or a status that says what is wrong: 400 malformed, 403 not signed by the log or halted,
// 404 no such log, 409 and the size that was cosigned last, 422 the proof shows no
// extension, 429 too many, 503 not now. See ledger/DESIGN.md section 6, "Witness".
package witness

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness/gossip"
)

// Key makes cosignatures: a [proof.Cosigner], or one whose private half is elsewhere.
type Key interface {
	Key() proof.Key
	// Cosign stamps the present second. It is called only once the checkpoint is
	// durable.
	Cosign(proof.Checkpoint) (proof.Signature, error)
}

// Config is a witness. Keys, FS and Dir are needed.
type Config struct {
	Keys []Key  // under one name; an Ed25519 and an ML-DSA-44 key as a rule
	FS   vfs.FS // real or in memory
	Dir  string // holds "state" and "evidence"; one opener at a time

	Logs LogList // which logs it serves, until SetLogs says others

	// Peers are the monitoring prefixes of other witnesses, Sources the URLs under
	// which logs can be read, by origin: more than one if they are seen to differ.
	Peers   []string
	Sources map[string][]string

	// Transport carries Gossip's requests; http.DefaultTransport if nil. Parallel is
	// with how many peers, and then about how many logs, it deals at once: 16 if 0.
	// With 1 the order of requests is always the same.
	Transport http.RoundTripper
	Parallel  int

	// MinFree is how much of the disk must be free for a new checkpoint to be cosigned,
	// since it is written first; 0: that is not asked.
	MinFree uint64 // bytes

	Log     *slog.Logger          // nil discards
	Metrics prometheus.Registerer // nil: none

	// Fatal ends the process after a write whose outcome is unknown; Log was told why.
	// If it returns, or is nil, a panic does.
	Fatal func(reason string)
}

func (c Config) health() *disk.Health {
	return disk.NewHealth(disk.Config{Log: c.Log, WaitForSpace: true, Fatal: c.Fatal})
}

// Witness cosigns. Its methods may be called by several goroutines.
type Witness struct {
	cfg     Config
	name    string
	closed  closed
	state   *state
	health  *disk.Health
	room    *disk.Room // nil: not asked
	gossip  *gossip.Gossip
	log     *slog.Logger
	metrics *metrics

	lookUpNeeded chan struct{} // logs are to be looked up

	listing    sync.Mutex           // held by SetLogs, which alone writes to logs
	mu         sync.RWMutex         // guards logs and logsByHash
	logs       map[string]*logState // by origin: every one that was ever on the list since Open
	logsByHash map[string]*logState // the same by origin hash

	broken atomic.Pointer[error] // a write whose outcome is unknown: nothing more is signed
}

// ErrBroken: a write to the state had an unknown outcome. Restart the witness: it
// goes on from what the disk has.
var ErrBroken = errors.New("the witness's state is in doubt after a failed write; restart it")

// ErrConfig: no witness can be what a [Config] says. Nothing was opened, or made.
var ErrConfig = errors.New("the witness cannot be as it is configured")

// Open opens the witness in a directory, where [CreateState] or [RecreateState] made its state.
// Errors: [ErrConfig], [ErrNoState], or what is in the directory is damaged
// ([disk.Damaged]), or another process has it open.
func Open(cfg Config) (*Witness, error) {
	w := &Witness{cfg: cfg, log: cfg.Log, health: cfg.health(), lookUpNeeded: make(chan struct{}, 1),
		logs: map[string]*logState{}, logsByHash: map[string]*logState{}}
	if w.log == nil {
		w.log = slog.New(slog.DiscardHandler)
	}
	if w.cfg.Parallel <= 0 {
		w.cfg.Parallel = 16
	}
	if cfg.MinFree > 0 {
		w.room = &disk.Room{FS: cfg.FS, Dir: cfg.Dir, Min: cfg.MinFree, Health: w.health}
	}
	for _, check := range []func() error{w.checkKeys, w.newGossip, func() error { return w.checkList(cfg.Logs) }} {
		if err := check(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrConfig, err)
		}
	}
	var err error
	if w.state, err = openState(cfg, w.health, false); err != nil {
		return nil, err
	}
	if err := w.state.checkKeys(w.Keys()); err != nil {
		if disk.Damaged(err) {
			err = fmt.Errorf("reading the witness's state %s: %w", w.state.dir, err)
		}
		return nil, errors.Join(err, w.state.close())
	}
	w.closed = closed{cfg.FS, cfg.Dir}
	if err := w.resume(); err != nil {
		return nil, errors.Join(err, w.state.close())
	}
	if err := w.gossip.Open(w.state.db); err != nil {
		return nil, errors.Join(err, w.state.close())
	}
	if w.metrics, err = newMetrics(w, cfg.Metrics); err != nil {
		return nil, errors.Join(err, w.state.close())
	}
	if err := w.SetLogs(cfg.Logs); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	if err := w.closed.remove(); err != nil { // before anything is signed
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// Close waits for nothing: requests and rounds must have ended.
func (w *Witness) Close() error {
	w.metrics.unregister()
	w.GiveUp()
	var failed []error
	for _, v := range w.logs {
		failed = append(failed, v.gossip.Save(), w.state.putCosignatures(v.origin, v.lastCosignatures.Load(), false)) // closing syncs
	}
	sizes, unknown := w.state.sizes()
	err := errors.Join(append(failed, w.state.close())...)
	if err == nil && w.brokenErr() == nil {
		w.note(sizes, unknown)
	}
	return err
}

// Name is the name that the witness signs under.
func (w *Witness) Name() string { return w.name }

// Keys are its public keys.
func (w *Witness) Keys() []proof.Key {
	keys := make([]proof.Key, len(w.cfg.Keys))
	for i, k := range w.cfg.Keys {
		keys[i] = k.Key()
	}
	return keys
}

// newGossip checks what the configuration says of peers and sources.
func (w *Witness) newGossip() (err error) {
	w.gossip, err = gossip.New(gossip.Config{
		FS: w.cfg.FS, Dir: w.cfg.FS.PathJoin(w.cfg.Dir, "evidence"), Keys: w.Keys(),
		Peers: w.cfg.Peers, Sources: w.cfg.Sources, Transport: w.cfg.Transport, Parallel: w.cfg.Parallel,
		Log: w.log, Broken: w.markBroken,
		Anomaly:  func(origin string) { w.metrics.anomalies.WithLabelValues(origin).Inc() },
		Evidence: func(origin string) { w.metrics.evidence.WithLabelValues(origin).Inc() },
	})
	return err
}

// checkKeys: each answer carries one line by each key, all of one witness.
func (w *Witness) checkKeys() error {
	if len(w.cfg.Keys) == 0 {
		return errors.New("it has no key to sign with")
	}
	w.name = w.cfg.Keys[0].Key().Name()
	for i, k := range w.cfg.Keys {
		if k.Key().Name() != w.name {
			return fmt.Errorf("its keys have two names, %s and %s", w.name, k.Key().Name())
		}
		if k.Key().Algorithm() == proof.Ed25519 {
			return fmt.Errorf("the key %08x is a log's; a witness signs with 0x04 or 0x06", k.Key().ID())
		}
		for _, other := range w.cfg.Keys[:i] {
			if k.Key().SamePublicKey(other.Key()) {
				return fmt.Errorf("the key %08x is there twice", k.Key().ID())
			}
		}
	}
	return nil
}

// SetLogs puts another list in force, at once. A log that is no longer on it gets no
// more cosignatures; what the witness knows of it stays, for when it comes back.
func (w *Witness) SetLogs(list LogList) error {
	if err := w.checkList(list); err != nil {
		return err
	}
	w.listing.Lock()
	defer w.listing.Unlock()
	listedByOrigin, loaded := make(map[string]Log, len(list)), make(map[string]*logState)
	for _, l := range list {
		listedByOrigin[l.Origin] = l
		if w.logs[l.Origin] != nil {
			continue
		}
		v, err := w.loadLogState(l.Origin) // before mu, for which requests about other logs would wait
		if err != nil {
			return fmt.Errorf("taking up the log %s: %w", l.Origin, err)
		}
		loaded[l.Origin] = v
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for origin, v := range loaded {
		w.logs[origin] = v
		w.logsByHash[wire.OriginHash(origin)] = v
	}
	for origin, v := range w.logs {
		if l, ok := listedByOrigin[origin]; ok {
			v.configure(l)
		} else {
			v.disable()
			w.metrics.forget(origin)
		}
	}
	w.warnSourceMismatch(list)
	if slices.ContainsFunc(list, func(l Log) bool { return w.logs[l.Origin].needsLookUp.Load() }) {
		select {
		case w.lookUpNeeded <- struct{}{}:
		default: // it is known already
		}
	}
	return nil
}

func (w *Witness) checkList(list LogList) error {
	seen := make(map[string]bool, len(list))
	for _, l := range list {
		switch {
		case seen[l.Origin]:
			return fmt.Errorf("log list: %s is there twice", l.Origin)
		case len(l.Keys) == 0:
			return fmt.Errorf("log list: %s has no key", l.Origin)
		case l.QPD == 0:
			return fmt.Errorf("log list: %s may make no request a day", l.Origin)
		}
		seen[l.Origin] = true
		for _, own := range w.cfg.Keys {
			if slices.ContainsFunc(l.Keys, own.Key().SamePublicKey) {
				return fmt.Errorf("log list: %s has this witness's own key: a log cannot witness itself", l.Origin)
			}
		}
	}
	return nil
}

// warnSourceMismatch logs origins in [Config].Sources that are not on the list, and
// listed logs without a source. It is no error: the list changes while the witness
// runs, and may name a log before its URL is known.
func (w *Witness) warnSourceMismatch(list LogList) {
	var withoutSource []string
	unlisted := maps.Clone(w.cfg.Sources)
	for _, l := range list {
		delete(unlisted, l.Origin)
		if len(w.cfg.Sources[l.Origin]) == 0 {
			withoutSource = append(withoutSource, l.Origin)
		}
	}
	for _, origin := range slices.Sorted(maps.Keys(unlisted)) {
		w.log.Warn("a source is given for a log that is not on the list: is the origin misspelt?", "origin", origin)
	}
	if len(withoutSource) > 0 {
		w.log.Warn("no source is given for some logs, so that two checkpoints of one size are all that can be compared",
			"logs", len(withoutSource), "first", withoutSource[0])
	}
}

// logState finds a log that the witness serves; nil if it serves none of that origin.
func (w *Witness) logState(origin string) *logState {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if v := w.logs[origin]; v != nil && v.servedConfig() != nil {
		return v
	}
	return nil
}

// servedLogs are the logs that the witness serves, by origin.
func (w *Witness) servedLogs() []*logState {
	w.mu.RLock()
	defer w.mu.RUnlock()
	var out []*logState
	for _, origin := range slices.Sorted(maps.Keys(w.logs)) {
		if v := w.logs[origin]; v.servedConfig() != nil {
			out = append(out, v)
		}
	}
	return out
}

// Err is why nothing new is cosigned at present: [ErrBroken] until the witness is
// restarted, [ErrNoRoom] until there is space on the disk.
func (w *Witness) Err() error { return errors.Join(w.brokenErr(), w.roomy()) }

// roomy is [ErrNoRoom] while nothing that has to be written first is cosigned.
func (w *Witness) roomy() error {
	err := w.health.Failing()
	if w.room != nil {
		err = w.room.Check()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoRoom, err)
	}
	return nil
}

// Damage is what of the state was found damaged since Open.
func (w *Witness) Damage() []disk.Damage { return w.health.Damage() }

// GiveUp says that the process is to end: a write that waits for space on the disk ends
// it at once. Nothing was signed on such a write.
func (w *Witness) GiveUp() { w.health.GiveUp() }

// Evidence is the store of the evidence that the witness has.
func (w *Witness) Evidence() *gossip.EvidenceStore { return w.gossip.Evidence() }

// Gossip makes one round ([gossip.Gossip.Round]) about the logs that are served.
func (w *Witness) Gossip(ctx context.Context) gossip.Stats {
	logs := w.servedLogs()
	r := w.gossip.Round(ctx, inGossip(logs))
	for _, v := range logs {
		w.trim(v)
	}
	w.metrics.setLastRound()
	return r
}

// LookUp determines, for each log whose cosigned checkpoints the state does not cover
// ([RecreateState]), what these keys have cosigned of it ([gossip.Gossip.LookUp]). Until a
// log was looked up it is not cosigned ([ErrLookingUp]).
func (w *Witness) LookUp(ctx context.Context) {
	w.gossip.LookUp(ctx, inGossip(slices.DeleteFunc(w.servedLogs(), func(v *logState) bool { return !v.needsLookUp.Load() })))
}

func inGossip(logs []*logState) (all []*gossip.Log) {
	for _, v := range logs {
		all = append(all, v.gossip)
	}
	return all
}

// AddSeenCheckpoint takes a checkpoint that a client or an auditor was shown
// ([gossip.Log.AddSeen]). Further errors: [ErrMalformed], [ErrUnknownLog], [ErrUntrusted].
func (w *Witness) AddSeenCheckpoint(ctx context.Context, note []byte) (gossip.Result, error) {
	v, signed, err := w.openNote(note)
	if err != nil {
		return "", err
	}
	return v.gossip.AddSeen(ctx, signed)
}

// AcceptEvidence judges evidence from elsewhere ([gossip.Log.AcceptEvidence]). Further
// errors: its checkpoints are not of one log, or [ErrUnknownLog].
func (w *Witness) AcceptEvidence(ctx context.Context, e proof.Evidence) (id string, isNew bool, err error) {
	if err := e.CheckSameLog(); err != nil {
		return "", false, err
	}
	v := w.logState(e.Origin())
	if v == nil {
		return "", false, ErrUnknownLog
	}
	return v.gossip.AcceptEvidence(ctx, e)
}

// Run looks up what is to be looked up ([Witness.LookUp]), as soon as there is any, and
// gossips now and then every interval, until ctx ends. If every is 0 it does not
// gossip.
func (w *Witness) Run(ctx context.Context, interval time.Duration) {
	var lookUps sync.WaitGroup
	lookUps.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-w.lookUpNeeded:
				w.LookUp(ctx)
			}
		}
	})
	defer lookUps.Wait()
	if interval <= 0 {
		return
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		w.Gossip(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// ErrNoCheckpoint: the witness has cosigned no checkpoint of that log.
var ErrNoCheckpoint = errors.New("this witness has cosigned no checkpoint of that log")

// Latest is the newest checkpoint of a log that the witness cosigned, with the
// signatures of the log that it verified and the cosignatures that it gave last
// (tlog-witness "Monitor Retrieval Mechanism"). Errors: [ErrUnknownLog],
// [ErrNoCheckpoint], [ErrLookingUp].
func (w *Witness) Latest(ctx context.Context, origin string) ([]byte, error) {
	v := w.logState(origin)
	if v == nil {
		return nil, ErrUnknownLog
	}
	return w.latestCosigned(ctx, v)
}

// latestByHash is Latest by the hash of the origin.
func (w *Witness) latestByHash(ctx context.Context, hash string) ([]byte, error) {
	w.mu.RLock()
	v := w.logsByHash[hash]
	w.mu.RUnlock()
	if v == nil || v.servedConfig() == nil {
		return nil, ErrUnknownLog
	}
	return w.latestCosigned(ctx, v)
}

func (w *Witness) latestCosigned(ctx context.Context, v *logState) ([]byte, error) {
	if !v.cosignaturesCurrent() {
		if err := w.recosignNewest(ctx, v); err != nil {
			return nil, err
		}
	}
	g := v.lastCosignatures.Load()
	// SPEC: tlog-witness Monitor Retrieval Mechanism: a log of which nothing was cosigned is answered 404
	if g == nil {
		return nil, ErrNoCheckpoint
	}
	note, err := w.state.checkpointAt(v.origin, g.size)
	if err != nil {
		return nil, fmt.Errorf("reading the checkpoint of %s at %d: %w", v.origin, g.size, err)
	}
	if note == nil {
		return nil, ErrNoCheckpoint // it was forgotten, after a crash took newer cosignatures
	}
	sigs, err := proof.ParseSignatures(g.lines)
	if err != nil {
		return nil, fmt.Errorf("reading the cosignatures of %s: %w", v.origin, err)
	}
	// SPEC: tlog-witness Monitor Retrieval Mechanism: the answer is a checkpoint with the log's signatures that were verified and the cosignatures that were given
	return proof.AddSignatures(note, sigs...)
}

// cosignaturesCurrent tells whether the cosignatures at hand are those of the newest checkpoint.
func (v *logState) cosignaturesCurrent() bool {
	g := v.lastCosignatures.Load()
	return g != nil && g.size == v.newestSize.Load()
}

// recosignNewest makes cosignatures of the newest checkpoint when a crash took them. A
// halted log shows what it has, which may be those before; so does one that is being looked
// up, since its newest checkpoint may be that of an old copy of the state.
func (w *Witness) recosignNewest(ctx context.Context, v *logState) error {
	if err := v.Lock(ctx); err != nil {
		return err
	}
	defer v.Unlock()
	if !v.hasNewest || v.cosignaturesCurrent() || v.gossip.StillHalted() || w.brokenErr() != nil {
		return nil
	}
	if v.needsLookUp.Load() {
		if v.lastCosignatures.Load() == nil {
			return ErrLookingUp
		}
		return nil
	}
	_, err := w.cosignNewest(v, proof.Checkpoint{Origin: v.origin, Size: v.newest.Size, Root: v.newest.Root})
	return err
}

func canceled(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// metrics are what an operator watches. The label origin is one of the log list;
// what concerns no log of it is counted under none.
type metrics struct {
	witness    *Witness
	registerer prometheus.Registerer
	requests   *prometheus.CounterVec
	anomalies  *prometheus.CounterVec
	evidence   *prometheus.CounterVec
	lastRound  prometheus.Gauge
	size       *prometheus.Desc
	halted     *prometheus.Desc
	damage     *prometheus.Desc
	ready      *prometheus.Desc
}

func newMetrics(w *Witness, r prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		witness:    w,
		registerer: r,
		requests:   counter("docket_witness_requests_total", "add-checkpoint requests that a log on the list signed or seems to have signed, by their answer.", "origin", "status"),
		anomalies:  counter("docket_witness_suspicions_total", "Proofs, fetches and checkpoints that prove nothing and should not be.", "origin"),
		evidence:   counter("docket_witness_evidence_total", "Pieces of evidence found or taken since the start.", "origin"),
		lastRound: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "docket_witness_gossip_timestamp_seconds", Help: "When the last round of gossip ended.",
		}),
		size: prometheus.NewDesc("docket_witness_size", "Size of the newest checkpoint that was cosigned.", []string{"origin"}, nil),
		halted: prometheus.NewDesc("docket_witness_halted", "1 if evidence against the log is not acknowledged, so that nothing of it is cosigned.",
			[]string{"origin"}, nil),
		damage: prometheus.NewDesc("docket_witness_damage_total", "How often damage was met in what the disk holds, since the start.", nil, nil),
		ready:  prometheus.NewDesc("docket_witness_ready", "1 if a new checkpoint sent now would be cosigned, as far as the witness's disk goes.", nil, nil),
	}
	if r == nil {
		return m, nil
	}
	return m, r.Register(m)
}

// Describe implements [prometheus.Collector].
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	m.requests.Describe(ch)
	m.anomalies.Describe(ch)
	m.evidence.Describe(ch)
	m.lastRound.Describe(ch)
	ch <- m.size
	ch <- m.halted
	ch <- m.damage
	ch <- m.ready
}

// Collect implements [prometheus.Collector].
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.requests.Collect(ch)
	m.anomalies.Collect(ch)
	m.evidence.Collect(ch)
	m.lastRound.Collect(ch)
	ready := 1.0
	if m.witness.Err() != nil {
		ready = 0
	}
	ch <- prometheus.MustNewConstMetric(m.ready, prometheus.GaugeValue, ready)
	ch <- prometheus.MustNewConstMetric(m.damage, prometheus.CounterValue, float64(m.witness.health.Events(stateName)))
	for _, v := range m.witness.servedLogs() {
		halted := 0.0
		if v.gossip.Halted() {
			halted = 1
		}
		ch <- prometheus.MustNewConstMetric(m.size, prometheus.GaugeValue, float64(v.newestSize.Load()), v.origin)
		ch <- prometheus.MustNewConstMetric(m.halted, prometheus.GaugeValue, halted, v.origin)
	}
}

func (m *metrics) countRequest(origin string, err error) {
	m.requests.WithLabelValues(origin, strconv.Itoa(statusOf(err))).Inc()
}

func (m *metrics) setLastRound() { m.lastRound.Set(float64(time.Now().Unix())) }

// forget drops what was counted for a log that left the list.
func (m *metrics) forget(origin string) {
	for _, c := range []*prometheus.CounterVec{m.requests, m.anomalies, m.evidence} {
		c.DeletePartialMatch(prometheus.Labels{"origin": origin})
	}
}

func (m *metrics) unregister() {
	if m.registerer != nil {
		m.registerer.Unregister(m)
	}
}
