package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Servers are the URLs at which one log is served: by its writer, the one that stands by,
// replicas, mirrors. [Servers.Ask] asks one of them, and goes on with another where that one
// is away. Whom it asks it stays with for as long as that one answers.
//
// What is wrong is no reason to ask another: a fork, or a bad signature, is returned as it
// came, since it is evidence, and another server's answer would hide it.
type Servers struct {
	// OnSwitch is told, once for each time, that from is away, why, and that to is asked from
	// now on. It is set before the first call; may be nil.
	OnSwitch func(from, to string, why error)

	http  *http.Client
	bases []*url.URL
	rest  int      // of a single one that is asked for many: how many are left if it is away
	whole *Servers // of such a one: the many

	mu      sync.Mutex // guards what is below
	current int        // whom to ask first
	away    []absence
}

// absence is since when a server is away, and why. Zero: it is not, as far as is known.
type absence struct {
	since time.Time
	why   error
}

// lasts says that it is to be asked last.
func (a absence) lasts() bool { return a.why != nil && time.Since(a.since) < awayFor }

const (
	// patience is how long a server may say nothing before another is asked: longer than a
	// ledger keeps a submitter waiting for its quorum.
	patience = 15 * time.Second
	// awayFor is how long one that was away is asked last.
	awayFor = 30 * time.Second
)

// NewServers are those URLs, the one to ask first first, through transport
// (http.DefaultTransport if nil). A URL that comes twice counts once.
func NewServers(transport http.RoundTripper, bases ...string) (*Servers, error) {
	s := &Servers{http: NewHTTP(transport)}
	for _, base := range bases {
		u, err := ParseBase(base)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(s.bases, func(b *url.URL) bool { return b.String() == u.String() }) {
			s.bases = append(s.bases, u)
		}
	}
	if len(s.bases) == 0 {
		return nil, errors.New("no URL of a server is given")
	}
	s.away = make([]absence, len(s.bases))
	return s, nil
}

// ServerOver is one server that transport alone reaches, whatever kind of URL it has: what
// speaks no HTTP can be read through a transport that answers in its place.
func ServerOver(transport http.RoundTripper, at *url.URL) *Servers {
	return &Servers{http: NewHTTP(transport), bases: []*url.URL{at}, away: make([]absence, 1)}
}

// URL is the prefix of every call to the server that is asked first now.
func (s *Servers) URL() string { return s.first().String() }

func (s *Servers) first() *url.URL {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bases[s.current]
}

// URLs are those of all, as they were given.
func (s *Servers) URLs() (urls []string) {
	for _, b := range s.bases {
		urls = append(urls, b.String())
	}
	return urls
}

// Whole are all servers, where s is one of them that an attempt of [Servers.Ask] was given.
func (s *Servers) Whole() *Servers {
	if s.whole != nil {
		return s.whole
	}
	return s
}

// Ask makes an attempt at one server after the other, until one has an answer, which is its
// outcome, an error or not. One is given to attempt alone. An error that has a method
// Elsewhere() bool and returns true there says that this server is away: out of reach, busy,
// failing, or behind. If all are, the error is an [*AwayError].
//
// Of what one lacks, as lacks says of an error (nil: no error is of that kind), another is
// asked too, but nobody is left for it; if none has it, the first one's answer counts.
func (s *Servers) Ask(ctx context.Context, lacks func(error) bool, attempt func(one *Servers) error) error {
	if len(s.bases) == 1 {
		return attempt(s)
	}
	var lacking error
	var away AwayError
	order := s.order()
	for n, i := range order {
		if lacking != nil && s.isAway(i) {
			continue
		}
		one := &Servers{http: s.http, bases: s.bases[i : i+1], away: make([]absence, 1), rest: len(order) - n - 1, whole: s}
		switch err := attempt(one); {
		case err == nil:
			s.stayWith(i)
			return nil
		case ctx.Err() != nil:
			return err
		case isElsewhere(err):
			s.leave(i, err)
			away.add(one.URL(), err)
		case lacks != nil && lacks(err):
			if lacking == nil {
				lacking = err
			}
		default:
			s.stayWith(i)
			return err
		}
	}
	if lacking != nil {
		return lacking
	}
	return &away
}

// Leave goes on with another server for good, since what the one that is asked first said
// shows that it is behind. It reports false if there is none that is not away.
func (s *Servers) Leave(why error) bool {
	s.mu.Lock()
	i := s.current
	s.mu.Unlock()
	s.leave(i, why)
	for _, next := range s.order() {
		if !s.isAway(next) {
			s.stayWith(next)
			return true
		}
	}
	return false
}

