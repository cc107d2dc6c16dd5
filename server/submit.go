package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// submit is POST /v1/records: a record in, a receipt out. The order is by cost
// and by whom it can hurt: what is known is answered before anything is
// verified, and nobody's bucket is charged for a record that he did not sign.
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
	v, err := s.verify(ctx, x, env)
	if err != nil {
		return err
	}
	if err := s.signable(v); err != nil {
		return err
	}
	if dry {
		return s.judge(x, v)
	}
	ticket, err := s.cfg.Ledger.Append(ctx, v)
	if err != nil {
		return err
	}
	a, err := ticket.Committed(ctx)
	if err != nil && errors.Is(err, ctx.Err()) {
		return later(unknown, time.Second, err, "the record waits to be committed; send the same bytes again, and it is there once")
	}
	if err != nil {
		return err
	}
	return s.answer(ctx, x, id, a, wait)
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

// verify opens the envelope in its turn, and charges for it: an address for what
// is refused for its signatures, an issuer for what is his. So a forger can use
// up his own address's tokens, and nobody else's.
func (s *Server) verify(ctx context.Context, x *exchange, env record.Envelope) (record.Verified, error) {
	from := address(x.Request.RemoteAddr)
	if wait, empty := s.forgers.empty(from); empty {
		return record.Verified{}, tooOften(wait, "from %s came more than %s whose signatures do not hold", from, s.cfg.ForgeryRate)
	}
	v, st, err := s.open(ctx, env)
	if err != nil {
		if st != nil {
			s.forgers.take(from)
			// A record of another ledger, or of an issuer whose name is misspelt, is
			// told that first.
			if reason := s.cfg.Register.Begin(time.Now()).Preflight(st); reason != nil {
				err = reason
			} else if reason := s.cfg.Register.Strangers(env, st.Issuer); reason != nil {
				err = reason
			}
		}
		return record.Verified{}, err
	}
	issuer, rate, buckets := v.Statement().Issuer, s.cfg.IssuerRate, s.issuers
	if imported(v.Statement()) {
		rate, buckets = s.cfg.ImporterRate, s.importers
	}
	if wait, ok := buckets.take(issuer); !ok {
		return record.Verified{}, tooOften(wait, "the limit of %s is %s", issuer, rate)
	}
	return v, nil
}

// open verifies the signatures in its turn. The statement is returned too where
// it could be read and no signature holds.
func (s *Server) open(ctx context.Context, env record.Envelope) (v record.Verified, st *record.Statement, err error) {
	start := time.Now()
	if err := s.gate.enter(ctx); err != nil {
		return record.Verified{}, nil, err
	}
	defer s.gate.leave()
	v, err = record.Open(env, func(opened *record.Statement) []*record.Key {
		st = opened
		return s.cfg.Register.Candidates(st)
	})
	s.metrics.verify.Observe(time.Since(start).Seconds())
	return v, st, err
}

// imported says that a record carries over a published list, of which there may
// be thousands at once; only the authority's keys can have signed it.
func imported(st *record.Statement) bool {
	switch p := st.Predicate.(type) {
	case *record.Designation:
		return p.Source != nil
	case *record.Amendment:
		return p.Source != nil
	case *record.Revocation:
		return p.Cause == "delisted"
	}
	return false
}

func tooOften(wait time.Duration, format string, args ...any) *problem {
	p := refuse(tooMany, format, args...)
	p.retryAfter = wait
	return p
}

func (r Rate) String() string {
	return fmt.Sprintf("%g records a second, %d at once", r.PerSecond, r.Burst)
}

// address is the client's network address without its port; of IPv6 the /64,
// which is what one customer of a provider has.
func address(remote string) string {
	host, err := netip.ParseAddrPort(remote)
	if err != nil {
		if name, _, err := net.SplitHostPort(remote); err == nil {
			return name
		}
		return remote
	}
	ip := host.Addr().Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	prefix, err := ip.Prefix(64)
	if err != nil {
		return ip.String()
	}
	return prefix.String()
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
