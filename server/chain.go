package server

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// chain makes the receipts of a chain's records: all against the newest
// checkpoint, but each charter that is not the newest against the last one that
// was published before the next charter, so that it is proven under its own policy
// even when none of the witnesses of then is left.
func (s *Server) chain(ctx context.Context, indexes []uint64) ([]proof.Receipt, error) {
	receipts, err := s.cfg.Ledger.Receipts(ctx, indexes...)
	if err != nil {
		return nil, err
	}
	charters, err := s.cfg.Register.Charters()
	if err != nil {
		return nil, err
	}
	for i := 0; i+1 < len(charters); i++ {
		at := slices.Index(indexes, charters[i].Index)
		if at < 0 {
			continue
		}
		r, err := s.cfg.Ledger.ReceiptUnder(ctx, charters[i].Index, charters[i+1].Index)
		switch {
		case err == nil:
			receipts[at] = r
		case !errors.Is(err, ledger.ErrNotKept): // its witnesses never answered: the newest is all there is
			return nil, err
		}
	}
	return receipts, nil
}

// chainOf lists the records that let a stranger check who signed the one at
// index (DESIGN.md section 4 "Receipt"): all charters, the enrolment, keys and
// standing records of the authority and of each party whose key signed it, or who
// sponsored one of those, and last the record itself. The others are in log order.
func (s *Server) chainOf(index uint64, entry record.Entry) ([]uint64, error) {
	view, err := s.cfg.Register.At(s.published())
	if err != nil {
		return nil, err
	}
	threads := []string{"charter", "party/" + record.Authority}
	for _, sig := range entry.Envelope.Signatures {
		party, _, known, err := s.cfg.Register.Owner(sig.KeyID)
		if err != nil {
			return nil, err
		}
		if thread := "party/" + party; known && !slices.Contains(threads, thread) {
			threads = append(threads, thread)
		}
	}
	for _, thread := range threads[2:] { // a sponsor is a provider: registrars enrolled it
		sponsor, err := s.cfg.Register.Sponsor(strings.TrimPrefix(thread, "party/"))
		if err != nil {
			return nil, err
		}
		if thread := "party/" + sponsor; sponsor != "" && !slices.Contains(threads, thread) {
			threads = append(threads, thread)
		}
	}
	var indexes []uint64
	for _, thread := range threads {
		records, err := view.Thread(thread)
		if absent := (*register.AbsentError)(nil); errors.As(err, &absent) {
			continue // a root key's owner is the charter, no party
		}
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			if r.Index != index {
				indexes = append(indexes, r.Index)
			}
		}
	}
	slices.Sort(indexes)
	return append(indexes, index), nil
}
