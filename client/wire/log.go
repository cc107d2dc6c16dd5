// Package wire makes the C2SP calls over HTTP: it fetches checkpoints, tiles and entry
// bundles of any C2SP log. It verifies nothing and checks only syntax and sizes;
// callers verify the content.
package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Bounds of what a log may answer, in bytes.
const (
	maxCheckpoint = proof.MaxNoteBytes
	maxTile       = proof.TileWidth * 32
	maxBundle     = proof.TileWidth * (2 + 1<<16 - 1)
	maxErrorBody  = 16 << 10
)

// maxRetryAfter bounds the pause that a server may name: no caller waits for as long, and sums
// with one of centuries overflow.
const maxRetryAfter = 30 * 24 * time.Hour

// maxParallel is how many requests one call has in flight.
const maxParallel = 8

// Log reads one log by the C2SP tlog-tiles API.
type Log struct{ servers *Servers }

// NewLog reads the log whose URL prefix is base, through transport
// (http.DefaultTransport if nil).
func NewLog(base string, transport http.RoundTripper) (*Log, error) {
	s, err := NewServers(transport, base)
	if err != nil {
		return nil, err
	}
	return LogAt(s), nil
}

// LogAt reads the log that these servers have.
func LogAt(s *Servers) *Log { return &Log{s} }

// ParseBase reads the URL of a server: http or https, no query, no fragment.
func ParseBase(base string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSuffix(base, "/"))
	switch {
	case err != nil && strings.Contains(base, "://"):
		return nil, fmt.Errorf("URL: %w", err)
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, fmt.Errorf("URL %q: want http://host or https://host", base)
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return nil, fmt.Errorf("URL %q: want no user, query or fragment", base)
	}
	return u, nil
}

// URL is the prefix of every call, of several that of the server which is asked first.
func (l *Log) URL() string { return l.servers.URL() }

// askFor makes a call to one of the servers. What one of them does not have, or withholds, a
// mirror may have.
func askFor[T any](ctx context.Context, l *Log, call func(*Log) (T, error)) (v T, err error) {
	err = l.servers.Ask(ctx, Lacks, func(one *Servers) error {
		v, err = call(LogAt(one))
		return err
	})
	return v, err
}

// maxBusy bounds how long a part of the tree is asked for of servers that are busy.
const maxBusy = 30 * time.Second

// askForPart is [askFor] of a part of the tree, which stays what it is: a server that is busy
// and says for how long is asked again then, so that a long read does not end at its worst moment.
// Where others are left to be asked, they are.
func askForPart[T any](ctx context.Context, l *Log, call func(*Log) (T, error)) (v T, err error) {
	for begun := time.Now(); ; {
		v, err = askFor(ctx, l, call)
		var busy *StatusError
		if !errors.As(err, &busy) || !busy.Retryable() || busy.RetryAfter == 0 || l.servers.rest > 0 || time.Since(begun)+busy.RetryAfter > maxBusy {
			return v, err
		}
		select {
		case <-time.After(busy.RetryAfter):
		case <-ctx.Done():
			return v, ctx.Err()
		}
	}
}

// Lacks says of an error that a server does not have what was asked for, or withholds it:
// another may have it.
func Lacks(err error) bool {
	var s *StatusError
	return errors.As(err, &s) && LacksStatus(s.Code)
}

// LacksStatus is [Lacks] of a status code.
func LacksStatus(code int) bool {
	switch code {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone, http.StatusNotImplemented, http.StatusUnavailableForLegalReasons:
		return true
	}
	return false
}

// Checkpoint fetches the newest signed note that the log shows, unverified.
func (l *Log) Checkpoint(ctx context.Context) ([]byte, error) {
	return askFor(ctx, l, func(l *Log) ([]byte, error) { return l.fetch(ctx, "checkpoint", maxCheckpoint) })
}

// CheckpointAt fetches the newest checkpoint that a quorum of witnesses had cosigned
// at a moment, unverified: GET /v1/checkpoints?at=T, which ledgers of this project have
// beside the C2SP calls. [IsNotFound]: none is so old, or the log keeps none.
func (l *Log) CheckpointAt(ctx context.Context, t time.Time) ([]byte, error) {
	path := "v1/checkpoints?at=" + url.QueryEscape(t.UTC().Format(time.RFC3339))
	return askFor(ctx, l, func(l *Log) ([]byte, error) { return l.fetch(ctx, path, maxCheckpoint) })
}

