// Package customers answers HTTP for a provider's private customer log (ledger/customers):
// events in, customers and what is due of them out, to those who have a role. Nothing of it is
// ever public.
//
// Who asks is known by the socket they come from, which is its owner's alone, by the
// certificate of a client whose fingerprint the settings have, or by a key of which they have
// the hash (auth.go). Every read is logged in the log itself, with who it was and what for,
// before it is answered. While the vault is locked nothing is read and nothing taken in.
//
// A handler is decode → call → encode, and holds no rule. What is asked for stands in bodies,
// never in URLs, which others log; the log of requests has no bodies and no names.
package customers

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"filippo.io/age"

	private "github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/programme"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/server/front"
)

// Config is a server. Open, Zone and Programme are required.
type Config struct {
	// Open opens the log when its vault is unlocked for the first time.
	Open func(ctx context.Context, identities ...age.Identity) (*private.Log, error)

	// Zone is where days begin and end, and Programme what is due by it, as it stands now.
	Zone      *time.Location
	Programme func() (*programme.History, error)

	// Backup writes a backup of the customers' keys into a directory of this machine, and
	// returns its name and those that were too old. Nil: there is none to be had.
	Backup func(ctx context.Context, dir string) (name string, deleted []string, err error)

	About About // of which log

	// OpenRequests are the public requests to the party, as a copy of the ledger has them: they
	// keep customers from being erased. Nil: there is no copy, and nobody is erased.
	OpenRequests func(ctx context.Context) ([]OpenRequest, error)

	Clients []Client
	Dir     string       // the log's directory as people write it, for the commands that pages show
	Log     *slog.Logger // none

	LockAfter time.Duration // without a call of any kind the vault locks; 0: never

	MaxBody int  // bytes of one request; 8 MiB
	Rate    Rate // of what one client reads; 50 a second, 500 at once. PerSecond below 0: no bound

	MetricsListener net.Listener // nil: nowhere
}

// Rate bounds how often something may be done.
type Rate struct {
	PerSecond float64
	Burst     int
}

// Server answers for one log.
type Server struct {
	cfg      Config
	log      *slog.Logger
	handler  http.Handler
	process  string // tells the requests of one process from those of another
	count    atomic.Uint64
	slots    chan struct{}
	limits   limits
	sessions sessions
	metrics  *metrics

	logging sync.Mutex
	logged  map[record.Date]string // digests of the programme's versions that are logged, by their first days

	// opening is held while the vault is unlocked or locked.
	opening  sync.Mutex
	open     atomic.Pointer[private.Log] // nil before it is unlocked for the first time
	lastCall atomic.Int64                // Unix nanoseconds
	working  atomic.Int64                // calls at work
	stopped  chan struct{}               // closed when the log takes nothing more
	stopOnce sync.Once

	publishing publishing
	watched    watched
	unlocked   chan struct{} // has one while the schedule has not seen that the vault was unlocked
}

// New makes a server; the vault is locked.
func New(c Config) (*Server, error) {
	if c.Open == nil || c.Zone == nil || c.Programme == nil {
		return nil, errors.New("customers: Open, Zone and Programme are required")
	}
	if err := CheckClients(c.Clients); err != nil {
		return nil, err
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.MaxBody = cmp.Or(c.MaxBody, 8<<20)
	c.Rate = cmp.Or(c.Rate, Rate{50, 500})
	process := make([]byte, 8)
	rand.Read(process) // never fails
	s := &Server{
		cfg: c, log: c.Log, process: hex.EncodeToString(process),
		slots: make(chan struct{}, 4*runtime.GOMAXPROCS(0)), stopped: make(chan struct{}), unlocked: make(chan struct{}, 1),
	}
	s.limits.rate = c.Rate
	s.metrics = newMetrics(s)
	s.lastCall.Store(time.Now().UnixNano())
	s.handler = s.routes()
	return s, nil
}

// Handler answers requests of whoever the context names ([AsOwner]), or who shows by a
// certificate or a key who they are.
func (s *Server) Handler() http.Handler { return s.handler }

// routes are all paths.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for _, r := range append(s.api(), s.pages()...) {
		mux.Handle(r.pattern, s.handle(r))
	}
	mux.Handle("/", s.handle(route{pattern: "/", locked: true, answer: func(*request) error {
		return newProblem(problemNotFound, "there is no such path here, or it does not take that method")
	}}))
	return http.NewCrossOriginProtection().Handler(mux) // other sites' pages send nothing with a browser's cookie
}

