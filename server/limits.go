package server

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/server/front"
)

// concurrencyLimiter bounds concurrent work: at most slots requests run at once, at
// most queue wait for a slot, each no longer than maxWait. Beyond that the answer is
// 503.
type concurrencyLimiter struct {
	what    string
	slots   chan struct{}
	queue   int64
	maxWait time.Duration
	waiting atomic.Int64
}

func newConcurrencyLimiter(what string, slots, queue int, patience time.Duration) *concurrencyLimiter {
	return &concurrencyLimiter{what: what, slots: make(chan struct{}, slots), queue: int64(queue), maxWait: patience}
}

// acquire takes a slot; release gives it back.
func (g *concurrencyLimiter) acquire(ctx context.Context) error {
	select {
	case g.slots <- struct{}{}:
		return nil
	default:
	}
	if g.waiting.Add(1) > g.queue {
		g.waiting.Add(-1)
		return busyProblem("%d %s already wait for their turn", g.queue, g.what)
	}
	defer g.waiting.Add(-1)
	timer := time.NewTimer(g.maxWait)
	defer timer.Stop()
	select {
	case g.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return busyProblem("no turn among the %s within %s", g.what, g.maxWait)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *concurrencyLimiter) release() { <-g.slots }

// limit makes a handler wait for a slot, which it holds until its answer is sent or
// until answerBytes releases it.
func (g *concurrencyLimiter) limit(h handler) handler {
	return func(x *request) error {
		if err := x.acquire(g); err != nil {
			return err
		}
		defer x.release()
		return h(x)
	}
}

func busyProblem(format string, args ...any) *problem {
	return busyProblemAfter(time.Second, format, args...)
}

func busyProblemAfter(wait time.Duration, format string, args ...any) *problem {
	p := newProblem(problemOverloaded, format, args...)
	p.retryAfter = wait
	return p
}

// placeTable bounds what is open for as long as whoever reads it likes: each holds a connection, and so
// counts among those at work, and here. mu guards byAddress and total.
type placeTable struct {
	what             string // one of them
	most, perAddress int

	mu        sync.Mutex
	total     int
	byAddress map[string]int // no entry is 0
}

func newPlaceTable(what string, most, perAddress int) *placeTable {
	return &placeTable{what: what, most: most, perAddress: perAddress, byAddress: make(map[string]int)}
}

// enter takes a place until leave is called. Where there is none, the one who asks is to wait so long.
func (t *placeTable) enter(address string, wait time.Duration) (leave func(), err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.byAddress[address] >= t.perAddress:
		return nil, busyProblemAfter(wait, "%s has %s open", address, t.count(t.perAddress))
	case t.total >= t.most:
		return nil, busyProblemAfter(wait, "%s are open, as many as there may be", t.count(t.most))
	}
	t.total++
	t.byAddress[address]++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.total--
		if t.byAddress[address]--; t.byAddress[address] == 0 {
			delete(t.byAddress, address)
		}
	}, nil
}

func (t *placeTable) count(n int) string {
	if n == 1 {
		return "1 " + t.what
	}
	return strconv.Itoa(n) + " " + t.what + "s"
}

// Rate is a token bucket: Burst tokens at once, refilled at PerSecond.
type Rate struct {
	PerSecond float64 // below 0: no bound
	Burst     int     // 0 means 1
}

// Check refuses a rate at which an empty bucket is never refilled: a client that has
// used up its burst would be locked out permanently.
func (r Rate) Check() error {
	switch {
	case r.PerSecond == 0:
		return fmt.Errorf("0 records a second would be %d, and then none for ever; below 0 means no limit", max(1, r.Burst))
	case math.IsNaN(r.PerSecond) || math.IsInf(r.PerSecond, 0):
		return fmt.Errorf("%g records a second: want a number; below 0 means no limit", r.PerSecond)
	case r.Burst < 0:
		return fmt.Errorf("%d records at once: want 1 or more", r.Burst)
	}
	return nil
}

// reserve is each key's own rate where its party's is used up: of 50 a second and 500
// at once, 1 and 10.
func (r Rate) reserve() Rate { return Rate{r.PerSecond / 50, max(1, r.Burst/50)} }

// describeTokens says what is counted where a large record counts several times.
func (r Rate) describeTokens() string {
	return fmt.Sprintf("%g records of %d KiB a second, %d at once", r.PerSecond, bytesPerToken>>10, r.Burst)
}

func (r Rate) String() string {
	return fmt.Sprintf("%g records a second, %d at once", r.PerSecond, r.Burst)
}

// tokenBuckets holds one token bucket per key, at most max of them: memory is
// bounded however many keys there are. mu guards byKey; each limiter guards
// itself.
type tokenBuckets struct {
	rate Rate
	max  int

	mu    sync.Mutex
	byKey map[string]*rate.Limiter
}

