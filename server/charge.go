package server

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/server/front"
)

// bill says who pays for a submission: who answers for the record, if it is admitted; if
// it is refused, the address that it came from. What a party has signed may be in anybody's
// hands (a draft, a record of another ledger), and be sent again and again: so a stranger
// uses up his own address's tokens, and nobody else's.
type bill struct {
	refused, admitted *buckets
	from, who         string // who is "" if no enrolled key has signed
	tokens            int    // of who: one for each recordUnit of the payload
}

// recordUnit is how many bytes of a payload count as one record: what one key may add is
// bounded in bytes too.
const recordUnit = 4 << 10

// settle charges for a verdict. A refusal is paid by the address, also one that time
// mends, as of a draft that is dated ahead. Where the ledger could not say, the record may
// have been admitted, and its signer pays. Debts are allowed: those who were let in at
// once all pay.
func (b bill) settle(err error) {
	var refusal *record.Refusal
	switch {
	case err != nil && (b.who == "" || errors.As(err, &refusal) || problemOf(err).status() < http.StatusInternalServerError):
		b.refused.charge(b.from, 1)
	case b.who != "": // else it is the first charter, by keys that only it lists
		b.admitted.charge(b.who, b.tokens)
	}
}

// verify opens the envelope in its turn, unless the address has nothing left to pay
// with, or whoever would pay for the record.
func (s *Server) verify(ctx context.Context, x *exchange, env record.Envelope) (record.Verified, bill, error) {
	b := bill{refused: s.strangers, from: s.address(x)}
	v, st, err := s.open(ctx, env, b.solvent)
	if err == nil {
		err = s.charge(v, &b)
		return v, b, err
	}
	if st == nil {
		return v, b, err
	}
	b.settle(err)
	// A record of another ledger, or of an issuer whose name is misspelt, is told
	// that first.
	if reason := s.cfg.Register.Begin(time.Now()).Preflight(st); reason != nil {
		err = reason
	} else if reason := s.cfg.Register.Strangers(env, st.Issuer); reason != nil {
		err = reason
	}
	return v, b, err
}

// solvent refuses what comes from an address of which too much was refused.
func (b bill) solvent() error {
	if wait, empty := b.refused.empty(b.from); empty {
		return tooOften(wait, "too much that came from %s was refused; its limit is %s", b.from, b.refused.rate)
	}
	return nil
}

// open verifies the signatures in its turn. The statement is returned too where
// it could be read and no signature holds.
func (s *Server) open(ctx context.Context, env record.Envelope, solvent func() error) (v record.Verified, st *record.Statement, err error) {
	start := time.Now()
	if err := solvent(); err != nil {
		return record.Verified{}, nil, err
	}
	if err := s.gate.enter(ctx); err != nil {
		return record.Verified{}, nil, err
	}
	defer s.gate.leave()
	if err := solvent(); err != nil { // those before it in the queue may have used it up
		return record.Verified{}, nil, err
	}
	v, err = record.Open(env, func(opened *record.Statement) []*record.Key {
		st = opened
		return s.cfg.Register.CandidatesOf(env)(st)
	})
	s.metrics.verify.Observe(time.Since(start).Seconds())
	return v, st, err
}

// charge finds who answers for a record: its issuer if a key of his signed it, never
// because it names him. Where a party has nothing left, a key that signed pays with its
// reserve: whoever has stolen one uses up what the party's keys share, and keeps the others
// from nothing, least of all from revoking it.
func (s *Server) charge(v record.Verified, b *bill) error {
	keys, err := s.cfg.Register.Signatories(v, time.Now())
	if err != nil || len(keys) == 0 { // the keys that it lists alone: it is the first charter, or judging will refuse it
		return err
	}
	b.who, b.admitted, b.tokens = keys[0].Owner, s.issuers, 1+len(v.Payload())/recordUnit
	if imported(v.Statement()) {
		b.admitted = s.importers
	}
	least, empty := b.admitted.empty(b.who)
	if !empty {
		return nil
	}
	limit := b.admitted.rate
	for _, k := range keys {
		wait, empty := s.reserves.empty(k.KeyID)
		if !empty {
			b.who, b.admitted = k.KeyID, s.reserves
			return nil
		}
		least = min(least, wait)
	}
	return tooOften(least, "the limit of %s is %s; for %s alone, %s more", keys[0].Owner, limit.ofRecords(), keys[0].Holder, s.reserves.rate)
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

// address is the client's network address without its port; of IPv6 the /64,
// which is what one customer of a provider has.
func (s *Server) address(x *exchange) string {
	ip, err := netip.ParseAddr(x.ClientIP()) // a trusted proxy says whose it is
	if err != nil {
		return x.Request.RemoteAddr
	}
	network := front.Network(ip)
	if network.IsSingleIP() {
		return network.Addr().String()
	}
	return network.String()
}
