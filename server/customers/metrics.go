package customers

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count, and name nobody: their labels are paths of the table of routes, statuses and
// outcomes.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	events   *prometheus.CounterVec
}

func newMetrics(s *Server) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "docket_customers_requests_total", Help: "Requests by route and status."}, []string{"route", "status"}),
		seconds:  prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "docket_customers_request_seconds", Help: "Time to answer by route.", Buckets: []float64{.001, .005, .02, .05, .2, 1, 5, 30}}, []string{"route"}),
		events:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "docket_customers_events_total", Help: "Events sent, by what became of them: taken, duplicate, refused."}, []string{"outcome"}),
	}
	gauge := func(name, help string, f func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
	}
	stat := func(f func(st stats) uint64) func() float64 {
		return func() float64 {
			l := s.open.Load()
			if l == nil {
				return 0
			}
			st, err := l.Stats()
			if err != nil {
				return 0
			}
			return float64(f(st))
		}
	}
	gauge("docket_customers_locked", "1 while the vault is locked.", func() float64 {
		if s.Locked() {
			return 1
		}
		return 0
	})
	gauge("docket_customers_leaves", "Leaves of the log.", stat(func(st stats) uint64 { return st.Size }))
	gauge("docket_customers_published_leaves", "Leaves of the log in closed periods.", stat(func(st stats) uint64 { return st.Published }))
	gauge("docket_customers_disk_bytes", "Bytes of sealed events and of keys on the disk.", stat(func(st stats) uint64 { return st.DataBytes + st.KeyBytes }))
	s.publishing.register(gauge)
	m.registry.MustRegister(m.requests, m.seconds, m.events)
	return m
}

func (m *metrics) count(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(route).Observe(took.Seconds())
}