// Snapshot fetches the manifest of the newest snapshot of a register, unverified: GET
// /v1/snapshot, which nodes of this project may have beside the C2SP calls.
func (l *Log) Snapshot(ctx context.Context, limit int64) ([]byte, error) {
	return l.fetch(ctx, "v1/snapshot", limit)
}

// Tiles fetches tiles, in parallel, each exactly as wide as asked. A log may have
// dropped a partial tile once the full one exists; then the full one is fetched
// and cut (C2SP tlog-tiles, "Partial Tiles"). The error is that of the first tile, in the
// order asked, that failed: calls under way are not cancelled for another's failure, so
// that what is asked does not depend on which answer comes first.
func (l *Log) Tiles(ctx context.Context, ids []proof.TileID) ([][]byte, error) {
	tiles, errs := make([][]byte, len(ids)), make([]error, len(ids))
	var failed atomic.Bool
	var g errgroup.Group
	g.SetLimit(maxParallel)
	for i, id := range ids {
		if i >= maxParallel && failed.Load() {
			break
		}
		g.Go(func() error {
			tiles[i], errs[i] = askForPart(ctx, l, func(l *Log) ([]byte, error) { return l.tile(ctx, id) })
			if errs[i] != nil {
				failed.Store(true)
			}
			return nil
		})
	}
	g.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return tiles, nil
}

func (l *Log) tile(ctx context.Context, id proof.TileID) ([]byte, error) {
	data, err := l.fetch(ctx, id.Path(), maxTile)
	if IsNotFound(err) && id.Width < proof.TileWidth {
		data, err = l.fetch(ctx, id.Full().Path(), maxTile)
		data = data[:min(len(data), id.Width*32)]
	}
	if err != nil {
		return nil, l.missing(id.Path(), err)
	}
	// SPEC: tlog-tiles Merkle Tree: a full tile has 256 hashes
	if len(data) != id.Width*32 {
		return nil, l.malformed(id.Path(), fmt.Errorf("%d bytes, want %d", len(data), id.Width*32))
	}
	return data, nil
}

// Bundle fetches the entries of one bundle, as many as its width says.
func (l *Log) Bundle(ctx context.Context, id proof.EntryBundleID) ([][]byte, error) {
	return askForPart(ctx, l, func(l *Log) ([][]byte, error) { return l.bundle(ctx, id) })
}

func (l *Log) bundle(ctx context.Context, id proof.EntryBundleID) ([][]byte, error) {
	data, err := l.fetch(ctx, id.Path(), maxBundle)
	width := id.Width
	if IsNotFound(err) && width < proof.TileWidth {
		width = proof.TileWidth
		data, err = l.fetch(ctx, id.Full().Path(), maxBundle)
	}
	if err != nil {
		return nil, l.withheld(id.Index*proof.TileWidth, id.Path(), l.missing(id.Path(), err))
	}
	entries, err := proof.ParseEntryBundle(data, width)
	if err != nil {
		return nil, l.malformed(id.Path(), err)
	}
	return entries[:id.Width], nil
}

// maxEntry bounds an entry, in bytes, by what a bundle's length prefix can say.
const maxEntry = 1<<16 - 1

// Entry fetches one entry, unverified: GET /v1/entries/{index}, which ledgers of this project
// have beside the C2SP calls. A *[WithheldError] names the index.
func (l *Log) Entry(ctx context.Context, index uint64) ([]byte, error) {
	return askFor(ctx, l, func(l *Log) ([]byte, error) { return l.entry(ctx, index) })
}

func (l *Log) entry(ctx context.Context, index uint64) ([]byte, error) {
	path := "v1/entries/" + strconv.FormatUint(index, 10)
	data, err := l.fetch(ctx, path, maxEntry)
	if err != nil {
		return nil, l.withheld(index, path, l.missing(path, err))
	}
	return data, nil
}