// route is one path: who may ask, and what answers.
type route struct {
	pattern string
	roles   []Role // one of them is needed; none: anybody, unknown ones too
	locked  bool   // answers while the vault is locked too
	reads   bool   // is bounded by the rate of reads
	long    bool   // takes no slot: whoever else asks must not wait for it
	page    bool   // answers people: of failures too
	answer  func(*request) error
}

// request is one request while it is handled.
type request struct {
	http.ResponseWriter
	req    *http.Request
	server *Server
	serial uint64
	client Client
	log    *private.Log // unlocked when the request came; nil on routes that answer while it is locked
	status int
	failed *problem
}

// WriteHeader notes the status.
func (x *request) WriteHeader(status int) {
	x.status = status
	x.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (x *request) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// handle makes a handler of a route: who asks is known before anything of the body is read.
func (s *Server) handle(r route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		start := time.Now()
		x := &request{ResponseWriter: w, req: req, server: s, serial: s.count.Add(1), status: http.StatusOK}
		fail := x.fail
		if r.page {
			fail = x.failPage
		}
		if len(r.roles) > 0 { // what a stranger sends, however slowly, keeps no vault open
			s.working.Add(1)
			defer s.working.Add(-1) // of an answer that breaks off too
		}
		defer func() {
			if reason := recover(); reason != nil {
				if reason == http.ErrAbortHandler {
					panic(reason)
				}
				s.log.Error("panic in a handler", "stack", string(debug.Stack())) // what it panicked with may be a customer's
				fail(errors.New("panic"))
			}
			s.done(x, r, time.Since(start))
		}()
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		if err := s.admit(x, r); err != nil {
			fail(err)
			return
		}
		if !r.long && len(r.roles) > 0 { // nor a place of those who are known
			if err := s.takeSlot(req.Context()); err != nil {
				fail(err)
				return
			}
			defer func() { <-s.slots }()
		}
		if err := r.answer(x); err != nil {
			fail(err)
		}
	})
}

// admit decides whether a request is answered at all.
func (s *Server) admit(x *request, r route) error {
	if len(r.roles) > 0 {
		var err error
		if x.client, err = s.clientOf(x.req); err != nil {
			return err
		}
		if !x.client.unattended {
			s.lastCall.Store(time.Now().UnixNano())
		}
		if !x.client.may(r.roles...) {
			return newProblem(problemForbidden, "%s has not the role for this: it takes %s", x.client.Name, rolesText(r.roles))
		}
		if r.reads {
			if err := s.limits.read(x.client.Name); err != nil {
				return err
			}
		}
	}
	if r.locked || len(r.roles) == 0 {
		return nil
	}
	l := s.open.Load()
	if l == nil || l.Locked() {
		return vault.ErrLocked
	}
	if err := l.Err(); err != nil {
		return err
	}
	x.log = l
	return nil
}

// takeSlot waits for a place among the requests at work.
func (s *Server) takeSlot(ctx context.Context) error {
	timer := time.NewTimer(2 * time.Second)
	defer timer.Stop()
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-timer.C:
	case <-ctx.Done():
	}
	return &problem{kind: problemOverloaded, detail: "too many requests are at work; ask again", retryAfter: time.Second}
}

// done writes the one line of the log of requests, and counts.
func (s *Server) done(x *request, r route, took time.Duration) {
	s.metrics.count(r.pattern, x.status, took)
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("route", r.pattern), slog.Int("status", x.status),
		slog.String("duration", took.Round(time.Microsecond).String()), slog.Uint64("request", x.serial),
	}
	if x.client.Name != "" {
		attrs = append(attrs, slog.String("client", x.client.Name))
	}
	if p := x.failed; p != nil {
		attrs = append(attrs, slog.String("problem", string(p.kind)))
		if p.kind == problemInternal || p.kind == problemStopped || p.kind == problemDamaged {
			level = slog.LevelError
			attrs = append(attrs, slog.Any("err", p.cause))
		}
	}
	s.log.LogAttrs(x.req.Context(), level, "request", attrs...)
	if p := x.failed; p != nil && (p.kind == problemStopped || p.kind == problemOutcomeUnknown) {
		if l := s.open.Load(); l != nil && l.Err() != nil {
			s.stopOnce.Do(func() { close(s.stopped) })
		}
	}
}

