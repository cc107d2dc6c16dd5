package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

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