// WithheldError is a server that withholds an entry, or a bundle in which one is: 451, RFC
// 7725. The log is not at fault; another source may have it.
type WithheldError struct {
	URL    string // of the server
	Index  uint64 // of the entry; of a bundle's first, where it need not be that one
	Reason string // in the server's words, unverified
	Err    error  // the answer
}

func (e *WithheldError) Error() string {
	return fmt.Sprintf("entry %d is withheld by %s: %s", e.Index, e.URL, e.Reason)
}

func (e *WithheldError) Unwrap() error { return e.Err }

// withheld makes the server's 451 one.
func (l *Log) withheld(index uint64, path string, err error) error {
	var s *StatusError
	if !errors.As(err, &s) || s.Code != http.StatusUnavailableForLegalReasons {
		return err
	}
	w := &WithheldError{URL: l.URL(), Index: index, Reason: "it gives no reason", Err: s}
	var p struct {
		Detail   string
		Withheld []struct{ Reason, Order string }
	}
	if json.Unmarshal(s.Body, &p) == nil && len(p.Withheld) > 0 && p.Withheld[0].Reason != "" {
		w.Reason = p.Withheld[0].Reason
		if order := p.Withheld[0].Order; order != "" {
			w.Reason += " (ordered by " + order + ")"
		}
	} else if p.Detail != "" {
		w.Reason = p.Detail
	}
	return w
}

func (l *Log) fetch(ctx context.Context, path string, limit int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.URL()+"/"+path, nil)
	if err != nil {
		return nil, fmt.Errorf("asking for /%s: %w", path, err)
	}
	res, err := l.servers.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking for /%s: %w", path, CallError(err))
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking for /%s: %w", path, ReadStatus(res))
	}
	if err := CheckNoPage(res); err != nil {
		return nil, l.malformed(path, err)
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading /%s: %w", path, &UnreachableError{err})
	}
	if int64(len(data)) > limit {
		return nil, l.malformed(path, fmt.Errorf("longer than %d bytes", limit))
	}
	return data, nil
}

// MalformedError is an answer that is not of the shape that was asked for. No log signs
// shapes: whoever handed it out is at fault, be it a mirror, a proxy or a page to log in.
type MalformedError struct {
	URL, Path string // the prefix of every call, and what was asked for below it
	Err       error
}

func (e *MalformedError) Error() string {
	return fmt.Sprintf("what %s hands out as /%s is none: %v: a fault of this source, not of the log", e.URL, e.Path, e.Err)
}

func (e *MalformedError) Unwrap() error { return e.Err }

func (l *Log) malformed(path string, err error) error {
	return &MalformedError{URL: l.URL(), Path: path, Err: err}
}

// MissingError is a tile or a bundle of entries that the tree has and a source does not
// show: a mirror that is not whole, or that is brought up to date just then.
type MissingError struct {
	URL, Path string // as in a [MalformedError]
	Err       error  // the server's answer
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s does not have /%s, which a log of the size that it shows has: %v", e.URL, e.Path, e.Err)
}

func (e *MissingError) Unwrap() error { return e.Err }

// missing makes the server's 404 of a part of the tree one.
func (l *Log) missing(path string, err error) error {
	var s *StatusError
	if errors.As(err, &s) && s.Code == http.StatusNotFound {
		return &MissingError{URL: l.URL(), Path: path, Err: s}
	}
	return err
}

// UnreachableError is a call that got no whole answer; the same call may go through later.
type UnreachableError struct{ Err error }

// Error omits the request, which the caller's message names.
func (u *UnreachableError) Error() string {
	var call *url.Error
	var dial *net.OpError
	var why syscall.Errno
	switch {
	case errors.As(u.Err, &dial) && dial.Op == "dial" && errors.As(dial, &why):
		return fmt.Sprintf("no connection to %s: %v", dial.Addr, why)
	case errors.As(u.Err, &call) && call.Timeout():
		return "no answer in time"
	case errors.As(u.Err, &call):
		return call.Err.Error()
	}
	return u.Err.Error()
}

func (u *UnreachableError) Unwrap() error { return u.Err }

// StatusError is an answer that is not the one hoped for.
type StatusError struct {
	Code       int
	RetryAfter time.Duration // 0 if the server named none; at most 30 days
	Body       []byte        // bounded; problem+json as a rule
}

