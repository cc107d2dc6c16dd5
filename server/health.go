package server

import (
	"fmt"
	"net/http"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// health is what operators and load balancers ask.
type health struct {
	Status    string   `json:"status"`
	Committed uint64   `json:"committed"`
	Published uint64   `json:"published"`
	Reasons   []string `json:"reasons,omitempty"`
	Damage    []string `json:"damage,omitempty"`
}

func (s *Server) health() health {
	published := s.publishedSize() // first: it never passes the committed size
	return health{Status: "ok", Committed: s.cfg.Ledger.Head().Size, Published: published}
}

// healthz says that the process answers.
func (s *Server) healthz(x *request) error {
	return x.answerJSON(http.StatusOK, s.health())
}

// readyz says whether a record sent now would be committed and published, and
// if not, why. Damage on the disk that does not keep it from that has to be mended, but is
// no reason to send nobody here.
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
	var reasons []string
	if err := s.checkWritable(); err != nil {
		reasons = append(reasons, problemOf(err).detail)
	}
	if err := s.cfg.Ledger.ClockErr(); err != nil {
		reasons = append(reasons, problemOf(err).detail)
	}
	if waits, err := s.oldestUnpublishedAge(); err != nil {
		reasons = append(reasons, problemOf(err).detail)
	} else if waits >= maxUnpublishedAge+s.cfg.PublishInterval {
		reasons = append(reasons, fmt.Sprintf("%s committed and not published, the oldest for %s: too few witnesses answer", register.FormatEntryCount(s.cfg.Ledger.Backlog()), waits.Round(time.Second)))
	}
	return reasons
}

// checkWritable says why records are refused altogether, nil if they are not.
func (s *Server) checkWritable() error {
	if s.stopping.Load() {
		return retryable(problemStopped, 5*time.Second, nil, "the server is stopping; nothing was written, send the same bytes again")
	}
	if err := s.cfg.Ledger.Err(); err != nil {
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

// oldestUnpublishedAge is for how long the oldest entry that is committed and not published has
// waited, by its admission time: nobody has to have asked before, and a restart
// forgets nothing. Zero if none waits.
func (s *Server) oldestUnpublishedAge() (time.Duration, error) {
	published := s.publishedSize()
	view, err := s.cfg.Register.LatestView()
	if err != nil || published >= view.Size() {
		return 0, err
	}
	oldest, err := view.RecordAt(published)
	if err != nil {
		return 0, err
	}
	return time.Since(oldest.Admitted), nil
}
