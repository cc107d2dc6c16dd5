package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/time/rate"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/auditors"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// health is what operators and load balancers ask.
type health struct {
	Status    string   `json:"status"`
	Role      string   `json:"role,omitempty"` // of who does not write: replica, standby
	Committed uint64   `json:"committed"`
	Published uint64   `json:"published"`
	Reasons   []string `json:"reasons,omitempty"`
	Damage    []string `json:"damage,omitempty"`

	Replica *replicaHealth `json:"replica,omitempty"`
}

func (s *Server) health() health {
	published := s.publishedSize() // first: it never passes the committed size
	h := health{Status: "ok", Committed: s.cfg.Ledger.Head().Size, Published: published, Replica: s.replicaHealth()}
	switch {
	case h.Replica == nil:
	case h.Replica.Standby != nil:
		h.Role = "standby"
	default:
		h.Role = "replica"
	}
	return h
}

// healthz says that the process answers.
func (s *Server) healthz(x *request) error {
	return x.answerJSON(http.StatusOK, s.health())
}

// readyz says whether a record sent now would be committed and published, and if not,
// why. Damage on the disk that does not prevent that has to be repaired, but is no
// reason to send clients elsewhere. A replica is ready as long as it serves reads, however long
// its source is away, and so is who stands by: its answer says so.
func (s *Server) readyz(x *request) error {
	h := s.health()
	for _, d := range s.damage() {
		if d.Words != "" {
			h.Status, h.Damage = "damaged", append(h.Damage, d.Words)
		}
	}
	if h.Reasons = s.notReadyReasons(); len(h.Reasons) > 0 {
		h.Status = "not ready"
		return x.answerJSON(http.StatusServiceUnavailable, h)
	}
	return x.answerJSON(http.StatusOK, h)
}

// notReadyReasons are the reasons in the words that a submitter would be told.
func (s *Server) notReadyReasons() []string {
	if r := s.cfg.replica(); r != nil {
		return s.replicaNotReady(r)
	} else if s.cfg.Copy != nil {
		return nil // a copy commits nothing
	}
	var reasons []string
	if err := s.checkWritable(); err != nil {
		reasons = append(reasons, problemOf(err).detail)
	}
	if err := s.cfg.Config.Ledger.ClockErr(); err != nil {
		reasons = append(reasons, problemOf(err).detail)
	}
	if waits, err := s.oldestUnpublishedAge(); err != nil {
		reasons = append(reasons, problemOf(err).detail)
	} else if waits >= maxUnpublishedAge+s.cfg.PublishInterval {
		reasons = append(reasons, fmt.Sprintf("%s committed and not published, the oldest for %s: too few witnesses answer", register.FormatEntryCount(s.cfg.Config.Ledger.Backlog()), waits.Round(time.Second)))
	}
	return reasons
}

// checkWritable says why records are refused altogether, nil if they are not.
func (s *Server) checkWritable() error {
	if s.stopping.Load() {
		return retryable(problemStopped, 5*time.Second, nil, "the server is stopping; nothing was written, send the same bytes again")
	}
	if err := s.cfg.Config.Ledger.Err(); err != nil {
		return fmt.Errorf("%w: %w", ledger.ErrStopped, err)
	}
	if s.cfg.Room == nil {
		return nil
	}
	if err := s.cfg.Room(); err != nil {
		return retryable(problemDiskLow, 30*time.Second, err, err.Error()+"; nothing was written, reads go on")
	}
	return nil
}

func (s *Server) damage() []Damage {
	if s.cfg.Damage == nil {
		return nil
	}
	return s.cfg.Damage()
}

// maxUnpublishedAge is for how long entries may wait for the quorum, once it is time to ask
// for it, before the server calls itself not ready.
const maxUnpublishedAge = 30 * time.Second

// oldestUnpublishedAge is how long the oldest committed and unpublished entry has
// waited, by its admission time, so that it survives a restart; zero if none waits.
func (s *Server) oldestUnpublishedAge() (time.Duration, error) {
	published := s.publishedSize()
	v, err := view.Latest(s.cfg.Register)
	if err != nil || published >= v.Size() {
		return 0, err
	}
	oldest, err := v.RecordAt(published)
	if err != nil {
		return 0, err
	}
	return time.Since(oldest.Admitted), nil
}

