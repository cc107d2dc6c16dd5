package server

import (
	"fmt"
	"net/http"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
)

// health is what operators and load balancers ask.
type health struct {
	Status    string   `json:"status"`
	Committed uint64   `json:"committed"`
	Published uint64   `json:"published"`
	Reasons   []string `json:"reasons,omitempty"`
}

func (s *Server) health() health {
	published := s.published() // first: it never passes the committed size
	return health{Status: "ok", Committed: s.cfg.Ledger.Head().Size, Published: published}
}

// healthz says that the process answers.
func (s *Server) healthz(x *exchange) error {
	return x.json(http.StatusOK, s.health())
}

// readyz says whether a record sent now would be committed and published, and
// if not, why: each reason is one that a submitter would be told too.
func (s *Server) readyz(x *exchange) error {
	h := s.health()
	if h.Reasons = s.notReady(); len(h.Reasons) > 0 {
		h.Status = "not ready"
		return x.json(http.StatusServiceUnavailable, h)
	}
	return x.json(http.StatusOK, h)
}

func (s *Server) notReady() []string {
	var reasons []string
	if err := s.writable(); err != nil {
		reasons = append(reasons, problemOf(err).detail)
	}
	for _, err := range s.cfg.Ledger.Trouble() {
		reasons = append(reasons, problemOf(err).detail)
	}
	return reasons
}

// writable says why records are refused altogether, nil if they are not.
func (s *Server) writable() error {
	if s.stopping.Load() {
		return later(stopped, 5*time.Second, nil, "the server is stopping; nothing was written, send the same bytes again")
	}
	if err := s.cfg.Ledger.Err(); err != nil {
		return fmt.Errorf("%w: %w", ledger.ErrStopped, err)
	}
	return s.disk.check()
}
