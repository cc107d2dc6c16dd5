package wire

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

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

// CallError is why a call got none: *[UnreachableError], after which the same call may go
// through later, or *[RedirectError], after which it will not.
func CallError(err error) error {
	var elsewhere *RedirectError
	if errors.As(err, &elsewhere) {
		return elsewhere
	}
	return &UnreachableError{err}
}

// followSameHost is an [http.Client]'s CheckRedirect.
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
