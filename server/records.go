package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

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
	AsOf    asOf              `json:"asOf"`
	Records []register.Record `json:"records"`
	Next    string            `json:"next,omitempty"`
}

// cursorRecords is GET /v1/records, oldest first.
func (s *Server) records(x *request) error {
	q, err := s.parseListQuery(x, cursorRecords, "kind", "thread", "issuer")
	if err != nil {
		return err
	}
	filter := register.RecordFilter{
		Kind:   oneOf(q.params, "kind", record.Kinds()),
		Thread: q.text("thread"),
		Issuer: q.text("issuer"),
	}
	if q.position != "" {
		if filter.From, err = indexAfter(q.position); err != nil {
			q.addCursorFault("after")
		}
	}
	if err := q.firstFault(); err != nil {
		return err
	}
	p := newListPage(q.limit, recordPosition)
	if err := p.finish(q, "after", q.view.Records(filter, p.add)); err != nil {
		return err
	}
	answer := recordsAnswer{AsOf: q.asOf, Records: p.items}
	if p.after != "" {
		// Not as of this size: what comes meanwhile stands at the end.
		answer.Next = cursor{list: cursorRecords, position: p.after}.String()
	}
	return x.answerJSON(http.StatusOK, answer)
}

func recordPosition(r register.Record) string { return strconv.FormatUint(r.Index, 10) }

// indexAfter is the index after that of a place.
func indexAfter(place string) (uint64, error) {
	last, err := strconv.ParseUint(place, 10, 63)
	return last + 1, err
}
