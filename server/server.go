// Package server answers a ledger's HTTP API (DESIGN.md section 7): the C2SP tlog-tiles
// read API, submission of records with receipts as answers, queries of the register,
// and a few HTML pages.
//
// It promises that an answer of 200 or 201 is durable and published, that every failure
// of the API is one problem+json (of a page, a page), and that no request costs more
// than its limits allow. It holds no admission rule and no state. Tiles and receipts
// can be verified; everything else that it answers is the server's word alone. A client
// that must not trust the server uses package client.
package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-53cf897a/docket/ledger/auditors"
	"github.com/seed-53cf897a/docket/ledger/public"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
	"github.com/seed-53cf897a/docket/ledger/snapshot"
	"github.com/seed-53cf897a/docket/server/front"
)

// Server answers HTTP for one ledger. All of it is safe for concurrent use.
type Server struct {
	cfg           servedConfig
	log           *slog.Logger
	handler       http.Handler
	metrics       *metrics
	bodyPool      *bodyPool
	verifyLimiter *concurrencyLimiter // before verifying a submission
	queryLimiter  *concurrencyLimiter // for queries of the register, and what else is expensive to answer
	forwarding    *concurrencyLimiter // of a replica: what is asked of the writer at once
	bundleLimiter *concurrencyLimiter // for making bundles of entries: apart, so that queries do not block the syncs of copies
	answerMemory  *answerMemory
	bundles       *bundleCache

	designationList keptList[designationMark, byStatus]
	dutyList        keptList[dutyMark, dutyIndex]
	licenceList     keptList[licenceMark, struct{}]
	requestList     keptList[view.Request, []view.Cooperation]

	refusals *refusalNotes // nil: none is signed

	requestLog, faultLog *lineLimiter
	proxies              []netip.Prefix

	perIssuer, perImporter, perAddress *tokenBuckets // nil: no bound
	perKey                             *tokenBuckets // of single keys

	processID    string // tells the requests of this process from another's
	requestCount atomic.Uint64
	stopping     atomic.Bool
	stopped      chan struct{} // closed when the server is to stop
	streams      *placeTable
	downloads    *placeTable // of the files of snapshots
}

// New makes a server of a ledger and its register, which outlive it.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	w := &withholding{list: cfg.Withheld, register: cfg.Register}
	w.now()
	s := &Server{
		cfg:           servedConfig{cfg, servedLedger{cfg.log(), w}},
		log:           cfg.Log,
		bodyPool:      newBodyPool(cfg.MaxBody),
		verifyLimiter: newConcurrencyLimiter("submissions", cfg.Verifiers, cfg.VerifyQueue, cfg.VerifyWait),
		queryLimiter:  newConcurrencyLimiter("questions", cfg.Verifiers, cfg.VerifyQueue, cfg.VerifyWait),
		forwarding:    newConcurrencyLimiter("requests for the writer", maxForwarded, cfg.VerifyQueue, cfg.VerifyWait),
		bundleLimiter: newConcurrencyLimiter("bundles", cfg.Verifiers, cfg.VerifyQueue, cfg.VerifyWait),
		answerMemory:  newAnswerMemory(cfg.AnswerMemory),
		bundles:       newBundleCache(cfg.BundleCache),

		designationList: newDesignationList(), dutyList: newDutyList(), licenceList: newLicenceList(), requestList: newRequestList(),

		requestLog: newLineLimiter(), faultLog: newLineLimiter(),

		perIssuer:   newTokenBuckets(cfg.IssuerRate, 1<<14),
		perKey:      newTokenBuckets(cfg.IssuerRate.reserve(), 1<<14),
		perImporter: newTokenBuckets(cfg.ImporterRate, 1<<10),
		perAddress:  newTokenBuckets(cfg.RefusalRate, 1<<16),

		stopped:   make(chan struct{}),
		streams:   newPlaceTable("stream", max(1, cfg.MaxConnections/4), max(1, cfg.MaxConnections/64)),
		downloads: newPlaceTable("download", maxDownloads, maxAddressDownloads),
	}
	if s.proxies, err = front.ParseProxies(cfg.Proxies); err != nil {
		return nil, fmt.Errorf("server: Proxies: %w", err)
	}
	if s.refusals, err = newRefusalNotes(cfg.Refusals); err != nil {
		return nil, fmt.Errorf("server: Refusals: %w", err)
	}
	var boot [4]byte
	rand.Read(boot[:])
	s.processID = hex.EncodeToString(boot[:])
	s.metrics = newMetrics(s)
	if s.handler, err = s.newRouter(); err != nil {
		return nil, err
	}
	return s, nil
}

