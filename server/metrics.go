package server

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

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
		verifySeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "docket_record_verify_seconds",
			Help:    "Time to verify one submission's signatures, its turn included.",
			Buckets: prometheus.ExponentialBuckets(0.00005, 2, 16), // 50 µs to 1.6 s
		}),
	}
	m.registry.MustRegister(m.requests, m.requestSeconds, m.problems, m.records, m.verifySeconds,
		witnessMetrics{s.witnessStates, s.nextKeys}, damageMetrics{s.damage},
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