// newTokenBuckets makes none, which refuses nothing, of a rate below 0.
func newTokenBuckets(r Rate, max int) *tokenBuckets {
	if r.PerSecond < 0 {
		return nil
	}
	return &tokenBuckets{rate: r, max: max, byKey: make(map[string]*rate.Limiter)}
}

// take takes tokens from the bucket of key, and may overdraw it: the bucket then stays
// empty for longer. It takes at most a full bucket.
func (b *tokenBuckets) take(key string, tokens int) {
	if b != nil {
		b.bucket(key).ReserveN(time.Now(), min(tokens, max(1, b.rate.Burst)))
	}
}

// wait says whether key's bucket has no token now, and takes none.
func (b *tokenBuckets) wait(key string) (wait time.Duration, yes bool) {
	if b == nil {
		return 0, false
	}
	b.mu.Lock()
	l := b.byKey[key]
	b.mu.Unlock()
	if l == nil {
		return 0, false
	}
	missing := 1 - l.Tokens()
	if missing <= 0 {
		return 0, false
	}
	return time.Duration(missing / b.rate.PerSecond * float64(time.Second)), true
}

func (b *tokenBuckets) bucket(key string) *rate.Limiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.byKey[key]
	if l == nil {
		if len(b.byKey) >= b.max {
			b.evict()
		}
		l = rate.NewLimiter(rate.Limit(b.rate.PerSecond), b.rate.Burst)
		b.byKey[key] = l
	}
	return l
}

// evict forgets the buckets that are full again, which loses nothing; if every
// one is in use, any one, so that the bound holds.
func (b *tokenBuckets) evict() {
	for key, l := range b.byKey {
		if l.Tokens() >= float64(b.rate.Burst) {
			delete(b.byKey, key)
		}
	}
	for key := range b.byKey {
		if len(b.byKey) < b.max {
			return
		}
		delete(b.byKey, key)
	}
}

// rateAccount says whose rate limit a submission counts against: if it is admitted,
// that of the party (or key) that signed it; if it is refused, that of the address that
// sent it. What a party has signed may be resent by anybody (a draft, a record of
// another ledger), so that refusals never count against the signer.
type rateAccount struct {
	onRefusal, onAdmission *tokenBuckets
	address, payer         string // who is "" if no enrolled key has signed
	tokens                 int    // of who: one for each bytesPerToken of the payload
}

// bytesPerToken is how many bytes of a payload count as one record: what one key may add is
// bounded in bytes too.
const bytesPerToken = 4 << 10

// charge counts the outcome. A refusal counts against the address, also one that is
// cured by waiting, as of a draft dated ahead. Where the ledger cannot tell the
// outcome, the record may have been admitted, and it counts against the signer. Buckets
// may be overdrawn: submissions that were let in at the same time all count.
func (b rateAccount) charge(err error) {
	var refusal *record.Refusal
	switch {
	case err != nil && (b.payer == "" || errors.As(err, &refusal) || problemOf(err).status() < http.StatusInternalServerError):
		b.onRefusal.take(b.address, 1)
	case b.payer != "": // else it is the first charter, by keys that only it lists
		b.onAdmission.take(b.payer, b.tokens)
	}
}

// verifyAndAccount verifies the envelope when it has a slot, unless the limit of the
// address, or of whom the record would count against, is used up.
func (s *Server) verifyAndAccount(ctx context.Context, x *request, env record.Envelope) (record.Verified, rateAccount, error) {
	b := rateAccount{onRefusal: s.perAddress, address: s.address(x)}
	v, st, err := s.openEnvelope(ctx, env, b.check)
	if err == nil {
		err = s.setPayer(v, &b)
		return v, b, err
	}
	if refusal := (*record.Refusal)(nil); errors.As(err, &refusal) {
		b.charge(err)
	}
	if st != nil {
		draft, _ := s.newDraft()
		err = draft.ExplainUnopened(env, st, err)
	}
	return v, b, err
}

// check refuses an address whose limit for refused submissions is used up.
func (b rateAccount) check() error {
	if wait, empty := b.onRefusal.wait(b.address); empty {
		return rateLimited(wait, "too much that came from %s was refused; its limit is %s", b.address, b.onRefusal.rate)
	}
	return nil
}

// openEnvelope verifies the signatures when it has a slot. The statement is returned
// too where it could be read and no signature verifies.
func (s *Server) openEnvelope(ctx context.Context, env record.Envelope, check func() error) (v record.Verified, st *record.Statement, err error) {
	start := time.Now()
	if err := check(); err != nil {
		return record.Verified{}, nil, err
	}
	if err := s.verifyLimiter.acquire(ctx); err != nil {
		return record.Verified{}, nil, err
	}
	defer s.verifyLimiter.release()
	if err := check(); err != nil { // those before it in the queue may have used it up
		return record.Verified{}, nil, err
	}
	v, err = record.Open(env, func(opened *record.Statement) []*record.Key {
		st = opened
		return s.cfg.Register.CandidateKeysFor(env)(st)
	})
	s.metrics.verifySeconds.Observe(time.Since(start).Seconds())
	return v, st, err
}

