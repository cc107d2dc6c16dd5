package witness

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness/gossip"
)

// Bounds of what is read, in bytes. A request holds 63 proof lines, and a checkpoint
// with the 16 signatures of nearly 5 kB that signed-note wants to be possible. What a client
// was shown bears the cosignatures of all witnesses; evidence is two such notes, and hashes.
const (
	MaxRequest  = 128 << 10
	MaxSeen     = proof.MaxNoteBytes
	MaxEvidence = 2*proof.MaxNoteBytes + 16<<10
)

// Handler is the witness's HTTP handler, below whatever prefix the caller strips; one
// prefix for submission and monitoring:
//
//	POST /add-checkpoint           tlog-witness
//	GET  /<origin hash>/checkpoint tlog-witness, "Monitor Retrieval Mechanism"
//	POST /v1/checkpoints           takes a checkpoint that a client was shown: 200
//	                               compared, 202 to be compared; the body says more
//	GET  /v1/evidence              the IDs of the evidence kept, one a line, in order: the
//	                               first 1,000, or limit=; those behind after=; a Link
//	                               to the next page if there is one
//	GET  /v1/evidence/<id>         one evidence file
//	POST /v1/evidence              takes evidence: 201 new, 200 known, its ID
//
// A log's new checkpoints, and what others submit of it, have rate limits: 429 with
// Retry-After beyond them. Errors are one line of text that says what to do. TLS,
// timeouts and connections are the caller's http.Server.
func (w *Witness) Handler() http.Handler {
	mux := http.NewServeMux()
	// SPEC: tlog-witness add-checkpoint: the call is an HTTP POST
	mux.HandleFunc("POST /add-checkpoint", w.wrap(w.postCheckpoint))
	// SPEC: tlog-witness Monitor Retrieval Mechanism: the call is an HTTP GET
	mux.HandleFunc("GET /{hash}/checkpoint", w.wrap(w.getCheckpoint))
	mux.HandleFunc("POST /v1/checkpoints", w.wrap(w.postSeen))
	mux.HandleFunc("POST /v1/evidence", w.wrap(w.postEvidence))
	mux.HandleFunc("GET /v1/evidence", w.wrap(w.listEvidence))
	mux.HandleFunc("GET /v1/evidence/{id}", w.wrap(w.getEvidence))
	return mux
}

// response is what a call says.
type response struct {
	status       int
	contentType  string // text/plain if empty
	cacheControl string // Cache-Control; no-store if empty
	body         []byte
}

// wrap turns a call into a handler: decode, call, encode.
func (w *Witness) wrap(call func(http.ResponseWriter, *http.Request) (response, error)) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		a, err := call(rw, r)
		if err != nil {
			a = w.errorResponse(rw, r, err)
		}
		if a.contentType == "" {
			a.contentType = "text/plain; charset=utf-8"
		}
		if a.cacheControl == "" {
			a.cacheControl = "no-store"
		}
		h := rw.Header()
		h.Set("Content-Type", a.contentType)
		h.Set("Cache-Control", a.cacheControl)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
		rw.WriteHeader(a.status)
		rw.Write(a.body)
	}
}