func (s *StatusError) Error() string {
	words := fmt.Sprintf("the server answered %d %s", s.Code, http.StatusText(s.Code))
	if _, detail := s.Problem(); detail != "" {
		words += ": " + detail
	} else if line := s.firstLine(); line != "" {
		words += fmt.Sprintf(": %.200q", line)
	}
	return words
}

// firstLine is what a body of plain text says first; empty if it is a page or JSON.
func (s *StatusError) firstLine() string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(s.Body)), "\n")
	if strings.HasPrefix(line, "<") || strings.HasPrefix(line, "{") {
		return ""
	}
	return line
}

// Problem is the type and the detail that the body has (RFC 9457 section 3.1), in the
// server's words; empty where it says none.
func (s *StatusError) Problem() (kind, detail string) {
	var p struct{ Type, Detail string }
	if json.Unmarshal(s.Body, &p) != nil {
		return "", ""
	}
	return p.Type, p.Detail
}

// Retryable tells whether the same call may be answered later.
func (s *StatusError) Retryable() bool {
	return s.Code >= 500 || s.Code == http.StatusTooManyRequests
}

// ReadStatus reads the bounded body of an unwelcome answer.
func ReadStatus(res *http.Response) *StatusError {
	body, _ := io.ReadAll(io.LimitReader(res.Body, maxErrorBody))
	s := &StatusError{Code: res.StatusCode, Body: body}
	if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && seconds > 0 {
		s.RetryAfter = time.Duration(min(seconds, int(maxRetryAfter/time.Second))) * time.Second
	}
	return s
}

// IsNotFound tells whether an error is the server's 404.
func IsNotFound(err error) bool {
	var s *StatusError
	return errors.As(err, &s) && s.Code == http.StatusNotFound
}

// NewHTTP makes the client of every call to a log or a ledger, through transport
// (http.DefaultTransport if nil). A call takes a minute at most. A redirection is followed
// only at the same host, never from https to http, and never to another method: whose
// answer is wanted is what the caller said, not what a server says. Otherwise the error is
// a [RedirectError].
func NewHTTP(transport http.RoundTripper) *http.Client {
	return &http.Client{Transport: transport, Timeout: time.Minute, CheckRedirect: followSameHost}
}

// RedirectError is a redirection that was not followed.
type RedirectError struct{ From, To string }

func (e *RedirectError) Error() string {
	return fmt.Sprintf("%s sends on to %s, which was not asked", e.From, e.To)
}

// PageError is a web page in the place of an answer.
type PageError struct{ From string }

func (e *PageError) Error() string { return e.From + " answered with a web page" }

// CheckNoPage refuses a web page, as a proxy before the server or a network's login page
// sends it with status 200: no log answers so. The error is a *[PageError].
func CheckNoPage(res *http.Response) error {
	if media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); media == "text/html" {
		return &PageError{From: res.Request.URL.Host}
	}
	return nil
}

// CallError is why a call got none: *[UnreachableError], after which the same call may go
// through later, or *[RedirectError], after which it will not.
func CallError(err error) error {
	var elsewhere *RedirectError
	if errors.As(err, &elsewhere) {
		return elsewhere
	}
	return &UnreachableError{err}
}

// followSameHost is an [http.Client]'s CheckRedirect. It follows at most three
// redirections, only on the same host and with the same method.
func followSameHost(next *http.Request, via []*http.Request) error {
	last := via[len(via)-1]
	if next.URL.Host != last.URL.Host || next.URL.Scheme != last.URL.Scheme && next.URL.Scheme != "https" || next.Method != last.Method {
		return &RedirectError{From: last.URL.Host, To: next.URL.Scheme + "://" + next.URL.Host}
	}
	if len(via) >= 3 {
		return errors.New("the server sends on and on")
	}
	return nil
}

// MarkIdempotent lets net/http send a POST again where the server closed the connection
// before it read that, as one that bounds its idle connections may: here whatever is sent
// twice is taken once. The empty header is not sent ([http.Transport]).
func MarkIdempotent(r *http.Request) { r.Header["Idempotency-Key"] = nil }
