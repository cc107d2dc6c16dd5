package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// receipt is GET /v1/records/{id}/receipt: against the newest published
// checkpoint, so asking again later gives a newer one of the same entry; with ?auditor=,
// against the newest that this auditor has cosigned.
func (s *Server) receipt(x *request) error {
	q := x.parseParams("chain", "auditor")
	chain, auditor := q.flag("chain"), q.text("auditor")
	if q.has("auditor") && chain {
		q.addFault("auditor", "goes with a single receipt, and not with a chain")
	}
	if err := q.firstFault(); err != nil {
		return err
	}
	id, index, err := s.findRecord(x)
	if err != nil {
		return err
	}
	x.setRecordHeaders(id, index)
	x.Writer.Header().Set("Cache-Control", cacheRevalidate)
	if chain {
		return s.queryLimiter.limit(func(x *request) error { return s.answerChain(x, index) })(x)
	}
	if q.has("auditor") {
		return s.queryLimiter.limit(func(x *request) error { return s.answerAuditedReceipt(x, index, auditor) })(x)
	}
	return s.answerReceipt(x.Request.Context(), x, index, http.StatusOK)
}

// findRecord reads the path's record ID and looks it up: 404 for what the ledger does
// not know, 409 for what it has committed and not published yet.
func (s *Server) findRecord(x *request) (record.ID, uint64, error) {
	id, err := record.ParseID(x.Param("id"))
	if err != nil {
		return record.ID{}, 0, newProblem(problemNotFound, "a record ID is 64 lower-case hexadecimal digits")
	}
	index, known, err := s.cfg.Register.Lookup(id)
	if err != nil {
		return record.ID{}, 0, fmt.Errorf("looking up %s: %w", id, err)
	}
	if !known {
		return record.ID{}, 0, newProblem(problemNotFound, "no record on this ledger has the ID %s", id)
	}
	x.setIndex(index)
	if index >= s.publishedSize() {
		p := newProblem(problemUnpublished, "the record is committed at index %d, and not published yet; ask again in a moment", index)
		p.index = &index
		return record.ID{}, 0, p
	}
	return id, index, nil
}

// answerReceipt writes the receipt of a published entry.
func (s *Server) answerReceipt(ctx context.Context, x *request, index uint64, status int) error {
	receipt, err := s.cfg.Ledger.Receipt(ctx, index)
	if err != nil {
		return err
	}
	text, err := receipt.Format()
	if err != nil {
		return fmt.Errorf("writing the receipt of entry %d: %w", index, err)
	}
	return x.answerBytes(status, typeText, text)
}

// setRecordHeaders puts into the headers which record the answer is about.
func (x *request) setRecordHeaders(id record.ID, index uint64) {
	x.setIndex(index)
	h := x.Writer.Header()
	h["Location"] = []string{x.pathPrefix() + recordPath(id)}
	h["Docket-Record"] = []string{id.String()}
	h["Docket-Index"] = []string{strconv.FormatUint(index, 10)}
}

func recordPath(id record.ID) string { return "/v1/records/" + id.String() }

// record is GET /v1/records/{id}: the statement as its signer wrote it beside
// the exact entry. Both stand in the answer byte for byte but for the white
// space of the statement.
func (s *Server) record(x *request) error {
	if err := x.parseParams().firstFault(); err != nil {
		return err
	}
	id, index, err := s.findRecord(x)
	if err != nil {
		return err
	}
	line, entry, err := s.readEntry(x, index)
	if err != nil {
		return err
	}
	x.setRecordHeaders(id, index)
	x.Writer.Header().Set("Cache-Control", cacheImmutable)

	// Not json.Marshal, which would rewrite < > & in what others have signed.
	var body bytes.Buffer
	fmt.Fprintf(&body, `{"record":"%s","index":%d,"admitted":"%s","statement":`, id, index, entry.Admitted.Format(timeFormat))
	if err := json.Compact(&body, entry.Envelope.Payload); err != nil {
		return fmt.Errorf("the payload of entry %d: %w", index, err)
	}
	fmt.Fprintf(&body, `,"entry":%s,"receipt":"%s/receipt"}`+"\n", line, recordPath(id))
	return x.answerBytes(http.StatusOK, typeJSON, body.Bytes())
}

// readEntry reads a published entry.
func (s *Server) readEntry(x *request, index uint64) (line []byte, e record.Entry, err error) {
	if line, err = s.cfg.Ledger.Entry(x.Request.Context(), index); err != nil {
		return nil, record.Entry{}, err
	}
	if e, err = record.ParseEntry(line); err != nil {
		return nil, record.Entry{}, fmt.Errorf("entry %d: %w", index, err)
	}
	return line, e, nil
}

