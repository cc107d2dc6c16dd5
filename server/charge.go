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

// rateAccount says who pays for a submission: who answers for the record, if it is admitted; if
// it is refused, the address that it came from. What a party has signed may be in anybody's
// hands (a draft, a record of another ledger), and be sent again and again: so a stranger
// uses up his own address's tokens, and nobody else's.
type rateAccount struct {
	onRefusal, onAdmission *tokenBuckets
	address, payer         string // who is "" if no enrolled key has signed
	tokens                 int    // of who: one for each bytesPerToken of the payload
}

// bytesPerToken is how many bytes of a payload count as one record: what one key may add is
// bounded in bytes too.
const bytesPerToken = 4 << 10

// charge charges for a verdict. A refusal is paid by the address, also one that time
// mends, as of a draft that is dated ahead. Where the ledger could not say, the record may
// have been admitted, and its signer pays. Debts are allowed: those who were let in at
// once all pay.
func (b rateAccount) charge(err error) {
	var refusal *record.Refusal
	switch {
	case err != nil && (b.payer == "" || errors.As(err, &refusal) || problemOf(err).status() < http.StatusInternalServerError):
		b.onRefusal.take(b.address, 1)
	case b.payer != "": // else it is the first charter, by keys that only it lists
		b.onAdmission.take(b.payer, b.tokens)
	}
}

// verifyAndAccount opens the envelope in its turn, unless the address has nothing left to pay
// with, or whoever would pay for the record.
func (s *Server) verifyAndAccount(ctx context.Context, x *request, env record.Envelope) (record.Verified, rateAccount, error) {
	b := rateAccount{onRefusal: s.perAddress, address: s.address(x)}
	v, st, err := s.openEnvelope(ctx, env, b.check)
	if err == nil {
		err = s.setPayer(v, &b)
		return v, b, err
	}
	if st == nil {
		return v, b, err
	}
	b.charge(err)
	// A record of another ledger, or of an issuer whose name is misspelt, is told
	// that first.
	if reason := s.cfg.Register.Begin(time.Now()).Preflight(st); reason != nil {
		err = reason
	} else if reason := s.cfg.Register.ExplainSigners(env, st.Issuer); reason != nil {
		err = reason
	}
	return v, b, err
}

// check refuses what comes from an address of which too much was refused.
func (b rateAccount) check() error {
	if wait, empty := b.onRefusal.wait(b.address); empty {
		return rateLimited(wait, "too much that came from %s was refused; its limit is %s", b.address, b.onRefusal.rate)
	}
	return nil
}

// openEnvelope verifies the signatures in its turn. The statement is returned too where
// it could be read and no signature holds.
func (s *Server) openEnvelope(ctx context.Context, env record.Envelope, check func() error) (v record.Verified, st *record.Statement, err error) {
	start := time.Now()
	if err := check(); err != nil {
		return record.Verified{}, nil, err
	}
	if err := s.verifyLimiter.acquire(ctx); err != nil {
		return record.Verified{}, nil, err
	}
	defer s.verifyLimiter.release()
	if err := check(); err != nil { // those before it in the queue may have used it up
		return record.Verified{}, nil, err
	}
	v, err = record.Open(env, func(opened *record.Statement) []*record.Key {
		st = opened
		return s.cfg.Register.CandidateKeysFor(env)(st)
	})
	s.metrics.verifySeconds.Observe(time.Since(start).Seconds())
	return v, st, err
}

// setPayer finds who answers for a record: its issuer if a key of his signed it, never
// because it names him. Where a party has nothing left, a key that signed pays with its
// reserve: whoever has stolen one uses up what the party's keys share, and keeps the others
// from nothing, least of all from revoking it.
func (s *Server) setPayer(v record.Verified, b *rateAccount) error {
	keys, err := s.cfg.Register.ResponsibleKeys(v, time.Now())
	if err != nil || len(keys) == 0 { // the keys that it lists alone: it is the first charter, or judging will refuse it
		return err
	}
	b.payer, b.onAdmission, b.tokens = keys[0].Owner, s.perIssuer, 1+len(v.Payload())/bytesPerToken
	if isImport(v.Statement()) {
		b.onAdmission = s.perImporter
	}
	least, empty := b.onAdmission.wait(b.payer)
	if !empty {
		return nil
	}
	limit := b.onAdmission.rate
	for _, k := range keys {
		wait, empty := s.perKey.wait(k.KeyID)
		if !empty {
			b.payer, b.onAdmission = k.KeyID, s.perKey
			return nil
		}
		least = min(least, wait)
	}
	return rateLimited(least, "the limit of %s is %s; for %s alone, %s more", keys[0].Owner, limit.describeTokens(), keys[0].Holder, s.perKey.rate)
}

// isImport says that a record carries over a published list, of which there may
// be thousands at once; only the authority's keys can have signed it.
func isImport(st *record.Statement) bool {
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

func rateLimited(wait time.Duration, format string, args ...any) *problem {
	p := newProblem(problemTooMany, format, args...)
	p.retryAfter = wait
	return p
}

// address is the client's network address without its port; of IPv6 the /64,
// which is what one customer of a provider has.
func (s *Server) address(x *request) string {
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