// Handler is the whole HTTP handler, without the limits on connections and times that
// [Server.Serve] sets.
func (s *Server) Handler() http.Handler { return s.handler }

// Config is what a server stands on and how much it bears. Ledger and Register
// are required, of a copy Copy instead of the first; the zero value of every other field is the default beside it.
type Config struct {
	Ledger   *public.Ledger
	Register *register.Register

	// Copy makes it a server of somebody's own copy, to be read by that one alone.
	Copy *Copy

	Log *slog.Logger // none

	// TLS makes the server speak TLS, and HTTP/2; it brings the certificate. Nil: plain
	// HTTP.
	TLS *tls.Config

	// Witnesses says the state of the policy's witnesses, for /v1/witnesses and the
	// metrics. Nil: there are none.
	Witnesses func() []Witness

	// NextKeys says whether the witnesses are ready for the older of two generations of
	// log keys to go, for the same. Nil: one generation signs.
	NextKeys func() NextKeys

	// Auditors keeps what named auditors have cosigned. Nil: none is named.
	Auditors *auditors.Words

	// MetricsListener is where the metrics are served, at /metrics. Nil: nowhere.
	MetricsListener net.Listener

	// Collectors are further metrics of whoever serves.
	Collectors []prometheus.Collector

	// Refusals signs what is refused, as long as the charter in force names its key. Nil:
	// nothing refused is signed.
	Refusals *record.RefusalSigner

	// Withheld are the entries whose bytes are not given to anybody, sorted by index: the
	// same slice as long as they are the same. It is asked with every request. Nil: there
	// are none.
	Withheld func() []Withheld

	// Snapshots are those of the register that this node has signed. Nil: none is handed out.
	Snapshots *snapshot.Dir

	// Room says why the store's disk takes nothing more, in a few words for clients:
	// then records are refused and reads go on. Nil: it is never asked.
	Room func() error

	// Damage says what was found damaged in the databases, for /readyz and the metrics.
	// Nil: none is reported.
	Damage func() []Damage

	// PublishWait is how long a submitter is kept waiting for the quorum before
	// the answer is 202.
	PublishWait time.Duration // 10 s

	// PublishInterval is the least time between two publications of the ledger's Run:
	// that an entry waits for so long is nothing to worry about.
	PublishInterval time.Duration

	MaxBody        int // bytes of one submission; record.MaxSubmissionBytes, 256 KiB
	MaxHeader      int // bytes of one request's header; 16 KiB
	MaxConnections int // open at once, and requests at work at once; 4,096
	MaxPerAddress  int // the same of one address that is no proxy's; an eighth, at least 16

	HeaderTimeout time.Duration // 5 s
	ReadTimeout   time.Duration // header and body; 20 s
	WriteTimeout  time.Duration // from the header's end to the answer's; 60 s
	IdleTimeout   time.Duration // between requests of a connection; 2 min
	ShutdownGrace time.Duration // for requests at work when the server stops; 20 s

	// Verifiers is how many submissions are verified at once, VerifyQueue how many may
	// wait for a slot, VerifyWait how long. As many queries of the register are
	// answered at once, and as many bundles of entries made.
	Verifiers   int           // 2 × GOMAXPROCS
	VerifyQueue int           // 1,024
	VerifyWait  time.Duration // 2 s

	// IssuerRate bounds the records of one party that are admitted, its own or
	// others' that it introduces, of which a large one counts once for each 4 KiB; where
	// that is used up, each of its keys has a reserve of a fiftieth. ImporterRate bounds those that it imports from a list; RefusalRate
	// what one address may send that is refused. PerSecond below 0: no bound.
	IssuerRate   Rate // 50 a second, 500 at once
	ImporterRate Rate // 5,000 a second, 20,000 at once
	RefusalRate  Rate // 10 a second, 200 at once

	// Proxies are the addresses or networks (CIDR) of proxies before the server. What
	// they say in X-Forwarded-For is believed, and MaxPerAddress does not bind them;
	// otherwise all clients would share one address.
	Proxies []string

	// QueryBudget is how much one query of the register may read.
	QueryBudget register.ReadBudget // 10,000 rows, 8 MiB: some 100 ms of one core, and 64 MiB of memory

	// AnswerMemory bounds the answers of more than 80 KiB that are on their way, also
	// to those who read slowly; one address gets an eighth of it.
	AnswerMemory int // bytes; 512 MiB

	// BundleCache is the memory for compressed entry bundles.
	BundleCache int // bytes; 64 MiB
}

