package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

const (
	streamHeartbeat = 15 * time.Second // a comment, so that both ends learn of a dead connection
	streamPatience  = 10 * time.Second // for a reader to take what is written
	streamBatch     = 100              // records read and written at once
)

// stream is GET /v1/stream: published records as they come, as server-sent events (HTML,
// "Server-sent events"). The ID of an event is the record's index, so that a client that
// was cut off goes on by Last-Event-ID; after those of a checkpoint comes that itself. It
// ends after ?limit= records; without one with the client, the server, or a reader who is
// too slow. It waits for the ledger and polls nothing.
func (s *Server) stream(x *request) error {
	q := x.parseParams("from", "kind", "thread", "issuer", "limit")
	f := view.RecordFilter{Kind: oneOf(q, "kind", record.Kinds()), Thread: record.Thread(q.text("thread")), Issuer: q.text("issuer")}
	published := s.publishedSize()
	f.From = q.number("from", published)
	if last := x.Request.Header.Get("Last-Event-ID"); last != "" {
		index, err := indexAfter(last)
		if err != nil {
			return newProblem(problemParameter, "Last-Event-ID is %q; it is the index of the last record that came", clipText(last))
		}
		f.From = index
	}
	if f.From > published {
		q.addFault("from", "is %d; the ledger has published %s", f.From, register.FormatEntryCount(published))
	}
	most := q.number("limit", 0)
	if q.has("limit") && most == 0 {
		q.addFault("limit", "is 0; it is 1 or more")
	}
	if err := q.firstFault(); err != nil {
		return err
	}
	leave, err := s.streams.enter(s.address(x), time.Minute)
	if err != nil {
		return err
	}
	defer leave()

	h := x.Writer.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would keep events back
	x.Writer.WriteHeader(http.StatusOK)
	if x.Request.Method == http.MethodHead {
		return nil
	}
	// Of the request nothing more comes; its time to be read must not end the answer.
	http.NewResponseController(x.Writer).SetReadDeadline(time.Time{})
	err = s.streamRecords(x, f, most)
	if err != nil && x.Request.Context().Err() == nil && !errors.Is(err, errReaderGone) {
		s.log.Warn("a stream ended", "err", err) // its status is sent; the client asks again, and is told
	}
	return nil
}

var errReaderGone = errors.New("the reader is gone, or too slow")

// streamRecords writes what a filter chooses until it must end.
func (s *Server) streamRecords(x *request, f view.RecordFilter, most uint64) error {
	heartbeat := time.NewTicker(streamHeartbeat)
	defer heartbeat.Stop()
	if err := x.sendEvents([]byte("retry: 3000\n\n")); err != nil {
		return err
	}
	sent, limited := uint64(0), most > 0
	for {
		published, next := s.cfg.Ledger.Next()
		size := uint64(0)
		if published != nil {
			size = min(published.Checkpoint().Size, s.publishedSize()) // a copy may be unable to judge the rest
		}
		fresh := f.From < size
		for f.From < size {
			events, n, from, err := s.readEvents(x, f, size, most-sent, limited)
			if err != nil {
				return err
			}
			f.From, sent = from, sent+n
			if err := x.sendEvents(events); err != nil {
				return err
			}
			if limited && sent >= most {
				return nil
			}
		}
		if fresh {
			if err := x.sendEvents(checkpointEvent(published.Note())); err != nil {
				return err
			}
		}
		select {
		case <-next:
		case <-heartbeat.C:
			if err := x.sendEvents([]byte(":\n\n")); err != nil {
				return err
			}
		case <-s.stopped:
			return nil
		case <-x.Request.Context().Done():
			return nil
		}
	}
}

// readEvents reads one batch of events, with a turn of its own among the questions, which is
// over before anything is written.
func (s *Server) readEvents(x *request, f view.RecordFilter, size, most uint64, limited bool) (events []byte, n, from uint64, err error) {
	if err := x.acquire(s.queryLimiter); err != nil {
		return nil, 0, 0, err
	}
	defer x.release()
	v, err := view.At(s.cfg.Register, size)
	if err != nil {
		return nil, 0, 0, err
	}
	var text bytes.Buffer
	from = size
	err = v.WithBudget(s.cfg.QueryBudget).Records(f, func(r register.RecordRow) bool {
		if n == streamBatch || limited && n == most {
			from = r.Index
			return false
		}
		data, _ := json.Marshal(r) // plain fields
		fmt.Fprintf(&text, "id: %d\nevent: record\ndata: %s\n\n", r.Index, data)
		n++
		return true
	})
	if more := (*view.PartialListError)(nil); errors.As(err, &more) {
		from, err = indexAfter(more.After)
	}
	return text.Bytes(), n, from, err
}

// checkpointEvent is the event of a checkpoint, a data line each line of the note.
func checkpointEvent(note []byte) []byte {
	var text bytes.Buffer
	text.WriteString("event: checkpoint\n")
	for line := range strings.SplitSeq(strings.TrimSuffix(string(note), "\n"), "\n") {
		text.WriteString("data: " + line + "\n")
	}
	text.WriteString("\n")
	return text.Bytes()
}

// sendEvents writes events to a reader who takes them in time.
func (x *request) sendEvents(events []byte) error {
	c := http.NewResponseController(x.Writer)
	c.SetWriteDeadline(time.Now().Add(streamPatience)) // what knows no deadlines has no slow readers
	if _, err := x.Writer.Write(events); err != nil {
		return errReaderGone
	}
	x.Writer.Flush()
	if x.Request.Context().Err() != nil {
		return errReaderGone
	}
	return nil
}