// timeFormat is how times are written: UTC, milliseconds.
const timeFormat = "2006-01-02T15:04:05.000Z"

type recordsAnswer struct {
	AsOf    asOf                 `json:"asOf"`
	Records []register.RecordRow `json:"records"`
	Next    string               `json:"next,omitempty"`
}

var recordsQuestion = listQuestion[recordsAnswer]{cursorRecords, []string{"kind", "thread", "issuer"}, recordsOf}

// records is GET /v1/records, oldest first.
func (s *Server) records(x *request) error { return recordsQuestion.answerJSON(s, x) }

// recordsOf are the records that a question chooses.
func recordsOf(q *registerQuery) (a recordsAnswer, err error) {
	a.AsOf = q.asOf
	filter := view.RecordFilter{
		Kind:   oneOf(q.params, "kind", record.Kinds()),
		Thread: record.Thread(q.text("thread")),
		Issuer: q.text("issuer"),
	}
	if q.position != "" {
		if filter.From, err = indexAfter(q.position); err != nil {
			q.addCursorFault("after")
		}
	}
	if err := q.firstFault(); err != nil {
		return a, err
	}
	p := newListPage(q.limit, recordPosition)
	if err := p.finish(q, "after", q.view.Records(filter, p.add)); err != nil {
		return a, err
	}
	if p.after != "" {
		// Not as of this size: what comes meanwhile stands at the end.
		a.Next = cursor{list: cursorRecords, position: p.after}.String()
	}
	a.Records = p.items
	return a, nil
}

func recordPosition(r register.RecordRow) string { return strconv.FormatUint(r.Index, 10) }

// indexAfter is the index after that of a place.
func indexAfter(place string) (uint64, error) {
	last, err := strconv.ParseUint(place, 10, 63)
	return last + 1, err
}

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

// chainIndexes lists the records with which anyone can verify who signed the one at
// index (DESIGN.md section 4 "Receipt"): all charters, the enrolment, keys and standing
// records of the authority and of each party whose key signed it, or who sponsored one
// of those, and last the record itself. The others are in log order.
func (s *Server) chainIndexes(index uint64, entry record.Entry) ([]uint64, error) {
	v, err := view.At(s.cfg.Register, s.publishedSize())
	if err != nil {
		return nil, err
	}
	threads := []record.Thread{record.CharterThread, record.PartyThread(record.Authority)}
	for _, sig := range entry.Envelope.Signatures {
		party, _, known, err := s.cfg.Register.KeyOwner(sig.KeyID)
		if err != nil {
			return nil, err
		}
		if thread := record.PartyThread(party); known && !slices.Contains(threads, thread) {
			threads = append(threads, thread) // a root key's owner is the charter: a party of that name has no records
		}
	}
	for _, thread := range threads[2:] { // a sponsor is a provider: registrars enrolled it
		sponsor, err := s.cfg.Register.Sponsor(thread.Party())
		if err != nil {
			return nil, err
		}
		if thread := record.PartyThread(sponsor); sponsor != "" && !slices.Contains(threads, thread) {
			threads = append(threads, thread)
		}
	}
	var indexes []uint64
	for _, thread := range threads {
		err := v.Records(view.RecordFilter{Thread: thread}, func(r register.RecordRow) bool {
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

// checkpointAt is GET /v1/checkpoints?at=T: the newest checkpoint of which the
// witnesses' quorum is stamped no later than T. The entries below it are what was
// knowable then. It is proven by what it bears, not by this answer.
func (s *Server) checkpointAt(x *request) error {
	q := x.parseParams("at")
	v, err := view.At(s.cfg.Register, s.publishedSize())
	if err != nil {
		return err
	}
	at := q.time("at", func(d record.Date) time.Time { return endOfDay(v, d) })
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
func (s *Server) checkpointTimes(ctx context.Context) view.CheckpointTimes {
	if s.cfg.Copy != nil && s.cfg.Copy.Times != nil {
		return s.cfg.Copy.Times
	}
	return func(at time.Time) (view.Knowable, error) {
		published, err := s.cfg.Ledger.CheckpointAt(ctx, at)
		if errors.Is(err, ledger.ErrNotArchived) {
			return view.Knowable{Size: s.publishedSize()}, nil
		}
		if err != nil {
			return view.Knowable{}, err
		}
		return view.Knowable{Size: published.Checkpoint().Size, Cosigned: published.ExistedBy().UTC()}, nil
	}
}