// Damage is what was found damaged in one database, with Words for the operator, ""
// where all is well again, and how often it was met since the start.
type Damage struct {
	Database string // of a closed set
	Words    string
	Events   uint64
}

// withDefaults fills the zero fields and refuses what cannot work.
func (c Config) withDefaults() (Config, error) {
	if (c.Ledger == nil) == (c.Copy == nil) || c.Register == nil {
		return c, errors.New("server: a ledger or a copy, and its register, are required")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.PublishWait = cmp.Or(c.PublishWait, 10*time.Second)
	c.MaxBody = cmp.Or(c.MaxBody, record.MaxSubmissionBytes)
	c.MaxHeader = cmp.Or(c.MaxHeader, 16<<10)
	c.MaxConnections = cmp.Or(c.MaxConnections, 4096)
	c.HeaderTimeout = cmp.Or(c.HeaderTimeout, 5*time.Second)
	c.ReadTimeout = cmp.Or(c.ReadTimeout, 20*time.Second)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, time.Minute)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, 2*time.Minute)
	c.ShutdownGrace = cmp.Or(c.ShutdownGrace, 20*time.Second)
	c.Verifiers = cmp.Or(c.Verifiers, 2*runtime.GOMAXPROCS(0))
	c.VerifyQueue = cmp.Or(c.VerifyQueue, 1024)
	c.VerifyWait = cmp.Or(c.VerifyWait, 2*time.Second)
	c.IssuerRate = c.IssuerRate.withDefault(Rate{50, 500})
	c.ImporterRate = c.ImporterRate.withDefault(Rate{5_000, 20_000})
	c.RefusalRate = c.RefusalRate.withDefault(Rate{10, 200})
	c.QueryBudget = cmp.Or(c.QueryBudget, register.ReadBudget{Rows: 10_000, Bytes: 8 << 20})
	c.AnswerMemory = cmp.Or(c.AnswerMemory, 512<<20)
	c.BundleCache = cmp.Or(c.BundleCache, 64<<20)

	for name, r := range map[string]Rate{"IssuerRate": c.IssuerRate, "ImporterRate": c.ImporterRate, "RefusalRate": c.RefusalRate} {
		if err := r.Check(); err != nil {
			return c, fmt.Errorf("server: %s: %w", name, err)
		}
	}
	for name, n := range map[string]int{
		"MaxBody": c.MaxBody, "MaxHeader": c.MaxHeader, "MaxConnections": c.MaxConnections, "MaxPerAddress": c.MaxPerAddress,
		"Verifiers": c.Verifiers, "VerifyQueue": c.VerifyQueue, "BundleCache": c.BundleCache, "AnswerMemory": c.AnswerMemory,
	} {
		if n < 0 {
			return c, fmt.Errorf("server: %s is %d; it cannot be negative", name, n)
		}
	}
	if c.MaxBody < record.MaxEntryBytes {
		return c, fmt.Errorf("server: MaxBody is %d bytes; an entry may have %d", c.MaxBody, record.MaxEntryBytes)
	}
	if c.WriteTimeout <= c.PublishWait {
		return c, fmt.Errorf("server: WriteTimeout %s must be longer than PublishWait %s, or answers are cut off", c.WriteTimeout, c.PublishWait)
	}
	return c, nil
}

func (r Rate) withDefault(d Rate) Rate {
	if r == (Rate{}) {
		return d
	}
	if r.Burst == 0 {
		r.Burst = 1
	}
	return r
}