// metrics are what an operator watches. Labels come from closed sets: route
// templates, methods, status codes, problem kinds, the policy's names of witnesses;
// never from a request.
type metrics struct {
	registry       *prometheus.Registry
	requests       *prometheus.CounterVec
	requestSeconds *prometheus.HistogramVec
	problems       *prometheus.CounterVec
	records        *prometheus.CounterVec
	verifySeconds  prometheus.Histogram
	forwarded      *prometheus.CounterVec // of a replica
}

func newMetrics(s *Server) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "docket_http_requests_total",
			Help: "HTTP requests answered, by route template, method and status.",
		}, []string{"route", "method", "status"}),
		requestSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "docket_http_request_seconds",
			Help:    "Time from the request's header to the end of its answer.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16), // 0.5 ms to 16 s
		}, []string{"route"}),
		problems: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "docket_http_problems_total",
			Help: "Requests answered with a problem, by its kind.",
		}, []string{"problem"}),
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "docket_records_total",
			Help: "Submissions taken, by outcome: published, committed, known, judged (dry run).",
		}, []string{"outcome"}),
		forwarded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "docket_replica_forwarded_total",
			Help: "Requests that a replica has sent on to its source, by outcome: answered, away.",
		}, []string{"outcome"}),
		verifySeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "docket_record_verify_seconds",
			Help:    "Time to verify one submission's signatures, its turn included.",
			Buckets: prometheus.ExponentialBuckets(0.00005, 2, 16), // 50 µs to 1.6 s
		}),
	}
	m.registry.MustRegister(m.requests, m.requestSeconds, m.problems, m.records, m.verifySeconds, m.forwarded,
		witnessMetrics{s.witnessStates, s.nextKeys}, auditorMetrics{s.cfg.Auditors}, damageMetrics{s.damage},
		replicaMetrics{s.cfg.replica()},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		gauge("docket_verify_waiting", "Submissions that wait for their turn to be verified.",
			func() float64 { return float64(s.verifyLimiter.waiting.Load()) }),
		gauge("docket_ledger_size", "Entries committed: durable, not all of them published yet.",
			func() float64 { return float64(s.health().Committed) }),
		gauge("docket_ledger_published_size", "Entries under the newest published checkpoint.",
			func() float64 { return float64(s.health().Published) }),
		gauge("docket_ready", "1 if a record sent now would be committed and published.",
			func() float64 { return asFloat(len(s.notReadyReasons()) == 0) }),
		gauge("docket_bundle_cache_bytes", "Bytes of compressed entry bundles in memory.",
			func() float64 { return float64(s.bundles.size()) }),
	)
	m.registry.MustRegister(s.cfg.Collectors...)
	return m
}

// damageMetrics counts damage by database.
type damageMetrics struct{ damage func() []Damage }

var damageDesc = prometheus.NewDesc("docket_damage_total", "How often damage was met in what the disk holds, since the start, by database.", []string{"database"}, nil)

// Describe implements [prometheus.Collector].
func (m damageMetrics) Describe(ch chan<- *prometheus.Desc) { ch <- damageDesc }

// Collect implements [prometheus.Collector].
func (m damageMetrics) Collect(ch chan<- prometheus.Metric) {
	for _, d := range m.damage() {
		ch <- prometheus.MustNewConstMetric(damageDesc, prometheus.CounterValue, float64(d.Events), d.Database)
	}
}

func gauge(name, help string, read func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read)
}

func (m *metrics) countRequest(route, verb string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, knownMethod(verb), strconv.Itoa(status)).Inc()
	m.requestSeconds.WithLabelValues(route).Observe(took.Seconds())
}

func (m *metrics) countProblem(k problemKind) { m.problems.WithLabelValues(string(k)).Inc() }

// outcome of a submission that was not refused.
type outcome string

const (
	outcomePublished outcome = "published"
	outcomeCommitted outcome = "committed"
	outcomeKnown     outcome = "known"
	outcomeDryRun    outcome = "judged"
)

