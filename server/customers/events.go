package customers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"time"

	private "github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/record"
)

type stats = private.Stats

// maxEvent is how long one event may be.
const maxEvent = 256 << 10 // bytes

// Outcome is what became of one event of a batch.
type Outcome struct {
	Index     *uint64        `json:"index,omitempty"`     // the leaf that stands for it
	Duplicate bool           `json:"duplicate,omitempty"` // it was there already
	Problem   string         `json:"problem,omitempty"`   // it was refused: a kind of problem
	Detail    string         `json:"detail,omitempty"`    // why, for people
	Faults    []record.Fault `json:"faults,omitempty"`    // with pointers from the event's root
	SeenAfter time.Time      `json:"seenAfter,omitzero"`  // of a closing: when the customer was seen after it, from which on he is kept
}

// Taken is the answer to a batch of which nothing was refused.
type Taken struct {
	Events []Outcome `json:"events"` // one each, in the order in which they were sent
}

// addEvents takes a batch: one event a line. Each is taken or refused by itself, so that one
// that is malformed keeps no other back; the answer comes when what was taken is durable. Where
// any was refused it is 422, with what became of each all the same: to send the whole batch
// again, with that one mended, adds nothing twice.
func (s *Server) addEvents(x *request) error {
	if err := wantMedia(x.req, "application/jsonl", "application/x-ndjson", "application/json"); err != nil {
		return err
	}
	raw, err := x.body()
	if err != nil {
		return err
	}
	var lines [][]byte
	for line := range bytes.Lines(raw) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if len(lines) == private.MaxAdd {
			return private.ErrTooMany
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		return newProblem(problemMalformed, "there is no event in the body: want one a line, as JSON")
	}
	outcomes := make([]Outcome, len(lines))
	inputs, at := readEvents(x.client, lines, outcomes)
	results, err := x.log.AddChecked(x.req.Context(), inputs)
	if err != nil {
		return err
	}
	for i, r := range results {
		outcomes[at[i]] = outcomeOf(r)
	}
	return s.answerOutcomes(x, outcomes)
}

// decided are the events that are a person's decision, and no system's: a sign-up's key, stolen, releases no
// legal hold and waves no hit through.
var decided = []event.Kind{event.KindHeld, event.KindReleased, event.KindFlagged}

// readEvents parses events, on all processors. Those with faults have their outcome.
func readEvents(of Client, lines [][]byte, outcomes []Outcome) (inputs []event.Checked, at []int) {
	all, bad := make([]event.Checked, len(lines)), make([]bool, len(lines))
	read := func(i int) {
		if len(lines[i]) > maxEvent {
			bad[i], outcomes[i] = true, Outcome{Problem: string(problemTooLarge), Detail: fmt.Sprintf("the event is larger than %d bytes", maxEvent)}
			return
		}
		in, faults := event.ParseChecked(lines[i])
		if all[i] = in; len(faults) > 0 {
			bad[i], outcomes[i] = true, Outcome{Problem: string(problemInvalid), Detail: "the event breaks its schema", Faults: faults}
		} else if slices.Contains(decided, in.Kind()) && !of.may(Compliance) {
			bad[i], outcomes[i] = true, Outcome{Problem: string(problemForbidden), Detail: fmt.Sprintf("%s has not the role for %s: it takes %s", of.Name, in.Kind(), Compliance)}
		}
	}
	var wg sync.WaitGroup
	workers := max(1, min(runtime.GOMAXPROCS(0), len(lines)/64))
	for w := range workers {
		wg.Go(func() {
			for i := w * len(lines) / workers; i < (w+1)*len(lines)/workers; i++ {
				read(i)
			}
		})
	}
	wg.Wait()
	for i, in := range all {
		if !bad[i] {
			inputs, at = append(inputs, in), append(at, i)
		}
	}
	return inputs, at
}

func outcomeOf(r private.Result) Outcome {
	if r.Err != nil {
		p := problemOf(r.Err)
		return Outcome{Problem: string(p.kind), Detail: p.detail, Faults: p.faults}
	}
	return Outcome{Index: &r.Index, Duplicate: r.Duplicate, SeenAfter: r.SeenAfter}
}

func (s *Server) answerOutcomes(x *request, outcomes []Outcome) error {
	refused := 0
	for _, o := range outcomes {
		switch {
		case o.Problem != "":
			refused++
			s.metrics.events.WithLabelValues("refused").Inc()
		case o.Duplicate:
			s.metrics.events.WithLabelValues("duplicate").Inc()
		default:
			s.metrics.events.WithLabelValues("taken").Inc()
		}
	}
	if refused > 0 {
		return &problem{kind: problemInvalid, detail: fmt.Sprintf("%d of %d events were refused, and the others are in the log", refused, len(outcomes)), events: outcomes}
	}
	return x.answer(Taken{outcomes})
}

// wantMedia refuses a body that does not say that it is one of these: a form of some other
// site's page cannot.
func wantMedia(r *http.Request, types ...string) error {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	for _, t := range types {
		if err == nil && media == t {
			return nil
		}
	}
	return newProblem(problemMalformed, "Content-Type: want %s", types[0])
}

// body reads the whole body, within the limit.
func (x *request) body() ([]byte, error) {
	raw, err := io.ReadAll(http.MaxBytesReader(x, x.req.Body, int64(x.server.cfg.MaxBody)))
	var large *http.MaxBytesError
	if err != nil && !errors.As(err, &large) {
		return nil, newProblem(problemMalformed, "the body broke off")
	}
	return raw, err
}

// decode reads a body of one JSON object; an empty one leaves v as it is.
func (x *request) decode(v any) error {
	raw, err := x.body()
	if err != nil || len(bytes.TrimSpace(raw)) == 0 {
		return err
	}
	if err := wantMedia(x.req, "application/json"); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return newProblem(problemMalformed, "%v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return newProblem(problemMalformed, "there is something behind the JSON object")
	}
	return nil
}

// answer answers with a value as JSON.
func (x *request) answer(v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding the answer: %w", err)
	}
	x.Header().Set("Content-Type", "application/json")
	x.Write(append(body, '\n')) // an error means that the client is gone
	return nil
}