// Abandon closes the listeners of a server that is not to be, and returns why.
func (c Config) Abandon(l net.Listener, why error) error {
	l.Close()
	if c.MetricsListener != nil {
		c.MetricsListener.Close()
	}
	return why
}

// Serve answers requests on l until ctx ends; then it stops accepting, finishes the
// requests at work and returns nil. The ledger must go on committing and publishing
// until Serve has returned: then no accepted record is lost, and each submitter has
// been told. A submitter that waits for the quorum longer than half of ShutdownGrace is
// answered 202; after the whole of it the connections are closed and the error says so.
//
// Serve closes l and the listener of the metrics. It is called once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	defer context.AfterFunc(ctx, func() { s.stopping.Store(true); close(s.stopped) })()
	var keeping sync.WaitGroup
	defer keeping.Wait()
	keep, stopKeeping := context.WithCancel(ctx)
	defer stopKeeping()
	for _, run := range []func(context.Context, *Server){s.designationList.run, s.dutyList.run, s.licenceList.run, s.requestList.run} {
		keeping.Go(func() { run(keep, s) })
	}
	return front.Config{
		Handler:         s.Handler(),
		Refuse:          s.refuseUnrouted(),
		Probes:          []string{"/healthz", "/readyz"},
		Metrics:         s.metrics.registry,
		MetricsListener: s.cfg.MetricsListener,
		TLS:             s.cfg.TLS,
		Log:             s.log,
		Proxies:         s.proxies,
		MaxConnections:  s.cfg.MaxConnections,
		MaxPerAddress:   s.cfg.MaxPerAddress,
		MaxHeader:       s.cfg.MaxHeader,
		HeaderTimeout:   s.cfg.HeaderTimeout,
		ReadTimeout:     s.cfg.ReadTimeout,
		WriteTimeout:    s.cfg.WriteTimeout,
		IdleTimeout:     s.cfg.IdleTimeout,
		Grace:           s.cfg.ShutdownGrace,
	}.Serve(ctx, l)
}

// refuseUnrouted answers what never reaches a route, like any failure of one.
func (s *Server) refuseUnrouted() func(w http.ResponseWriter, r *http.Request, status int, words string) {
	type key struct{}
	e := gin.New()
	e.NoRoute(s.ginHandler("none", func(x *request) error { return x.Request.Context().Value(key{}).(*problem) }, (*request).answerProblem))
	return func(w http.ResponseWriter, r *http.Request, status int, words string) {
		p := newProblem(problemFraming, "%s", words)
		if status == http.StatusServiceUnavailable {
			p = newProblem(problemOverloaded, "%s", words)
			p.retryAfter = time.Second
		}
		e.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, p)))
	}
}

// route is one row of the table that the router, the request log, the metrics
// and openapi.json have in common.
type route struct {
	method string // GET stands for HEAD too, and for the OPTIONS of browsers
	path   string // as gin writes it; also the log's and the metrics' name for it
	handle handler
	page   bool     // answers people: failures are pages, not problems; unknown parameters are ignored
	doc    []string // its paths in openapi.json, where they differ from path
}

