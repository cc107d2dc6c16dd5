package witness

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

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
		if v.halted.Load() {
			halted = 1
		}
		ch <- prometheus.MustNewConstMetric(m.size, prometheus.GaugeValue, float64(v.newestSize.Load()), v.origin)
		ch <- prometheus.MustNewConstMetric(m.halted, prometheus.GaugeValue, halted, v.origin)
	}
}

func (m *metrics) countRequest(origin string, err error) {
	m.requests.WithLabelValues(origin, strconv.Itoa(statusOf(err))).Inc()
}

func (m *metrics) countAnomaly(origin string)  { m.anomalies.WithLabelValues(origin).Inc() }
func (m *metrics) countEvidence(origin string) { m.evidence.WithLabelValues(origin).Inc() }
func (m *metrics) setLastRound()               { m.lastRound.Set(float64(time.Now().Unix())) }

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
