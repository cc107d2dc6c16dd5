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
func (s *Server) record(x *exchange) error {
	if err := x.query().done(); err != nil {
		return err
	}
	id, index, err := s.find(x)
	if err != nil {
		return err
	}
	line, entry, err := s.entry(x, index)
	if err != nil {
		return err
	}
	x.name(id, index)
	x.Writer.Header().Set("Cache-Control", cacheForever)

	// Not json.Marshal, which would rewrite < > & in what others have signed.
	var body bytes.Buffer
	fmt.Fprintf(&body, `{"record":"%s","index":%d,"admitted":"%s","statement":`, id, index, entry.Admitted.Format(instant))
	if err := json.Compact(&body, entry.Envelope.Payload); err != nil {
		return fmt.Errorf("the payload of entry %d: %w", index, err)
	}
	fmt.Fprintf(&body, `,"entry":%s,"receipt":"%s/receipt"}`+"\n", line, recordPath(id))
	return x.bytes(http.StatusOK, typeJSON, body.Bytes())
}

// entry reads a published entry.
func (s *Server) entry(x *exchange, index uint64) (line []byte, e record.Entry, err error) {
	if line, err = s.cfg.Ledger.Entry(x.Request.Context(), index); err != nil {
		return nil, record.Entry{}, err
	}
	if e, err = record.ParseEntry(line); err != nil {
		return nil, record.Entry{}, fmt.Errorf("entry %d: %w", index, err)
	}
	return line, e, nil
}

// instant is how times are written: UTC, milliseconds.
const instant = "2006-01-02T15:04:05.000Z"

type recordsAnswer struct {
	AsOf    asOf              `json:"asOf"`
	Records []register.Record `json:"records"`
	Next    string            `json:"next,omitempty"`
}

// listRecords is GET /v1/records, oldest first.
func (s *Server) records(x *exchange) error {
	q, err := s.askPage(x, listRecords, "kind", "thread", "issuer")
	if err != nil {
		return err
	}
	filter := register.RecordFilter{
		Kind:   oneOf(q.query, "kind", record.Kinds()),
		Thread: q.text("thread"),
		Issuer: q.text("issuer"),
	}
	if q.place != "" {
		if filter.From, err = pastIndex(q.place); err != nil {
			q.noCursor("after")
		}
	}
	if err := q.done(); err != nil {
		return err
	}
	p := newPage(q.limit, recordPlace)
	if err := p.end(q, "after", q.view.Records(filter, p.take)); err != nil {
		return err
	}
	answer := recordsAnswer{AsOf: q.asOf, Records: p.items}
	if p.after != "" {
		// Not as of this size: what comes meanwhile stands at the end.
		answer.Next = cursor{list: listRecords, place: p.after}.String()
	}
	return x.json(http.StatusOK, answer)
}

func recordPlace(r register.Record) string { return strconv.FormatUint(r.Index, 10) }

// pastIndex is the index after that of a place.
func pastIndex(place string) (uint64, error) {
	last, err := strconv.ParseUint(place, 10, 63)
	return last + 1, err
}
