package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// checkpointAt is GET /v1/checkpoints?at=T: the newest checkpoint of which the
// witnesses' quorum is stamped no later than T. The entries below it are what was
// knowable then. It is proven by what it bears, not by this answer.
func (s *Server) checkpointAt(x *request) error {
	q := x.parseParams("at")
	view, err := s.cfg.Register.ViewAt(s.publishedSize())
	if err != nil {
		return err
	}
	at := q.time("at", func(d record.Date) time.Time { return startOfDay(view, d) })
	if !q.has("at") {
		q.addFault("at", "is missing: say which moment, like 2027-06-01T00:00:00Z")
	}
	if err := q.firstFault(); err != nil {
		return err
	}
	published, err := s.cfg.Ledger.CheckpointAt(x.Request.Context(), at)
	if errors.Is(err, ledger.ErrNotArchived) {
		return newProblem(problemNotFound, "no checkpoint has a quorum of witnesses that is stamped so early; under quorum none nothing proves a time")
	}
	if err != nil {
		return err
	}
	x.Writer.Header().Set("Cache-Control", cacheRevalidate)
	return x.answerBytes(http.StatusOK, typeText, published.Note())
}

// checkpointTimes tells the register how much was knowable at a moment, by the same
// checkpoint.
func (s *Server) checkpointTimes(ctx context.Context) register.CheckpointTimes {
	return func(at time.Time) (register.Knowable, error) {
		published, err := s.cfg.Ledger.CheckpointAt(ctx, at)
		if errors.Is(err, ledger.ErrNotArchived) {
			return register.Knowable{Size: s.publishedSize()}, nil
		}
		if err != nil {
			return register.Knowable{}, err
		}
		return register.Knowable{Size: published.Checkpoint().Size, Cosigned: published.ExistedBy().UTC()}, nil
	}
}