func (m *metrics) countOutcome(o outcome) { m.records.WithLabelValues(string(o)).Inc() }

// Witness is how one witness of the ledger's policy stands, as the ledger sees it.
type Witness struct {
	Name     string // in the policy
	URL      string // "" if the policy gives none
	InQuorum bool   // it can contribute to the quorum

	Size     uint64        // that it cosigned last since the ledger was started; 0 if none
	At       time.Time     // of that cosignature, by the witness's clock; zero if there is none
	Latency  time.Duration // of its last good answer
	Failures int           // since then
	Error    string        // why it gave nothing the last time; "" if it did
}

// NextKeys says whether the ledger could be published if its older log keys were gone,
// while two generations sign. The zero value: no witness has been asked yet.
type NextKeys struct {
	AskedAt   time.Time // when the witnesses were asked
	Quorum    bool      // those who are ready make a quorum
	Witnesses []Readiness
}

// Readiness says whether a witness cosigns what the newer log keys sign alone.
type Readiness struct {
	Name  string // in the policy
	Ready bool
	Error string // why not; "" if it is
}

// nextKeysJSON is NextKeys as /v1/witnesses says it, readinessJSON what is said of one.
type nextKeysJSON struct {
	Quorum bool   `json:"quorum"`
	At     string `json:"at"`
}

type readinessJSON struct {
	Ready bool   `json:"ready"`
	Error string `json:"error,omitempty"`
}

// witnessJSON is a Witness as /v1/witnesses says it.
type witnessJSON struct {
	Name     string   `json:"name"`
	URL      string   `json:"url,omitempty"`
	InQuorum bool     `json:"inQuorum"`
	Size     uint64   `json:"size"`
	At       string   `json:"at,omitempty"`
	Age      *float64 `json:"ageSeconds,omitempty"`
	Latency  float64  `json:"latencySeconds"`
	Failures int      `json:"failures"`
	Error    string   `json:"error,omitempty"`

	NextKeys *readinessJSON `json:"nextKeys,omitempty"`
}

// witnesses is GET /v1/witnesses: those of the policy under which the ledger asked
// last, in its order.
func (s *Server) witnesses(x *request) error {
	if err := x.parseParams().firstFault(); err != nil {
		return err
	}
	next := s.nextKeys()
	ready := make(map[string]*readinessJSON)
	for _, r := range next.Witnesses {
		ready[r.Name] = &readinessJSON{r.Ready, r.Error}
	}
	all := []witnessJSON{}
	for _, w := range s.witnessStates() {
		j := witnessJSON{
			Name: w.Name, URL: w.URL, InQuorum: w.InQuorum, Size: w.Size,
			Latency: w.Latency.Seconds(), Failures: w.Failures, Error: w.Error,
			NextKeys: ready[w.Name],
		}
		if !w.At.IsZero() {
			age := time.Since(w.At).Seconds()
			j.At, j.Age = w.At.UTC().Format(time.RFC3339), &age
		}
		all = append(all, j)
	}
	answer := map[string]any{"witnesses": all}
	if !next.AskedAt.IsZero() {
		answer["nextKeys"] = nextKeysJSON{next.Quorum, next.AskedAt.UTC().Format(time.RFC3339)}
	}
	return x.answerJSON(http.StatusOK, answer)
}

func (s *Server) nextKeys() NextKeys {
	if s.cfg.NextKeys == nil {
		return NextKeys{}
	}
	return s.cfg.NextKeys()
}

func (s *Server) witnessStates() []Witness {
	if s.cfg.Witnesses == nil {
		return nil
	}
	return s.cfg.Witnesses()
}

// witnessMetrics reads how the witnesses stand whenever it is collected. Its
// labels are the policy's names for them.
type witnessMetrics struct {
	read     func() []Witness
	nextKeys func() NextKeys
}