// setPayer finds whose limit the record counts against: its issuer's if one of the
// issuer's keys signed it, never because the record names the issuer. Where the party's
// limit is used up, the signing key's own reserve is used: a stolen key uses up the
// party's common rate, and cannot keep the other keys from revoking it.
func (s *Server) setPayer(v record.Verified, b *rateAccount) error {
	keys, err := s.cfg.Register.ChargedKeys(v, time.Now())
	if err != nil || len(keys) == 0 { // the keys that it lists alone: it is the first charter, or judging will refuse it
		return err
	}
	b.payer, b.onAdmission, b.tokens = keys[0].Owner, s.perIssuer, 1+len(v.Payload())/bytesPerToken
	if isImport(v.Statement()) {
		b.onAdmission = s.perImporter
	}
	least, empty := b.onAdmission.wait(b.payer)
	if !empty {
		return nil
	}
	limit := b.onAdmission.rate
	for _, k := range keys {
		wait, empty := s.perKey.wait(k.KeyID)
		if !empty {
			b.payer, b.onAdmission = k.KeyID, s.perKey
			return nil
		}
		least = min(least, wait)
	}
	return rateLimited(least, "the limit of %s is %s; for %s alone, %s more", keys[0].Owner, limit.describeTokens(), keys[0].Holder, s.perKey.rate)
}

// isImport says that a record carries over a published list, of which there may
// be thousands at once; only the authority's keys can have signed it.
func isImport(st *record.Statement) bool {
	switch p := st.Predicate.(type) {
	case *record.Designation:
		return p.Source != nil
	case *record.Amendment:
		return p.Source != nil
	case *record.Revocation:
		return p.Cause == "delisted"
	}
	return false
}

func rateLimited(wait time.Duration, format string, args ...any) *problem {
	p := newProblem(problemTooMany, format, args...)
	p.retryAfter = wait
	return p
}

// address is the client's network address without its port; of IPv6 the /64,
// which is what one customer of a provider has.
func (s *Server) address(x *request) string {
	ip, err := netip.ParseAddr(x.ClientIP()) // a trusted proxy says whose it is
	if err != nil {
		return x.Request.RemoteAddr
	}
	network := front.Network(ip)
	if network.IsSingleIP() {
		return network.Addr().String()
	}
	return network.String()
}

// maxUncountedAnswer is the largest answer that answerMemory does not count: a receipt
// with the largest entry fits into it. So connections bound those.
const maxUncountedAnswer = 80 << 10 // bytes

// answerMemory bounds the memory of answers that are being sent, however slowly they
// are read: one address has at most an eighth of it. Where all together exceed the
// limit, the oldest answer is aborted, so that a client that does not read cannot block
// others. mu guards what is below it.
type answerMemory struct {
	limit int // bytes

	mu        sync.Mutex
	total     int
	byAddress map[string]int // by address; no entry is 0
	inFlight  list.List      // of *pendingAnswer, in the order in which they were begun
}

// pendingAnswer is an answer on its way.
type pendingAnswer struct {
	address string
	size    int
	abort   func()
}

func newAnswerMemory(limit int) *answerMemory {
	return &answerMemory{limit: limit, byAddress: make(map[string]int)}
}

// reserve counts an answer until release is called, or refuses it at once; it never
// waits. An answer larger than an address's share is allowed if it is that address's
// only one. abort ends the answer; it is not called any more once release has returned.
func (o *answerMemory) reserve(address string, size int, abort func()) (release func(), err error) {
	if size <= maxUncountedAnswer {
		return func() {}, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if held := o.byAddress[address]; held > 0 && held+size > o.limit/8 {
		return nil, busyProblemAfter(5*time.Second, "%d bytes of answers to %s are not yet read; read them first", held, address)
	}
	for o.total > 0 && o.total+size > o.limit {
		first := o.inFlight.Front()
		o.addSize(first.Value.(*pendingAnswer), -1)
		o.inFlight.Remove(first).(*pendingAnswer).abort()
	}
	p := &pendingAnswer{address, size, abort}
	place := o.inFlight.PushBack(p)
	o.addSize(p, 1)
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		n := o.inFlight.Len()
		if o.inFlight.Remove(place); o.inFlight.Len() < n {
			o.addSize(p, -1)
		}
	}, nil
}

func (o *answerMemory) addSize(p *pendingAnswer, sign int) {
	o.total += sign * p.size
	if o.byAddress[p.address] += sign * p.size; o.byAddress[p.address] == 0 {
		delete(o.byAddress, p.address)
	}
}
