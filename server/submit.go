package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// submit is POST /v1/records: a record in, a receipt out. The order is by cost
// and by whom it can hurt: what is known is answered before anything is
// verified, and who pays for the rest is settled once its verdict is there.
func (s *Server) submit(x *request) error {
	q := x.parseParams("dry-run", "wait")
	dry := q.flag("dry-run")
	wait := q.oneOf("wait", "published", "committed") != "committed"
	if err := q.firstFault(); err != nil {
		return err
	}
	env, err := s.readEnvelope(x)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(x.Request.Context(), s.cfg.PublishWait)
	defer cancel()

	id := record.IDOf(env.Payload)
	index, known, err := s.cfg.Ledger.Lookup(id)
	if err != nil {
		return err
	}
	switch {
	case known && dry:
		return s.answerKnownDryRun(x, id, index)
	case known:
		return s.answerSubmission(ctx, x, id, ledger.Admission{Index: index, Duplicate: true}, wait)
	case !dry:
		if err := s.checkWritable(); err != nil {
			return err
		}
	}
	v, bill, err := s.verifyAndAccount(ctx, x, env)
	if err != nil {
		return err
	}
	var a ledger.Admission
	if err = s.checkLogKeys(v); err == nil && dry {
		err = s.dryRun(x, v)
	} else if err == nil {
		a, err = s.appendAndWait(ctx, v)
	}
	switch {
	case dry:
		bill.onRefusal.take(bill.address, 1) // nothing is admitted, however often anybody asks
	case !a.Duplicate: // of two who send the same at once, one pays
		bill.charge(err)
	}
	if err != nil || dry {
		return err
	}
	return s.answerSubmission(ctx, x, id, a, wait)
}

// appendAndWait appends the record and waits for the ledger's verdict.
func (s *Server) appendAndWait(ctx context.Context, v record.Verified) (ledger.Admission, error) {
	ticket, err := s.cfg.Ledger.Append(ctx, v)
	if err != nil {
		return ledger.Admission{}, err
	}
	a, err := ticket.AwaitCommitted(ctx)
	if err != nil && errors.Is(err, ctx.Err()) {
		err = retryable(problemOutcomeUnknown, time.Second, err, "the record waits to be committed; send the same bytes again, and it is there once")
	}
	return a, err
}

// readEnvelope reads the body, which is bounded before it is read.
func (s *Server) readEnvelope(x *request) (record.Envelope, error) {
	if err := checkMediaType(x); err != nil {
		return record.Envelope{}, err
	}
	body, err := s.bodyPool.read(x.Request)
	if err != nil {
		return record.Envelope{}, err
	}
	defer s.bodyPool.put(body) // ParseEnvelope keeps none of it
	return record.ParseEnvelope(*body)
}

// answerSubmission waits for publication and hands out the receipt: 201, or 200 for what
// was known before. If the quorum takes too long, or nobody wants to wait, it
// says that the record is committed: 202.
func (s *Server) answerSubmission(ctx context.Context, x *request, id record.ID, a ledger.Admission, wait bool) error {
	x.setRecordHeaders(id, a.Index)
	if !wait && !(a.Duplicate && a.Index < s.publishedSize()) {
		return s.answerCommitted(x, id, a)
	}
	_, err := s.cfg.Ledger.AwaitPublished(ctx, a.Index)
	switch {
	case err != nil && ctx.Err() != nil:
		return s.answerCommitted(x, id, a)
	case err != nil:
		return retryable(problemOutcomeUnknown, 5*time.Second, err, "the record is committed, but the ledger stopped before it was published; send the same bytes again")
	case a.Duplicate:
		s.metrics.countOutcome(outcomeKnown)
		return s.answerReceipt(context.WithoutCancel(ctx), x, a.Index, http.StatusOK)
	}
	s.metrics.countOutcome(outcomePublished)
	return s.answerReceipt(context.WithoutCancel(ctx), x, a.Index, http.StatusCreated)
}

func (s *Server) answerCommitted(x *request, id record.ID, a ledger.Admission) error {
	s.metrics.countOutcome(outcomeCommitted)
	return x.answerJSON(http.StatusAccepted, committedAnswer{Record: id, Index: a.Index, Status: "committed", Receipt: recordPath(id) + "/receipt"})
}

// committedAnswer is the answer 202: durable, and the receipt is where it says once
// the quorum has answered.
type committedAnswer struct {
	Record  record.ID `json:"record"`
	Index   uint64    `json:"index"`
	Status  string    `json:"status"`
	Receipt string    `json:"receipt"`
}
