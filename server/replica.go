package server

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Replica is a copy that others read, beside the ledger's writer or another replica, which it
// follows, or who stands by for the writer. What only that one answers is asked there
// ([Server.forward]).
type Replica struct {
	// URL is that of the source that it follows now: of a server, or of a store.
	URL func() string

	// Send asks the source, or another one where that is away. The request has the path alone.
	Send func(*http.Request) (*http.Response, error)

	// State is how the copy stands. It is asked with each request.
	State func() ReplicaState

	// ReceiptUpTo is the receipt of an entry by a checkpoint that is no larger than a size, by which
	// the copy knows a charter: [ledger.ErrNotArchived] where it has none.
	ReceiptUpTo func(ctx context.Context, index, size uint64) (proof.Receipt, error)

	// CheckpointAt is the newest checkpoint of which the quorum is stamped no later than t, of those that
	// are kept where the copy reads: [ledger.ErrNotArchived] where there is none. Nil: the source is asked.
	CheckpointAt func(ctx context.Context, t time.Time) (*proof.Published, error)

	// Verify judges what the source hands out as a checkpoint of the past.
	Verify func(ctx context.Context, note []byte) (*proof.Published, error)
}

// ReplicaState is how a replica stands to its source.
type ReplicaState struct {
	Size     uint64    // that it shows
	Lag      uint64    // entries that the source has published beyond that, as far as is known
	Reached  time.Time // when the source last showed its newest checkpoint; zero: not since the start
	Cosigned time.Time // the newest cosignature of what is shown; zero: none
	Away     string    // why it does not go on, in words for whoever asks; "" if it does
	Verified bool      // it has replayed all of it itself, or a node of the same operator has
	Stopped  error     // why nothing is served any more: the log has shown two histories, or a snapshot was wrong
	Waits    error     // why nothing is served until it has caught up or has taken over, in words for whoever asks

	Standby *StandbyState // of who stands by for the writer; nil of a replica
}

// StandbyState is how who stands by for a ledger's writer stands to it.
type StandbyState struct {
	Epoch  uint64 `json:"epoch"`            // of the newest taking of the store
	Writer string `json:"writer,omitempty"` // its URL; "" if that is not known
	Able   bool   `json:"able"`             // it could take the writer's place now
}

// replicaHealth is what /healthz and /readyz say of a replica.
type replicaHealth struct {
	Of       string `json:"of"`
	Verified bool   `json:"verified"`
	Lag      uint64 `json:"lag"`               // entries
	Reached  string `json:"reached,omitempty"` // when the source was
	Cosigned string `json:"cosigned,omitempty"`
	Away     string `json:"away,omitempty"`

	Standby *StandbyState `json:"standby,omitempty"`
}

func (s *Server) replicaHealth() *replicaHealth {
	r := s.cfg.replica()
	if r == nil {
		return nil
	}
	state := r.State()
	return &replicaHealth{
		Of: r.URL(), Verified: state.Verified, Lag: state.Lag, Reached: timeIfAny(state.Reached), Cosigned: timeIfAny(state.Cosigned),
		Away: state.Away, Standby: state.Standby,
	}
}

func timeIfAny(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(timeFormat)
}

// replicaNotReady are the reasons why nothing may be read here.
func (s *Server) replicaNotReady(r *Replica) []string {
	state := r.State()
	switch {
	case state.Stopped != nil:
		return []string{"nothing is served any more: " + state.Stopped.Error()}
	case state.Waits != nil:
		return []string{state.Waits.Error()}
	}
	return nil
}

// waitingRetryTime is when who asked is to ask again while nothing is served.
const waitingRetryTime = time.Second

// refuseStopped refuses all but what says why.
func (s *Server) refuseStopped(route string) error {
	r := s.cfg.replica()
	if r == nil || route == "/readyz" || route == "/healthz" {
		return nil
	}
	state := r.State()
	switch {
	case state.Stopped != nil:
		return retryable(problemStopped, time.Minute, state.Stopped, "this replica has seen what must not be, see /readyz, and serves nothing any more")
	case state.Waits != nil:
		return retryable(problemWriterAway, waitingRetryTime, nil, "nothing was written or read: "+state.Waits.Error())
	}
	return nil
}

// setReplicaHeader says with each answer how far behind it may be: a dictionary (RFC 9651) of the
// size that is shown, how many entries more the source has, how many seconds ago it was reached,
// and whether the records were replayed.
func (s *Server) setReplicaHeader(h http.Header) {
	r := s.cfg.replica()
	if r == nil {
		return
	}
	state := r.State()
	text := fmt.Sprintf("size=%d, lag=%d", state.Size, state.Lag)
	if !state.Reached.IsZero() {
		text += fmt.Sprintf(", age=%d", max(0, int(time.Since(state.Reached).Seconds())))
	}
	if state.Verified {
		text += ", verified"
	} else {
		text += ", verified=?0"
	}
	h["Docket-Replica"] = []string{text}
}

// replicaWords is what a page says of the replica that it is of.
type replicaWords struct {
	URL      string
	Linked   bool // a browser can follow it
	Verified bool
	Lag      uint64
	Away     string
}

// awayAfter is after how long without its source a page says so.
const awayAfter = time.Minute

func (s *Server) replicaWords() *replicaWords {
	r := s.cfg.replica()
	if r == nil {
		return nil
	}
	state := r.State()
	url := r.URL()
	w := &replicaWords{URL: url, Linked: strings.HasPrefix(url, "http"), Verified: state.Verified, Lag: state.Lag}
	switch {
	case state.Reached.IsZero():
		w.Away = "It has not reached the ledger since it was started, and shows what it has."
	case state.Away == "":
	case time.Since(state.Reached) > awayAfter:
		w.Away = "It last reached the ledger at " + state.Reached.UTC().Format("2006-01-02 15:04 UTC") + ", and shows what it has."
	}
	return w
}

// replicaMetrics are a replica's.
type replicaMetrics struct{ replica *Replica }

var (
	replicaLagDesc      = prometheus.NewDesc("docket_replica_lag_entries", "Entries that the source has published and this replica does not show yet.", nil, nil)
	replicaReachedDesc  = prometheus.NewDesc("docket_replica_reached_timestamp_seconds", "When the source last showed its newest checkpoint; 0 if not since the start.", nil, nil)
	replicaVerifiedDesc = prometheus.NewDesc("docket_replica_verified", "1 if all that is shown was replayed, by this node or by one of the same operator.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (m replicaMetrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- replicaLagDesc
	ch <- replicaReachedDesc
	ch <- replicaVerifiedDesc
}

// Collect implements [prometheus.Collector].
func (m replicaMetrics) Collect(ch chan<- prometheus.Metric) {
	if m.replica == nil {
		return
	}
	state := m.replica.State()
	reached := 0.0
	if !state.Reached.IsZero() {
		reached = float64(state.Reached.UnixMilli()) / 1000
	}
	ch <- prometheus.MustNewConstMetric(replicaLagDesc, prometheus.GaugeValue, float64(state.Lag))
	ch <- prometheus.MustNewConstMetric(replicaReachedDesc, prometheus.GaugeValue, reached)
	ch <- prometheus.MustNewConstMetric(replicaVerifiedDesc, prometheus.GaugeValue, asFloat(state.Verified))
}