var (
	witnessSize     = witnessDesc("size", "Size of the tree that the witness cosigned last; 0 if none since the start.")
	witnessAge      = witnessDesc("cosigned_age_seconds", "Time since the witness's last cosignature, by its clock.")
	witnessLatency  = witnessDesc("latency_seconds", "Time that the witness took for its last good answer.")
	witnessFailures = witnessDesc("failures", "Requests in a row that the witness did not answer well.")
	witnessReady    = witnessDesc("next_keys_ready", "While two generations of log keys sign: 1 if the witness cosigns what the newer ones sign alone.")

	nextKeysQuorum = prometheus.NewDesc("docket_next_keys_quorum", "While two generations of log keys sign: 1 if the witnesses that cosign what the newer ones sign alone make a quorum.", nil, nil)
)

func witnessDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("docket_witness_"+name, help, []string{"witness"}, nil)
}

func (m witnessMetrics) Describe(to chan<- *prometheus.Desc) {
	to <- witnessSize
	to <- witnessAge
	to <- witnessLatency
	to <- witnessFailures
	to <- witnessReady
	to <- nextKeysQuorum
}

func (m witnessMetrics) Collect(to chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, v float64, name string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, name)
	}
	for _, w := range m.read() {
		send(witnessSize, float64(w.Size), w.Name)
		send(witnessLatency, w.Latency.Seconds(), w.Name)
		send(witnessFailures, float64(w.Failures), w.Name)
		if !w.At.IsZero() {
			send(witnessAge, time.Since(w.At).Seconds(), w.Name)
		}
	}
	next := m.nextKeys()
	if next.AskedAt.IsZero() {
		return
	}
	to <- prometheus.MustNewConstMetric(nextKeysQuorum, prometheus.GaugeValue, asFloat(next.Quorum))
	for _, r := range next.Witnesses {
		send(witnessReady, asFloat(r.Ready), r.Name)
	}
}

// auditorMetrics reads how far the named auditors have come whenever it is collected. Its
// labels are their keys' names and IDs.
type auditorMetrics struct{ words *auditors.Words }

var (
	auditorSize = auditorDesc("size", "Size of the tree that the auditor cosigned last; 0 if nothing came.")
	auditorAge  = auditorDesc("cosigned_age_seconds", "Time since the auditor's last cosignature, by its clock.")
)

func auditorDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("docket_auditor_"+name, help, []string{"auditor"}, nil)
}

// Describe implements [prometheus.Collector].
func (m auditorMetrics) Describe(to chan<- *prometheus.Desc) {
	to <- auditorSize
	to <- auditorAge
}

// Collect implements [prometheus.Collector].
func (m auditorMetrics) Collect(to chan<- prometheus.Metric) {
	if m.words == nil {
		return
	}
	all, err := m.words.All(context.Background()) // files alone, and seldom
	if err != nil {
		return // the register is damaged, which other metrics say
	}
	for _, w := range all {
		var size uint64
		if w.Published != nil {
			size = w.Published.Checkpoint().Size
			to <- prometheus.MustNewConstMetric(auditorAge, prometheus.GaugeValue, time.Since(w.At).Seconds(), w.Key.Label())
		}
		to <- prometheus.MustNewConstMetric(auditorSize, prometheus.GaugeValue, float64(size), w.Key.Label())
	}
}

func asFloat(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Every admitted record has a line in the request log; a party's rate bounds those. All
// other requests cost a client nothing, so that their lines are bounded by what a disk
// can hold: 2 GB a day. The metrics count all requests.
const (
	logLinesPerSecond = 100
	logLinesBurst     = 1_000
)

// lineLimiter bounds the lines of one level, so that no flood of one keeps out another.
type lineLimiter struct {
	lines   *rate.Limiter
	omitted atomic.Uint64 // since the last line
}

func newLineLimiter() *lineLimiter {
	return &lineLimiter{lines: rate.NewLimiter(logLinesPerSecond, logLinesBurst)}
}

// allow says whether a line is written; one that must be is, and counts.
func (l *lineLimiter) allow(must bool) bool {
	if l.lines.Allow() || must {
		return true
	}
	l.omitted.Add(1)
	return false
}

// log writes it, and how many were left out before.
func (l *lineLimiter) log(to *slog.Logger, level slog.Level, attrs []slog.Attr) {
	if n := l.omitted.Swap(0); n > 0 {
		attrs = append(attrs, slog.Uint64("omitted", n))
	}
	to.LogAttrs(context.Background(), level, "request", attrs...)
}
