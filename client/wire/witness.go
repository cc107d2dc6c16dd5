package wire

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// AddCheckpoint is the body of the add-checkpoint call (C2SP tlog-witness,
// "add-checkpoint"): a log asks a witness to cosign a checkpoint, and shows that it
// extends the one that the witness cosigned before.
type AddCheckpoint struct {
	Old  uint64       // the size that the witness cosigned last; 0 if none is known
	Path []proof.Hash // the consistency proof from Old to the checkpoint's size; at most proof.MaxProofHashes
	Note []byte       // the checkpoint, signed by the log
}

// ParseAddCheckpoint reads a body strictly: Format gives the same bytes. The
// checkpoint in it is not looked at, but for there being one.
func ParseAddCheckpoint(body []byte) (AddCheckpoint, error) {
	a, err := parseAddCheckpoint(body)
	if err != nil {
		return AddCheckpoint{}, fmt.Errorf("add-checkpoint: %w", err)
	}
	return a, nil
}

func parseAddCheckpoint(body []byte) (AddCheckpoint, error) {
	line, rest, ok := bytes.Cut(body, []byte("\n"))
	// SPEC: tlog-witness add-checkpoint: the first line is "old", one space and the old size
	number, isOld := bytes.CutPrefix(line, []byte("old "))
	if !ok || !isOld {
		return AddCheckpoint{}, errors.New("the first line is not \"old\", a space and a size")
	}
	old, err := parseSize(string(number))
	if err != nil {
		return AddCheckpoint{}, fmt.Errorf("old size: %w", err)
	}
	// SPEC: tlog-witness add-checkpoint: the body is the old size, the proof, an empty line and the checkpoint, in this order
	a := AddCheckpoint{Old: old}
	for {
		if line, rest, ok = bytes.Cut(rest, []byte("\n")); !ok {
			return AddCheckpoint{}, errors.New("no empty line before the checkpoint")
		}
		if len(line) == 0 {
			break
		}
		// SPEC: tlog-witness add-checkpoint: no client sends more than 63 proof lines, so none are read
		if len(a.Path) == proof.MaxProofHashes {
			return AddCheckpoint{}, fmt.Errorf("more than %d proof lines", proof.MaxProofHashes)
		}
		// SPEC: tlog-witness add-checkpoint: a proof line is one hash in base64
		h, err := proof.ParseHash(string(line))
		if err != nil {
			return AddCheckpoint{}, fmt.Errorf("proof line %d: %w", len(a.Path)+1, err)
		}
		a.Path = append(a.Path, h)
	}
	// SPEC: tlog-witness add-checkpoint: each line ends in a newline
	if len(rest) == 0 || rest[len(rest)-1] != '\n' {
		return AddCheckpoint{}, errors.New("no checkpoint after the empty line, or it lacks its last newline")
	}
	a.Note = rest
	return a, nil
}

// Format writes the body.
func (a AddCheckpoint) Format() []byte {
	// SPEC: tlog-witness add-checkpoint: the body is the old size, the proof, an empty line and the checkpoint, in this order
	b := fmt.Appendf(nil, "old %d\n", a.Old)
	for _, h := range a.Path {
		b = append(append(b, h.String()...), '\n')
	}
	return append(append(b, '\n'), a.Note...)
}

// parseSize reads a tree size: an ASCII decimal without leading zeros.
func parseSize(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	// SPEC: tlog-witness add-checkpoint: a size is a decimal without leading zeros, and zero is 0
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("%.32q is not a decimal number below 2^64 without leading zeros", s)
	}
	return n, nil
}

// Bounds of what a witness may answer, in bytes.
const (
	maxCosignatures = 64 << 10
	maxEvidence     = 2*proof.MaxNoteBytes + 16<<10
	maxEvidenceList = 1 << 20 // of one page
	maxEvidenceIDs  = 1 << 16
)

// SizeMediaType is the media type of the answer 409 (C2SP tlog-witness, "add-checkpoint").
const SizeMediaType = "text/x.tlog.size"

// Witness makes the calls of one witness, by the C2SP tlog-witness API, and those by
// which witnesses of this project pass evidence on. It verifies no signature.
type Witness struct {
	base *url.URL
	http *http.Client
}