func (w *Witness) postCheckpoint(rw http.ResponseWriter, r *http.Request) (response, error) {
	body, err := readBody(rw, r, MaxRequest)
	if err != nil {
		return response{}, err
	}
	a, err := wire.ParseAddCheckpoint(body)
	if err != nil {
		return response{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	sigs, err := w.Cosign(r.Context(), a)
	if err != nil {
		return response{}, err
	}
	var lines []byte
	// SPEC: tlog-witness add-checkpoint: the answer is one signature line or more
	for _, s := range sigs {
		lines = append(lines, s.Line()...)
	}
	return response{status: http.StatusOK, body: lines}, nil
}

func (w *Witness) getCheckpoint(_ http.ResponseWriter, r *http.Request) (response, error) {
	note, err := w.latestByHash(r.Context(), r.PathValue("hash"))
	if err != nil {
		return response{}, err
	}
	return response{status: http.StatusOK, body: note, cacheControl: "no-cache"}, nil
}

func (w *Witness) postSeen(rw http.ResponseWriter, r *http.Request) (response, error) {
	note, err := readBody(rw, r, MaxSeen)
	if err != nil {
		return response{}, err
	}
	result, err := w.AddSeenCheckpoint(r.Context(), note)
	if err != nil {
		return response{}, err
	}
	status := http.StatusOK
	if result == gossip.NotYetCompared || result == gossip.AheadOfKnown || result == gossip.CoveredByLarger {
		status = http.StatusAccepted
	}
	return response{status: status, body: []byte(result + "\n")}, nil
}

func (w *Witness) postEvidence(rw http.ResponseWriter, r *http.Request) (response, error) {
	file, err := readBody(rw, r, MaxEvidence)
	if err != nil {
		return response{}, err
	}
	e, err := proof.ParseEvidence(file)
	if err != nil {
		return response{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	id, isNew, err := w.AcceptEvidence(r.Context(), e)
	if err != nil {
		return response{}, err
	}
	a := response{status: http.StatusOK, body: []byte(id + "\n")}
	if isNew {
		rw.Header().Set("Location", "evidence/"+id) // relative: the prefix is not known here
		a.status = http.StatusCreated
	}
	return a, nil
}

// maxPage is how many IDs one answer lists.
const maxPage = 1000

func (w *Witness) listEvidence(rw http.ResponseWriter, r *http.Request) (response, error) {
	after, limit := r.FormValue("after"), maxPage
	if after != "" && !gossip.IsEvidenceID(after) {
		return response{}, fmt.Errorf("%w: after=%.80q is not 64 lower-case hex digits", ErrMalformed, after)
	}
	if text := r.FormValue("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxPage {
			return response{}, fmt.Errorf("%w: limit=%.80q is not 1 to %d", ErrMalformed, text, maxPage)
		}
		limit = n
	}
	page, more := w.gossip.EvidenceIDs(after, limit)
	var ids []byte
	for _, id := range page {
		ids = append(ids, id+"\n"...)
	}
	if more {
		next := fmt.Sprintf("evidence?after=%s&limit=%d", page[len(page)-1], limit) // relative: the prefix is not known here
		rw.Header().Set("Link", "<"+next+`>; rel="next"`)
	}
	return response{status: http.StatusOK, body: ids}, nil
}

func (w *Witness) getEvidence(_ http.ResponseWriter, r *http.Request) (response, error) {
	k, err := w.gossip.Evidence().Load(r.PathValue("id"))
	return response{status: http.StatusOK, body: k.File, cacheControl: "public, max-age=31536000, immutable"}, err
}

// readBody reads a whole body of at most limit bytes. The rest of a longer one is
// not read: the connection is closed.
func readBody(rw http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		rw.Header().Set("Connection", "close")
		return nil, &http.MaxBytesError{Limit: limit}
	}
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, limit))
	var over *http.MaxBytesError
	if err != nil && !errors.As(err, &over) {
		return nil, fmt.Errorf("%w: reading the body: %w", ErrMalformed, err)
	}
	return body, err
}

// errorResponse is the one place where an error becomes an answer. What went wrong in here
// goes to the log, not to the client.
func (w *Witness) errorResponse(rw http.ResponseWriter, r *http.Request, err error) response {
	var stale *ConflictError
	if errors.As(err, &stale) {
		// SPEC: tlog-witness add-checkpoint: the body of a 409 is the latest cosigned size in decimal and a newline, as text/x.tlog.size
		return response{status: http.StatusConflict, contentType: wire.SizeMediaType, body: fmt.Appendf(nil, "%d\n", stale.Size)}
	}
	status, words := statusOf(err), err.Error()
	var slow *gossip.RateError
	switch {
	case errors.As(err, &slow):
		rw.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(slow.After.Seconds()))))
	case errors.Is(err, ErrLookingUp):
		rw.Header().Set("Retry-After", "5")
	case status == http.StatusServiceUnavailable:
		rw.Header().Set("Retry-After", strconv.Itoa(int(time.Minute.Seconds())))
	case status == http.StatusInternalServerError:
		w.log.Error("a request was not answered", "path", r.Pattern, "err", err)
		if words = "internal error; see the witness's log"; disk.Damaged(err) {
			words = "what this needs lies on a damaged part of the witness's disk; its operator has to act, and its log says what was found"
		}
	}
	return response{status: status, body: []byte(words + "\n")}
}

// statusOf is the status code of an error (tlog-witness "add-checkpoint").
func statusOf(err error) int {
	var (
		stale  *ConflictError
		slow   *gossip.RateError
		halted *HaltedError
		over   *http.MaxBytesError
		forged *proof.SignatureError
		none   *proof.LogSignatureError
	)
	switch {
	case err == nil:
		return http.StatusOK
	case errors.As(err, &over):
		return http.StatusRequestEntityTooLarge
	case errors.As(err, &stale):
		return http.StatusConflict
	case errors.As(err, &slow):
		return http.StatusTooManyRequests
	// SPEC: tlog-witness add-checkpoint: no signature by a trusted key, or one that claims to be and fails, is answered 403
	case errors.As(err, &halted), errors.Is(err, ErrUntrusted), errors.As(err, &forged), errors.As(err, &none):
		return http.StatusForbidden
	// SPEC: tlog-witness add-checkpoint: an unknown origin is answered 404
	case errors.Is(err, ErrUnknownLog), errors.Is(err, gossip.ErrNoSuchEvidence), errors.Is(err, ErrNoCheckpoint):
		return http.StatusNotFound
	case errors.Is(err, ErrMalformed), errors.Is(err, ErrOldTooLarge):
		return http.StatusBadRequest
	case errors.Is(err, ErrInconsistent), errors.Is(err, proof.ErrNoEvidence):
		return http.StatusUnprocessableEntity
	case errors.Is(err, gossip.ErrPendingFull), errors.Is(err, ErrLookingUp), errors.Is(err, ErrNoRoom), errors.Is(err, ErrBroken), canceled(err):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
