package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// submit is POST /v1/records: a record in, a receipt out. The order is by cost: what is
// known is answered before anything is verified, and whose limit the rest counts
// against is decided by the outcome.
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
	index, known, err := s.cfg.Config.Ledger.Lookup(id)
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
	return s.scrub(env, s.submitNew(ctx, x, env, dry, wait))
}

// submitNew submits a record that is not on the ledger.
func (s *Server) submitNew(ctx context.Context, x *request, env record.Envelope, dry, wait bool) error {
	v, bill, err := s.verifyAndAccount(ctx, x, env)
	if err != nil && !dry {
		return s.withSignedRefusal(env, v, err)
	} else if err != nil {
		return err
	}
	var a ledger.Admission
	if err = s.checkLogKeys(v); err == nil && dry {
		err = s.dryRun(x, v)
	} else if err == nil {
		a, err = s.appendAndAwaitCommitted(ctx, v)
	}
	switch {
	case dry:
		bill.onRefusal.take(bill.address, 1) // nothing is admitted, however often it is asked
	case !a.Duplicate: // of two who send the same at once, one pays
		bill.charge(err)
	}
	switch {
	case err != nil && !dry:
		return s.withSignedRefusal(env, v, err)
	case err != nil || dry:
		return err
	}
	return s.answerSubmission(ctx, x, v.ID(), a, wait)
}

// appendAndAwaitCommitted appends the record and waits until the ledger has committed or refused
// it.
func (s *Server) appendAndAwaitCommitted(ctx context.Context, v record.Verified) (ledger.Admission, error) {
	ticket, err := s.cfg.Config.Ledger.Append(ctx, v)
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

// answerSubmission waits for publication and hands out the receipt: 201, or 200 for
// what was known before. If the quorum takes too long, or the client does not want to
// wait, it says that the record is committed: 202.
func (s *Server) answerSubmission(ctx context.Context, x *request, id record.ID, a ledger.Admission, wait bool) error {
	x.setRecordHeaders(id, a.Index)
	if !wait && !(a.Duplicate && a.Index < s.publishedSize()) {
		return s.answerCommitted(x, id, a)
	}
	_, err := s.cfg.Config.Ledger.AwaitPublished(ctx, a.Index)
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

// dryRunAnswer is the answer of a dry run for a record that would be admitted. One that
// would not is answered as the submission would be, by its problem.
type dryRunAnswer struct {
	Admissible bool           `json:"admissible"`
	Record     record.ID      `json:"record"`
	Index      uint64         `json:"index"` // that it would take, or has
	Known      bool           `json:"known,omitempty"`
	Signatures []dryRunSigner `json:"signatures,omitempty"`
	Effects    []string       `json:"effects"`
	Size       int            `json:"size,omitempty"` // bytes of the entry
	Limit      int            `json:"limit,omitempty"`
	AsOf       dryRunAsOf     `json:"asOf"`
}

type dryRunAsOf struct {
	Size uint64 `json:"size"`
	At   string `json:"at"`
}

type dryRunSigner struct {
	KeyID  string `json:"keyid"`
	Owner  string `json:"owner,omitempty"`
	Holder string `json:"holder,omitempty"`
}

// dryRun judges the record on a draft that is dropped. Nothing is written, and another
// record may be admitted in between. Effects are found in long histories, so it takes a
// slot of the query limiter.
func (s *Server) dryRun(x *request, v record.Verified) error {
	if err := x.acquire(s.queryLimiter); err != nil {
		return err
	}
	defer x.release()
	draft, now := s.newDraft()
	index := draft.NextIndex()
	entry, err := draft.Judge(v)
	if err != nil {
		return err
	}
	effects, err := view.Effects(draft)
	if err != nil {
		return fmt.Errorf("working out the effects of %s: %w", v.ID(), err)
	}
	answer := dryRunAnswer{
		Admissible: true,
		Record:     v.ID(),
		Index:      index,
		Effects:    effects,
		Size:       len(entry.Marshal()),
		Limit:      record.MaxEntryBytes,
		AsOf:       dryRunAsOf{index, now.UTC().Format(timeFormat)},
	}
	for _, sig := range entry.Envelope.Signatures {
		by := dryRunSigner{KeyID: sig.KeyID}
		by.Owner, by.Holder, _, err = s.cfg.Register.KeyOwner(sig.KeyID)
		if err != nil {
			return err
		}
		answer.Signatures = append(answer.Signatures, by)
	}
	s.metrics.countOutcome(outcomeDryRun)
	return x.answerJSON(http.StatusOK, answer)
}

// newDraft is one to judge on and drop, and when what it judges would be admitted.
func (s *Server) newDraft() (*register.Draft, time.Time) {
	now := time.Now()
	if last := s.cfg.Register.LastAdmitted(); now.Before(last) {
		now = last // admission times never go back
	}
	return s.cfg.Register.Begin(now), now
}

// answerKnownDryRun is the dry run of what is on the ledger already.
func (s *Server) answerKnownDryRun(x *request, id record.ID, index uint64) error {
	x.setIndex(index)
	s.metrics.countOutcome(outcomeDryRun)
	return x.answerJSON(http.StatusOK, dryRunAnswer{
		Admissible: true,
		Record:     id,
		Index:      index,
		Known:      true,
		Effects:    []string{fmt.Sprintf("is already on the ledger at index %d; nothing would be added", index)},
		AsOf:       dryRunAsOf{s.cfg.Register.Size(), time.Now().UTC().Format(timeFormat)},
	})
}

// checkLogKeys refuses a charter whose policy names none of this log's keys: once it
// were admitted, nothing could be published any more, the charter itself included. This
// is no admission rule: the same bytes are accepted once the operator's directory holds
// one of the keys. What the register would refuse anyhow is refused in the register's
// words.
func (s *Server) checkLogKeys(v record.Verified) error {
	c, ok := v.Statement().Predicate.(*record.Charter)
	if !ok {
		return nil
	}
	policy, err := proof.ParsePolicy([]byte(c.Policy))
	if err == nil && s.cfg.Config.Ledger.CanSign(policy) {
		return nil
	}
	draft, _ := s.newDraft()
	if _, err := draft.Judge(v); err != nil {
		return err
	}
	return newProblem(problemLogKeys, "the policy names none of the keys that this log signs with, so nothing could be published under it; name one of them beside its successors, or let the operator make the successors (docket init --next) and start the server again: then the same bytes are fine")
}
