package server

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// verify opens the envelope in its turn, and charges for it: an address for what
// nobody enrolled has signed, whoever did sign it for the rest. So a stranger can
// use up his own address's tokens, and nobody else's.
func (s *Server) verify(ctx context.Context, x *exchange, env record.Envelope) (record.Verified, error) {
	from := address(x.Request.RemoteAddr)
	if wait, empty := s.forgers.empty(from); empty {
		return record.Verified{}, s.tooForged(wait, from)
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
	return v, s.charge(v, from)
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

// charge takes a token of whoever answers for a record: its issuer's if a key of
// his signed it, never because it names him.
func (s *Server) charge(v record.Verified, from string) error {
	who, err := s.cfg.Register.Signatory(v, time.Now())
	if err != nil {
		return err
	}
	if who == "" { // the keys that it lists alone: it is the first charter, or judging will refuse it
		if wait, ok := s.forgers.take(from); !ok {
			return s.tooForged(wait, from)
		}
		return nil
	}
	rate, buckets := s.cfg.IssuerRate, s.issuers
	if imported(v.Statement()) {
		rate, buckets = s.cfg.ImporterRate, s.importers
	}
	if wait, ok := buckets.take(who); !ok {
		return tooOften(wait, "the limit of %s is %s", who, rate)
	}
	return nil
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

func (s *Server) tooForged(wait time.Duration, from string) *problem {
	return tooOften(wait, "from %s came more than %s that no enrolled key has signed", from, s.cfg.ForgeryRate)
}

func tooOften(wait time.Duration, format string, args ...any) *problem {
	p := refuse(tooMany, format, args...)
	p.retryAfter = wait
	return p
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
