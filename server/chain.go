package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// answerChain writes the chain of a published entry, within the bounds of a chain
// file.
func (s *Server) answerChain(x *request, index uint64) error {
	_, entry, err := s.readEntry(x, index)
	if err != nil {
		return err
	}
	indexes, err := s.chainIndexes(index, entry)
	if err != nil {
		return err
	}
	text, err := s.formatChain(x.Request.Context(), indexes)
	if err != nil {
		return err
	}
	return x.answerBytes(http.StatusOK, typeText, text)
}

// chainTooLong says what to do where no chain file can hold what a record rests on.
func chainTooLong(format string, args ...any) *problem {
	return newProblem(problemChainTooLong, format+": check who signed it with a trust directory instead, which holds every record: docket trust URL --charter ID --to DIR, then docket verify --trust DIR RECEIPT", args...)
}

// formatChain writes the receipts of a chain's records: all against the newest
// checkpoint, but each charter that is not the newest against the last one that
// was published before the next charter, so that it is proven under its own policy
// even when none of the witnesses of then is left. It holds no more than the text.
func (s *Server) formatChain(ctx context.Context, indexes []uint64) ([]byte, error) {
	newest := s.cfg.Ledger.Published()
	charters, err := s.cfg.Register.Charters()
	if err != nil {
		return nil, err
	}
	var text []byte
	for _, index := range indexes {
		r, err := s.chainReceipt(ctx, index, newest, charters)
		if err != nil {
			return nil, err
		}
		one, err := r.Format()
		if err != nil {
			return nil, fmt.Errorf("writing the receipt of entry %d: %w", index, err)
		}
		if text = append(text, one...); len(text) > proof.MaxChainBytes {
			return nil, chainTooLong("its %d receipts are more than %d bytes", len(indexes), proof.MaxChainBytes)
		}
	}
	return text, nil
}

// chainReceipt is the receipt of one record of a chain.
func (s *Server) chainReceipt(ctx context.Context, index uint64, newest *proof.Published, charters []register.RecordRow) (proof.Receipt, error) {
	i := slices.IndexFunc(charters, func(c register.RecordRow) bool { return c.Index == index })
	if i >= 0 && i+1 < len(charters) {
		r, err := s.cfg.Ledger.ReceiptUpTo(ctx, index, charters[i+1].Index)
		if err == nil || !errors.Is(err, ledger.ErrNotArchived) {
			return r, err
		}
		// Its witnesses never answered: the newest is all there is.
	}
	return s.cfg.Ledger.ReceiptAgainst(ctx, index, newest)
}

// chainIndexes lists the records that let a stranger check who signed the one at
// index (DESIGN.md section 4 "Receipt"): all charters, the enrolment, keys and
// standing records of the authority and of each party whose key signed it, or who
// sponsored one of those, and last the record itself. The others are in log order.
func (s *Server) chainIndexes(index uint64, entry record.Entry) ([]uint64, error) {
	view, err := s.cfg.Register.ViewAt(s.publishedSize())
	if err != nil {
		return nil, err
	}
	threads := []string{"charter", "party/" + record.Authority}
	for _, sig := range entry.Envelope.Signatures {
		party, _, known, err := s.cfg.Register.KeyOwner(sig.KeyID)
		if err != nil {
			return nil, err
		}
		if thread := "party/" + party; known && !slices.Contains(threads, thread) {
			threads = append(threads, thread) // a root key's owner is the charter: a party of that name has no records
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
		err := view.Records(register.RecordFilter{Thread: thread}, func(r register.Record) bool {
			if r.Index != index {
				indexes = append(indexes, r.Index)
			}
			return len(indexes) < proof.MaxChainReceipts
		})
		if err != nil {
			return nil, err
		}
		if len(indexes) == proof.MaxChainReceipts { // and the record itself
			return nil, chainTooLong("it rests on more than %d records, as many as one file holds", proof.MaxChainReceipts-1)
		}
	}
	slices.Sort(indexes)
	return append(indexes, index), nil
}
