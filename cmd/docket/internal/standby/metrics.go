package standby

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics of who stands by, and of who writes to a store that others could take: the same
// names, so that one sum tells how many stand by.
type Metrics struct{ read func() measured }

type measured struct {
	standby, able bool
	epoch         uint64
	age           time.Duration
}

var (
	standbyDesc = prometheus.NewDesc("docket_standby", "1 while this process stands by for another one that writes the ledger; 0 while it writes.", nil, nil)
	ableDesc    = prometheus.NewDesc("docket_standby_able", "1 if this process, which stands by, sees the store, and could take over if the writer died now.", nil, nil)
	epochDesc   = prometheus.NewDesc("docket_store_epoch", "How often the store was taken by a writer, as far as this process knows.", nil, nil)
	ageDesc     = prometheus.NewDesc("docket_lease_age_seconds", "Time since the writer's lease changed, as this process sees it.", nil, nil)
)

// Metrics are those of a standby.
func (s *Standby) Metrics() Metrics {
	return Metrics{func() measured {
		st := s.Status()
		return measured{standby: true, able: st.Cannot == nil, epoch: st.Epoch, age: st.Age}
	}}
}

// Metrics are those of a writer.
func (h *Holder) Metrics() Metrics {
	return Metrics{func() measured { return measured{epoch: h.epoch, age: h.Age()} }}
}

// Describe implements [prometheus.Collector].
func (m Metrics) Describe(to chan<- *prometheus.Desc) {
	to <- standbyDesc
	to <- ableDesc
	to <- epochDesc
	to <- ageDesc
}

// Collect implements [prometheus.Collector].
func (m Metrics) Collect(to chan<- prometheus.Metric) {
	now := m.read()
	send := func(d *prometheus.Desc, v float64) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	send(epochDesc, float64(now.epoch))
	send(ageDesc, now.age.Seconds())
	if !now.standby {
		send(standbyDesc, 0)
		return
	}
	send(standbyDesc, 1)
	able := 0.0
	if now.able {
		able = 1
	}
	send(ableDesc, able)
}