func (s *Server) routes() []route {
	const get, post = http.MethodGet, http.MethodPost
	ask := s.queryLimiter.limit
	var tables []route
	for _, t := range listTables {
		tables = append(tables, route{method: get, path: t.path, handle: ask(func(x *request) error { return t.answer(s, x) })})
	}
	return append(tables, []route{
		{method: get, path: "/checkpoint", handle: s.checkpoint},
		{method: get, path: "/tile/*path", handle: s.tile, doc: []string{"/tile/{level}/{index}", "/tile/entries/{index}"}},

		{method: post, path: "/v1/records", handle: s.submit},
		{method: get, path: "/v1/records", handle: ask(s.records)},
		{method: get, path: "/v1/records/:id", handle: ask(s.record)},
		{method: get, path: "/v1/records/:id/receipt", handle: s.receipt},

		{method: get, path: "/v1/entries/:index", handle: s.entry},
		{method: get, path: "/v1/stream", handle: s.stream},
		{method: get, path: "/v1/checkpoints", handle: ask(s.checkpointAt)},
		{method: get, path: "/v1/witnesses", handle: s.witnesses},
		{method: get, path: "/v1/auditors", handle: ask(s.auditors)},
		{method: post, path: "/v1/auditors", handle: s.addCosignature},

		{method: get, path: "/v1/snapshot", handle: s.snapshot},
		{method: get, path: "/v1/snapshot/:size/:file", handle: s.snapshotFile},

		{method: get, path: "/v1/register/designations", handle: ask(s.designations)},
		{method: get, path: "/v1/register/designations/:id", handle: ask(s.designation)},
		{method: get, path: "/v1/register/licences", handle: ask(s.licences)},
		{method: get, path: "/v1/register/licences/:id", handle: ask(s.licence)},
		{method: get, path: "/v1/register/parties", handle: ask(s.parties)},
		{method: get, path: "/v1/register/parties/:id", handle: ask(s.party)},
		{method: get, path: "/v1/register/parties/:id/keys", handle: ask(s.partyKeys)},
		{method: get, path: "/v1/register/duties", handle: ask(s.listDuties)},
		{method: get, path: "/v1/register/duties.ics", handle: ask(s.calendar)},
		{method: get, path: "/v1/register/duties/:id", handle: ask(s.listPartyDuties)},
		{method: get, path: "/v1/register/changes", handle: ask(s.changes)},
		{method: get, path: "/v1/register/changes.csv", handle: ask(s.changesCSV)},
		{method: get, path: "/v1/register/changes.atom", handle: ask(s.changesFeed)},
		{method: get, path: "/v1/register/requests", handle: ask(s.disclosureRequests)},
		{method: get, path: "/v1/register/requests/:id", handle: ask(s.disclosureRequest)},
		{method: get, path: "/v1/register/cooperation", handle: ask(s.cooperation)},
		{method: get, path: "/v1/register/search", handle: ask(s.search)},
		{method: get, path: "/v1/register/policy", handle: ask(s.policy)},
		{method: get, path: "/v1/register/identifiers/:scheme/:value", handle: ask(s.identifier)},

		{method: get, path: "/schemas/:kind/v1", handle: s.schema},
		{method: get, path: "/openapi.json", handle: s.openAPI},
		{method: get, path: "/healthz", handle: s.healthz},
		{method: get, path: "/readyz", handle: s.readyz},

		{method: get, path: "/", handle: ask(s.homePage), page: true},
		{method: get, path: "/search", handle: ask(s.searchPage), page: true},
		{method: get, path: "/designations", handle: ask(s.designationsPage), page: true},
		{method: get, path: "/designations/:id", handle: ask(s.designationPage), page: true},
		{method: get, path: "/duties", handle: ask(s.dutiesPage), page: true},
		{method: get, path: "/licences", handle: ask(s.licencesPage), page: true},
		{method: get, path: "/requests", handle: ask(s.requestsPage), page: true},
		{method: get, path: "/cooperation", handle: ask(s.cooperationPage), page: true},
		{method: get, path: "/parties", handle: ask(s.partiesPage), page: true},
		{method: get, path: "/parties/:id", handle: ask(s.partyPage), page: true},
		{method: get, path: "/records", handle: ask(s.recordsPage), page: true},
		{method: get, path: "/licences/:id", handle: ask(s.licencePage), page: true},
		{method: get, path: "/requests/:id", handle: ask(s.disclosurePage), page: true},
		{method: get, path: "/threads/*thread", handle: ask(s.threadPage), page: true},
		{method: get, path: "/jurisdictions/:code", handle: ask(s.jurisdictionPage), page: true},
		{method: get, path: "/identifiers/:scheme/:value", handle: ask(s.identifierPage), page: true},
		{method: get, path: "/records/:id", handle: ask(s.recordPage), page: true},
		{method: get, path: "/changes", handle: ask(s.changesPage), page: true},
		{method: get, path: "/lists", handle: ask(s.sourcesPage), page: true},
		{method: get, path: "/checkpoints", handle: ask(s.checkpointsPage), page: true},
		{method: get, path: "/schemas", handle: s.schemasPage, page: true},
		{method: get, path: "/api", handle: s.apiPage, page: true},
		{method: get, path: "/how-to-verify", handle: s.howToPage, page: true},
		{method: get, path: "/verify.html", handle: s.verifyPage, page: true},
		{method: get, path: "/style.css", handle: s.style, page: true},
		{method: get, path: "/icon.svg", handle: s.iconSVG, page: true},
		{method: get, path: "/check.js", handle: s.checkJS, page: true},
		{method: get, path: "/find.js", handle: s.findJS, page: true},
	}...)
}

