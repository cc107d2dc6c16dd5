package server

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// Bounds of what a replica asks of the writer.
const (
	maxForwarded        = 64               // requests at once
	maxForwardHops      = 4                // replicas behind one another
	maxForwardedAnswer  = 1 << 20          // bytes: a receipt holds one entry, of 64 KiB at most
	forwardGrace        = 10 * time.Second // that the writer's answer may take beyond the quorum's time, at least
	forwardedName       = "docket-"        // pseudonyms of replicas in Via begin with it
	writerAwayRetryTime = 10 * time.Second
)

// retryTime is when who asked is to ask again: of who takes the writer's place, soon.
func (r *Replica) retryTime() time.Duration {
	if r.State().Standby != nil {
		return waitingRetryTime
	}
	return writerAwayRetryTime
}

// ofWriter says that only the ledger's writer answers a route: what is submitted, and what it
// alone keeps.
func (r route) ofWriter(of *Replica) bool {
	return r.method == http.MethodPost || slices.Contains([]string{"/v1/witnesses", "/v1/auditors"}, r.path) || r.path == "/v1/checkpoints" && of.CheckpointAt == nil
}

// passedOn are the headers of a writer's answer that a replica hands on.
var passedOn = []string{"Content-Type", "Location", "Docket-Record", "Docket-Index", "Retry-After", "Cache-Control", "ETag"}

// forward asks the source what it alone answers, and hands on what it says: the status, the
// headers that are its own, the body. The sender verifies a receipt as of any server. What is
// published already is answered from the copy. Of several sources another is asked where one is away:
// what is sent twice is taken once.
func (s *Server) forward(x *request) error {
	via, err := s.nextHop(x)
	if err != nil {
		return err
	}
	var body []byte
	if x.Request.Method == http.MethodPost {
		pooled, err := s.bodyPool.read(x.Request)
		if err != nil {
			return err
		}
		body = bytes.Clone(*pooled) // a transport may read it after its answer
		s.bodyPool.put(pooled)
		if answered, err := s.answerPublished(x, body); answered || err != nil {
			return err
		}
	}
	account := rateAccount{onRefusal: s.perAddress, address: s.address(x)}
	if err := account.check(); err != nil {
		return err
	}
	if err := x.acquire(s.forwarding); err != nil {
		return err
	}
	defer x.release()
	ctx, cancel := context.WithTimeout(x.Request.Context(), max(s.cfg.PublishWait+forwardGrace, s.cfg.WriteTimeout*3/4))
	defer cancel()
	res, answer, err := s.askWriter(ctx, x, via, body)
	if err != nil {
		s.metrics.forwarded.WithLabelValues("away").Inc()
		return retryable(problemWriterAway, s.cfg.replica().retryTime(), err, "this is a replica, and the ledger's writer is not reached from here now; send the same bytes again later: a record is there once, however often it is sent. Reads go on")
	}
	if x.Request.Method == http.MethodPost && res.StatusCode >= 400 && res.StatusCode < 500 {
		account.onRefusal.take(account.address, 1)
	}
	if err := s.checkAnswer(x, res, answer); err != nil {
		s.metrics.forwarded.WithLabelValues("away").Inc()
		return err
	}
	s.metrics.forwarded.WithLabelValues("answered").Inc()
	h := x.Writer.Header()
	for _, name := range passedOn {
		if v := res.Header.Get(name); v != "" {
			h[name] = []string{v}
		}
	}
	return x.answerBytes(res.StatusCode, res.Header.Get("Content-Type"), answer)
}

// nextHop is the Via header of a request that is sent on (RFC 9110 section 7.6.3), by which the
// one that comes back is known.
func (s *Server) nextHop(x *request) (string, error) {
	own, hops := forwardedName+s.processID, 0
	var before []string
	for _, line := range x.Request.Header.Values("Via") {
		for hop := range strings.SplitSeq(line, ",") {
			before = append(before, strings.TrimSpace(hop))
			if fields := strings.Fields(hop); len(fields) > 1 && strings.HasPrefix(fields[1], forwardedName) {
				if hops++; fields[1] == own || hops >= maxForwardHops {
					return "", newProblem(problemLoop, "this request has come through %d replicas, and none of them is the writer: replicas follow one another in a circle, or are too many behind one another; name the writer with --from, and where others reach it with --url", hops)
				}
			}
		}
	}
	return strings.Join(append(before, "1.1 "+own), ", "), nil
}

// answerPublished answers a submission whose record is published already, as the writer would.
func (s *Server) answerPublished(x *request, body []byte) (answered bool, err error) {
	if x.FullPath() != "/v1/records" || x.Request.URL.RawQuery != "" && x.Request.URL.RawQuery != "wait=published" {
		return false, nil
	}
	env, err := record.ParseEnvelope(body)
	if err != nil {
		return false, nil // the writer says why
	}
	id := record.IDOf(env.Payload)
	index, known, err := s.cfg.Register.Lookup(id)
	if err != nil || !known || index >= s.publishedSize() {
		return false, err
	}
	x.setRecordHeaders(id, index)
	s.metrics.countOutcome(outcomeKnown)
	return true, s.answerReceipt(x.Request.Context(), x, index, http.StatusOK)
}

// askWriter makes one request of the source.
func (s *Server) askWriter(ctx context.Context, x *request, via string, body []byte) (*http.Response, []byte, error) {
	path := x.Request.URL.EscapedPath()
	if q := x.Request.URL.RawQuery; q != "" {
		path += "?" + q
	}
	method := x.Request.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, method, path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	for _, name := range []string{"Content-Type", "Content-Encoding", "Accept"} {
		if v := x.Request.Header.Get(name); v != "" {
			req.Header.Set(name, v)
		}
	}
	req.Header.Set("Via", via)
	from := x.ClientIP() // those before it were believed only of a proxy that is trusted here
	req.Header.Set("X-Forwarded-For", from)
	req.Header.Set("User-Agent", "docket-replica")
	res, err := s.cfg.replica().Send(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxForwardedAnswer+1))
	if err == nil && len(answer) > maxForwardedAnswer {
		err = fmt.Errorf("its answer is longer than %d bytes", maxForwardedAnswer)
	}
	return res, answer, err
}

// checkAnswer refuses to hand on what no ledger answers, a web page above all, or a refusal that says
// nothing, and a checkpoint that is none of this ledger.
func (s *Server) checkAnswer(x *request, res *http.Response, answer []byte) error {
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	kinds := []string{"text/plain", "application/json"}
	if res.StatusCode >= 400 {
		kinds = []string{"application/problem+json"}
	}
	if res.StatusCode >= 300 && res.StatusCode < 400 || !slices.Contains(kinds, media) {
		err := fmt.Errorf("status %d, %q", res.StatusCode, media)
		return retryable(problemWriterAway, writerAwayRetryTime, err, "this is a replica, and where it sends this on no ledger answers; send the same bytes again later. Reads go on")
	}
	if x.FullPath() != "/v1/checkpoints" || res.StatusCode != http.StatusOK {
		return nil
	}
	if _, err := s.cfg.replica().Verify(x.Request.Context(), answer); err != nil {
		return retryable(problemWriterAway, writerAwayRetryTime, fmt.Errorf("a checkpoint of the past: %w", err), "the checkpoint that the ledger's writer hands out for that moment is not one that this replica can verify, so it is not handed on")
	}
	return nil
}