// order is in which order to ask: those that are away last, otherwise from the current one on.
func (s *Servers) order() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	var here, gone []int
	for n := range s.bases {
		i := (s.current + n) % len(s.bases)
		if s.away[i].lasts() {
			gone = append(gone, i)
		} else {
			here = append(here, i)
		}
	}
	return append(here, gone...)
}

func (s *Servers) isAway(i int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.away[i].lasts()
}

func (s *Servers) leave(i int, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away[i] = absence{time.Now(), why}
}

// stayWith notes that a server has an answer. It takes the place of the current one if that
// is away: what that one lacks is no reason to leave it.
func (s *Servers) stayWith(i int) {
	s.mu.Lock()
	s.away[i] = absence{}
	from, why := s.current, s.away[s.current].why
	if why != nil {
		s.current = i
	}
	s.mu.Unlock()
	if why != nil && s.OnSwitch != nil {
		s.OnSwitch(s.bases[from].String(), s.bases[i].String(), why)
	}
}

// errSilent is why a call to one of several ends.
var errSilent = errors.New("no answer in time")

// Do sends a request to the one server that s is. Where others are left to be asked, it
// waits for the head of an answer for no longer than [patience], and no longer than its
// share of the time that the context leaves: else it is out of reach.
func (s *Servers) Do(req *http.Request) (*http.Response, error) {
	if s.rest == 0 {
		return s.http.Do(req)
	}
	wait := patience
	if deadline, ok := req.Context().Deadline(); ok {
		wait = min(wait, time.Until(deadline)/time.Duration(s.rest+1))
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	timer := time.AfterFunc(wait, func() { cancel(errSilent) })
	res, err := s.http.Do(req.WithContext(ctx))
	if !timer.Stop() && err == nil && context.Cause(ctx) == errSilent { // the head came, and the body will not
		res.Body.Close()
		err = errSilent
	}
	if err != nil {
		if context.Cause(ctx) == errSilent {
			err = fmt.Errorf("%w: nothing within %s", errSilent, wait.Round(time.Millisecond))
		}
		cancel(nil)
		return nil, err
	}
	res.Body = cancelledBody{res.Body, func() { cancel(nil) }}
	return res, nil
}

// Stream sends a request, whose answer comes for as long as it is read, to the server that is
// asked first.
func (s *Servers) Stream(req *http.Request) (*http.Response, error) {
	patient := *s.http
	patient.Timeout = 0 // who reads it notes its silence
	return patient.Do(req)
}

// cancelledBody ends the context of its request when it is closed.
type cancelledBody struct {
	io.ReadCloser
	cancel func()
}

func (b cancelledBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// isElsewhere reports whether an error says that another server is to be asked.
func isElsewhere(err error) bool {
	var e interface {
		error
		Elsewhere() bool
	}
	return errors.As(err, &e) && e.Elsewhere()
}

// AwayError says that none of several servers has an answer, and why each has none.
// It is, to [errors.As], the most hopeful of these errors: that of a server which is busy before
// that of one which is out of reach, and one that is behind last.
type AwayError struct {
	urls []string
	errs []error
}

func (a *AwayError) add(url string, err error) {
	a.urls, a.errs = append(a.urls, url), append(a.errs, err)
}

func (a *AwayError) Error() string {
	words := make([]string, len(a.errs))
	for i, err := range a.errs {
		words[i] = fmt.Sprintf("%s: %v", a.urls[i], err)
	}
	return fmt.Sprintf("none of the %d servers answers: %s", len(words), strings.Join(words, "; "))
}

func (a *AwayError) Unwrap() error {
	return slices.MaxFunc(a.errs, func(x, y error) int { return hope(x) - hope(y) })
}

func hope(err error) int {
	var retryable interface {
		error
		Retryable() bool
	}
	var unreachable *UnreachableError
	switch {
	case errors.As(err, &retryable) && retryable.Retryable():
		return 2
	case errors.As(err, &unreachable):
		return 1
	}
	return 0
}

// Elsewhere is true: [Servers.Ask] goes on with another server.
func (u *UnreachableError) Elsewhere() bool { return true }

// Elsewhere is true: a server that shows a checkpoint has all below it, unless it is behind
// another that did.
func (e *MissingError) Elsewhere() bool { return true }

// Elsewhere reports whether the server, or what stands before it, fails or is busy.
func (s *StatusError) Elsewhere() bool {
	return s.Code >= http.StatusInternalServerError && s.Code != http.StatusNotImplemented
}