// Unlock unlocks the vault, and opens the log if that was not done yet. It is logged.
func (s *Server) Unlock(ctx context.Context, who private.Who, identities ...age.Identity) error {
	s.opening.Lock()
	defer s.opening.Unlock()
	l := s.open.Load()
	if l == nil {
		var err error
		if l, err = s.cfg.Open(ctx, identities...); err != nil {
			return err
		}
		s.open.Store(l)
	} else if err := l.Unlock(identities...); err != nil {
		return err
	}
	s.lastCall.Store(time.Now().UnixNano())
	s.log.Info("unlocked", "client", who.By)
	if _, err := l.Act(ctx, event.Act{What: event.KindUnlocked, By: who.By, Reason: who.Reason}); err != nil {
		return err
	}
	if _, err := s.programme(ctx, l); err != nil { // whoever asks what is due is told so; the rest works without
		s.log.Warn("the programme is not logged", "err", err)
	}
	select {
	case s.unlocked <- struct{}{}:
	default:
	}
	return nil
}

// Lock locks the vault, after what is under way. That it was is logged before.
func (s *Server) Lock(ctx context.Context, who private.Who) error {
	s.opening.Lock()
	defer s.opening.Unlock()
	l := s.open.Load()
	if l == nil || l.Locked() {
		return nil
	}
	_, err := l.Act(ctx, event.Act{What: event.KindLocked, By: who.By, Reason: who.Reason})
	l.Lock() // whatever became of that
	s.watched.forget()
	s.log.Info("locked", "client", who.By, "reason", who.Reason)
	return err
}

// Locked tells whether the vault is locked.
func (s *Server) Locked() bool {
	l := s.open.Load()
	return l == nil || l.Locked()
}

// LockWhenIdle locks the vault whenever nobody has called for as long as the settings say,
// until ctx ends.
func (s *Server) LockWhenIdle(ctx context.Context) {
	idle := s.cfg.LockAfter
	if idle <= 0 {
		return
	}
	timer := time.NewTimer(idle)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		left := idle - time.Since(time.Unix(0, s.lastCall.Load()))
		if s.working.Load() > 0 {
			left = idle
		}
		if left <= 0 {
			if err := s.Lock(ctx, private.Who{By: "docket", Reason: "nobody called for " + idle.String()}); err != nil {
				s.log.Error("the lock was not logged", "err", err)
			}
			left = idle
		}
		timer.Reset(left)
	}
}

// ErrStopped: the log takes nothing more before it is opened anew.
var ErrStopped = errors.New("the customer log has stopped, and has to be opened anew")

// Serve answers on a listener until ctx ends, or the log has stopped: then the process is to
// be started again. Whoever comes over a listener that owner says is its owner's has the
// owner's roles; it is for the Unix socket in the log's directory.
func (s *Server) Serve(ctx context.Context, l net.Listener, f front.Config, owner bool) error {
	f.Handler = s.handler
	if owner {
		f.Handler = AsOwner(s.handler)
	}
	f.Log, f.Probes, f.Refuse = s.log, []string{"/healthz", "/readyz"}, refuse
	f.WriteTimeout, f.ReadTimeout = cmp.Or(f.WriteTimeout, time.Hour), cmp.Or(f.ReadTimeout, time.Minute)
	f.Metrics, f.MetricsListener = s.metrics.registry, s.cfg.MetricsListener
	if owner {
		f.MetricsListener = nil
	}
	serving, end := context.WithCancel(ctx)
	defer end()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-s.stopped:
			end()
		case <-serving.Done():
		}
	}()
	err := f.Serve(serving, l)
	end()
	<-ended
	select {
	case <-s.stopped:
		err = errors.Join(err, ErrStopped)
	default:
	}
	return err
}

func (s *Server) instance(x *request) string {
	return "urn:docket:request:" + s.process + "-" + strconv.FormatUint(x.serial, 10)
}
