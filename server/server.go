// Package server is the ledger's face over HTTP (DESIGN.md section 7): the C2SP
// tlog-tiles read API, records in and receipts out, what the register says, and
// a few pages for people.
//
// It promises that an answer of 200 or 201 is durable and published, that every
// failure of the API is one problem+json (of a page, a page), and that nothing it
// does costs more than its limits allow. It holds no rule of admission and no state of its own: what it
// answers, beyond tiles and receipts, is the server's word alone. Who must not
// trust it uses package client.
package server

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"

	"github.com/seed-53cf897a/docket/server/front"
)

// Server answers HTTP for one ledger. All of it is safe for concurrent use.
type Server struct {
	cfg           Config
	log           *slog.Logger
	handler       http.Handler
	metrics       *metrics
	bodyPool      *bodyPool
	verifyLimiter *concurrencyLimiter // before verifying a submission
	queryLimiter  *concurrencyLimiter // before asking the register, and what else is dear to answer
	bundleLimiter *concurrencyLimiter // before making a bundle of entries: apart, so that questions keep no copy from being synced
	answerMemory  *answerMemory
	bundles       *bundleCache
	statusCounts  statusCounts

	requestLog, faultLog *lineLimiter
	proxies              []netip.Prefix

	perIssuer, perImporter, perAddress *tokenBuckets // nil: no bound
	perKey                             *tokenBuckets // of single keys

	processID    string // tells the requests of this process from another's
	requestCount atomic.Uint64
	stopping     atomic.Bool
}

// New makes a server of a ledger and its register, which outlive it.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg:           cfg,
		log:           cfg.Log,
		bodyPool:      newBodyPool(cfg.MaxBody),
		verifyLimiter: newConcurrencyLimiter("submissions", cfg.Verifiers, cfg.VerifyQueue, cfg.VerifyWait),
		queryLimiter:  newConcurrencyLimiter("questions", cfg.Verifiers, cfg.VerifyQueue, cfg.VerifyWait),
		bundleLimiter: newConcurrencyLimiter("bundles", cfg.Verifiers, cfg.VerifyQueue, cfg.VerifyWait),
		answerMemory:  newAnswerMemory(cfg.AnswerMemory),
		bundles:       newBundleCache(cfg.BundleCache),

		requestLog: newLineLimiter(), faultLog: newLineLimiter(),

		perIssuer:   newTokenBuckets(cfg.IssuerRate, 1<<14),
		perKey:      newTokenBuckets(cfg.IssuerRate.reserve(), 1<<14),
		perImporter: newTokenBuckets(cfg.ImporterRate, 1<<10),
		perAddress:  newTokenBuckets(cfg.RefusalRate, 1<<16),
	}
	if s.proxies, err = front.ParseProxies(cfg.Proxies); err != nil {
		return nil, fmt.Errorf("server: Proxies: %w", err)
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

// Handler is the whole face, without the limits on connections and times that
// [Server.Serve] sets.
func (s *Server) Handler() http.Handler { return s.handler }