// newRouter is strict where gin is kind: one path, one resource. It neither
// cleans paths nor redirects, and matches the path as it was sent: an escaped
// letter of a fixed segment is another path, and %2F is no slash.
func (s *Server) newRouter() (http.Handler, error) {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.RedirectTrailingSlash = false
	e.RedirectFixedPath = false
	e.RemoveExtraSlash = false
	e.UseRawPath = true
	e.HandleMethodNotAllowed = true
	e.ForwardedByClientIP = len(s.cfg.Proxies) > 0
	e.RemoteIPHeaders = []string{"X-Forwarded-For"}
	if err := e.SetTrustedProxies(s.cfg.Proxies); err != nil {
		return nil, fmt.Errorf("server: Proxies: %w", err)
	}

	api := make(map[string]bool) // the first segments of its paths
	for _, r := range s.routes() {
		switch {
		case s.cfg.own() && !r.ofCopy():
			continue
		case s.cfg.replica() != nil && r.ofWriter(s.cfg.replica()):
			r.handle = s.forward
		case s.cfg.replica() != nil && r.path == "/v1/checkpoints": // it reads where others' questions do not
			r.handle = s.forwarding.limit(s.checkpointAt)
		}
		handle, fail := r.handle, (*request).answerProblem
		if r.page {
			handle, fail = asPage(r.handle), (*request).answerProblemPage
		} else {
			api[firstSegment(r.path)] = true
		}
		h := s.ginHandler(r.path, handle, fail)
		e.Handle(r.method, r.path, h)
		if r.method == http.MethodGet {
			e.Handle(http.MethodHead, r.path, h)
			allow := corsMethods + ", OPTIONS"
			if slices.ContainsFunc(s.routes(), func(o route) bool { return o.path == r.path && o.method == http.MethodPost }) {
				allow += ", POST"
			}
			e.Handle(http.MethodOptions, r.path, s.ginHandler(r.path, preflight(allow), fail))
		}
	}
	notFoundHandler := func(x *request, err error) {
		if api[firstSegment(x.Request.URL.EscapedPath())] {
			x.answerProblem(err)
		} else {
			x.answerProblemNegotiated(err)
		}
	}
	e.NoRoute(s.ginHandler("none", func(x *request) error {
		return newProblem(problemNotFound, "no resource has this path; see /openapi.json for those that there are")
	}, notFoundHandler))
	e.NoMethod(s.ginHandler("none", func(x *request) error {
		return newProblem(problemMethod, "this path takes %s", x.Writer.Header().Get("Allow"))
	}, notFoundHandler))
	return e, nil
}

// asPage marks a request as one for a page.
func asPage(h handler) handler {
	return func(x *request) error {
		x.page = true
		return h(x)
	}
}

func firstSegment(path string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return first
}

// answerProblemNegotiated answers outside the API: with a page to clients that ask for
// one, as browsers do, and with a problem to all others.
func (x *request) answerProblemNegotiated(err error) {
	const page, problem = "text/html", "application/problem+json"
	x.Writer.Header().Set("Vary", "Accept")
	if x.NegotiateFormat(problem, page) == page {
		x.answerProblemPage(err)
	} else {
		x.answerProblem(err)
	}
}

//go:embed openapi.json
var openAPIDocument []byte

var openAPITag = entityTag(openAPIDocument)

// openAPI serves the description of this very API; a test holds the two together.
func (s *Server) openAPI(x *request) error {
	return x.answerEmbedded(typeJSON, openAPIDocument, openAPITag)
}

// schema serves the JSON Schema of a kind.
func (s *Server) schema(x *request) error {
	kind := record.Kind(x.Param("kind"))
	schema, err := record.SchemaJSON(kind)
	if err != nil {
		p := newProblem(problemNotFound, "no kind of record is called %q", clipText(string(kind)))
		p.cause = err
		return p
	}
	return x.answerEmbedded("application/schema+json", schema, entityTag(schema))
}
