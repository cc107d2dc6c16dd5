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
func (s *Server) submit(x *exchange) error {
	q := x.query("dry-run", "wait")
	dry := q.flag("dry-run")
	wait := q.oneOf("wait", "published", "committed") != "committed"
	if err := q.done(); err != nil {
		return err
	}
	env, err := s.envelope(x)
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
		return s.knownVerdict(x, id, index)
	case known:
		return s.answer(ctx, x, id, ledger.Admission{Index: index, Known: true}, wait)
	case !dry:
		if err := s.writable(); err != nil {
			return err
		}
	}
	v, bill, err := s.verify(ctx, x, env)
	if err != nil {
		return err
	}
	var a ledger.Admission
	if err = s.signable(v); err == nil && dry {
		err = s.judge(x, v)
	} else if err == nil {
		a, err = s.admit(ctx, v)
	}
	switch {
	case dry:
		bill.refused.charge(bill.from, 1) // nothing is admitted, however often anybody asks
	case !a.Known: // of two who send the same at once, one pays
		bill.settle(err)
	}
	if err != nil || dry {
		return err
	}
	return s.answer(ctx, x, id, a, wait)
}

// admit appends the record and waits for the ledger's verdict.
func (s *Server) admit(ctx context.Context, v record.Verified) (ledger.Admission, error) {
	ticket, err := s.cfg.Ledger.Append(ctx, v)
	if err != nil {
		return ledger.Admission{}, err
	}
	a, err := ticket.Committed(ctx)
	if err != nil && errors.Is(err, ctx.Err()) {
		err = later(unknown, time.Second, err, "the record waits to be committed; send the same bytes again, and it is there once")
	}
	return a, err
}

// envelope reads the body, which is bounded before it is read.
func (s *Server) envelope(x *exchange) (record.Envelope, error) {
	if err := checkMediaType(x); err != nil {
		return record.Envelope{}, err
	}
	body, err := s.bodies.read(x.Request)
	if err != nil {
		return record.Envelope{}, err
	}
	defer s.bodies.put(body) // ParseEnvelope keeps none of it
	return record.ParseEnvelope(*body)
}

// answer waits for publication and hands out the receipt: 201, or 200 for what
// was known before. If the quorum takes too long, or nobody wants to wait, it
// says that the record is committed: 202.
func (s *Server) answer(ctx context.Context, x *exchange, id record.ID, a ledger.Admission, wait bool) error {
	x.name(id, a.Index)
	if !wait && !(a.Known && a.Index < s.published()) {
		return s.answerCommitted(x, id, a)
	}
	_, err := s.cfg.Ledger.AwaitPublished(ctx, a.Index)
	switch {
	case err != nil && ctx.Err() != nil:
		return s.answerCommitted(x, id, a)
	case err != nil:
		return later(unknown, 5*time.Second, err, "the record is committed, but the ledger stopped before it was published; send the same bytes again")
	case a.Known:
		s.metrics.taken(outcomeKnown)
		return s.answerReceipt(context.WithoutCancel(ctx), x, a.Index, http.StatusOK)
	}
	s.metrics.taken(outcomePublished)
	return s.answerReceipt(context.WithoutCancel(ctx), x, a.Index, http.StatusCreated)
}

func (s *Server) answerCommitted(x *exchange, id record.ID, a ledger.Admission) error {
	s.metrics.taken(outcomeCommitted)
	return x.json(http.StatusAccepted, committed{Record: id, Index: a.Index, Status: "committed", Receipt: recordPath(id) + "/receipt"})
}

// committed is the answer 202: durable, and the receipt is where it says once
// the quorum has answered.
type committed struct {
	Record  record.ID `json:"record"`
	Index   uint64    `json:"index"`
	Status  string    `json:"status"`
	Receipt string    `json:"receipt"`
}
