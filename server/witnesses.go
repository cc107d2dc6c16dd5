package server

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

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
// while two generations sign. The zero value: nobody has been asked yet.
type NextKeys struct {
	At        time.Time // when the witnesses were asked
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
	if !next.At.IsZero() {
		answer["nextKeys"] = nextKeysJSON{next.Quorum, next.At.UTC().Format(time.RFC3339)}
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
	if next.At.IsZero() {
		return
	}
	to <- prometheus.MustNewConstMetric(nextKeysQuorum, prometheus.GaugeValue, asFloat(next.Quorum))
	for _, r := range next.Witnesses {
		send(witnessReady, asFloat(r.Ready), r.Name)
	}
}

func asFloat(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