// NewWitness calls the witness whose submission or monitoring prefix is base,
// through transport (http.DefaultTransport if nil). Deadlines are the caller's; none
// exceeds a minute. A redirection is not followed: a prefix is what the operator said.
func NewWitness(base string, transport http.RoundTripper) (*Witness, error) {
	u, err := ParseBase(base)
	if err != nil {
		return nil, fmt.Errorf("a witness's %w", err)
	}
	return &Witness{base: u, http: &http.Client{
		Transport:     transport,
		Timeout:       time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// URL is the prefix of every call.
func (w *Witness) URL() string { return w.base.String() }

// ConflictError is a witness's 409: the last checkpoint that it cosigned of that log has
// this size. It is only a claim.
type ConflictError struct{ Size uint64 }

func (c *ConflictError) Error() string {
	return fmt.Sprintf("the witness stands at size %d", c.Size)
}

// AddCheckpoint asks for cosignatures and returns the lines as the witness sent
// them: at least one, not verified, by keys known or not. Errors: [ConflictError],
// [StatusError], [UnreachableError], or the answer is malformed.
func (w *Witness) AddCheckpoint(ctx context.Context, a AddCheckpoint) ([]proof.Signature, error) {
	// SPEC: tlog-witness add-checkpoint: the call is an HTTP POST
	lines, err := w.call(ctx, http.MethodPost, "add-checkpoint", a.Format(), maxCosignatures)
	if err != nil {
		return nil, fmt.Errorf("asking %s to cosign: %w", w.base.Host, err)
	}
	sigs, err := proof.ParseSignatures(lines)
	if err != nil {
		return nil, fmt.Errorf("asking %s to cosign: %w", w.base.Host, err)
	}
	return sigs, nil
}

// Checkpoint fetches the newest checkpoint that the witness shows of a log, with its
// cosignatures, unverified ("Monitor Retrieval Mechanism"). [IsNotFound]: it never
// cosigned one.
func (w *Witness) Checkpoint(ctx context.Context, origin string) ([]byte, error) {
	// SPEC: tlog-witness Monitor Retrieval Mechanism: the call is an HTTP GET
	note, err := w.call(ctx, http.MethodGet, OriginHash(origin)+"/checkpoint", nil, maxCheckpoint)
	if err != nil {
		return nil, fmt.Errorf("asking %s for its checkpoint of %s: %w", w.base.Host, origin, err)
	}
	return note, nil
}

// OriginHash names a log in the monitoring path: lower-case hex SHA-256 of its origin.
func OriginHash(origin string) string {
	// SPEC: tlog-witness Monitor Retrieval Mechanism: the path has the lower-case hexadecimal SHA-256 of the origin
	sum := sha256.Sum256([]byte(origin))
	return hex.EncodeToString(sum[:])
}

// AddSeenCheckpoint shows the witness a checkpoint that was seen elsewhere, for it to compare.
func (w *Witness) AddSeenCheckpoint(ctx context.Context, note []byte) error {
	if _, err := w.call(ctx, http.MethodPost, "v1/checkpoints", note, maxErrorBody); err != nil {
		return fmt.Errorf("handing a checkpoint to %s: %w", w.base.Host, err)
	}
	return nil
}

// AddEvidence passes an evidence file on. The witness judges it for itself.
func (w *Witness) AddEvidence(ctx context.Context, file []byte) error {
	if _, err := w.call(ctx, http.MethodPost, "v1/evidence", file, maxErrorBody); err != nil {
		return fmt.Errorf("passing evidence to %s: %w", w.base.Host, err)
	}
	return nil
}

// ListEvidence lists the evidence that the witness keeps, page after page, in order.
func (w *Witness) ListEvidence(ctx context.Context) (ids []string, err error) {
	for after := ""; ; {
		list, err := w.call(ctx, http.MethodGet, "v1/evidence"+after, nil, maxEvidenceList)
		if err != nil {
			return nil, fmt.Errorf("asking %s for its evidence: %w", w.base.Host, err)
		}
		had := len(ids)
		for _, id := range strings.Fields(string(list)) {
			if !isEvidenceID(id) {
				return nil, fmt.Errorf("asking %s for its evidence: %.80q is no name of a file", w.base.Host, id)
			}
			if len(ids) == 0 || id > ids[len(ids)-1] {
				ids = append(ids, id)
			}
		}
		switch {
		case len(ids) == had: // the page after the last, or of a witness that knows no pages
			return ids, nil
		case len(ids) > maxEvidenceIDs:
			return nil, fmt.Errorf("asking %s for its evidence: it lists more than %d pieces", w.base.Host, maxEvidenceIDs)
		}
		after = "?after=" + ids[len(ids)-1]
	}
}

// Evidence fetches one evidence file, unverified.
func (w *Witness) Evidence(ctx context.Context, id string) ([]byte, error) {
	if !isEvidenceID(id) {
		return nil, fmt.Errorf("%.80q is no name of evidence: want 64 lower-case hex digits", id)
	}
	file, err := w.call(ctx, http.MethodGet, "v1/evidence/"+id, nil, maxEvidence)
	if err != nil {
		return nil, fmt.Errorf("asking %s for the evidence %s: %w", w.base.Host, id, err)
	}
	return file, nil
}

func isEvidenceID(id string) bool {
	raw, err := hex.DecodeString(id)
	return err == nil && len(raw) == sha256.Size && strings.ToLower(id) == id
}

// call makes one request and returns the bounded body of a 2xx answer.
func (w *Witness) call(ctx context.Context, method, path string, body []byte, limit int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, w.base.String()+"/"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	MarkIdempotent(req)
	res, err := w.http.Do(req)
	if err != nil {
		return nil, &UnreachableError{err}
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusConflict {
		return nil, readConflict(res)
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return nil, ReadStatus(res)
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err != nil {
		return nil, &UnreachableError{err}
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("the answer is longer than %d bytes", limit)
	}
	return data, nil
}

// readConflict reads the size of a 409. One of another form is a [StatusError] like any
// other: some witnesses answer so to two roots of one size.
func readConflict(res *http.Response) error {
	s := ReadStatus(res)
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	line, ok := bytes.CutSuffix(s.Body, []byte("\n"))
	size, err := parseSize(string(line))
	if !ok || err != nil || media != SizeMediaType {
		return s
	}
	return &ConflictError{Size: size}
}

// IsRefusal reports whether an error is a witness's definite refusal, which repeating
// the same request will not change.
func IsRefusal(err error) bool {
	var s *StatusError
	return errors.As(err, &s) && s.Code >= 400 && !s.Retryable()
}
