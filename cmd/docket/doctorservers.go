package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/certificate"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// What docket doctor asks of others: the ledger's servers and the witnesses of its policy.

// doctorTimeout is how long one server is waited for.
const doctorTimeout = 5 * time.Second

// maxDoctorAnswer bounds what is read of an answer.
const maxDoctorAnswer = 1 << 20

// probe is one answer.
type probe struct {
	status  int
	body    []byte
	skew    time.Duration // of the clock here against the server's; 0 if it does not say
	dated   bool
	expires time.Time // of the certificate; zero without TLS
}

// ask makes one request.
func (d *doctor) ask(ctx context.Context, url string) (p probe, err error) {
	ctx, cancel := context.WithTimeout(ctx, doctorTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return p, err
	}
	begun := time.Now()
	res, err := wire.NewHTTP(nil).Do(req)
	if err != nil {
		return p, err
	}
	defer res.Body.Close()
	if at, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		half := time.Since(begun) / 2
		p.skew, p.dated = begun.Add(half).Sub(at.Add(time.Second/2)), true
	}
	if res.TLS != nil && len(res.TLS.PeerCertificates) > 0 {
		p.expires = res.TLS.PeerCertificates[0].NotAfter
	}
	p.status = res.StatusCode
	p.body, err = io.ReadAll(io.LimitReader(res.Body, maxDoctorAnswer))
	return p, err
}

// askPolicy takes the ledger's own word for its policy.
func (d *doctor) askPolicy(ctx context.Context) {
	p, err := d.ask(ctx, d.url+"/v1/register/policy")
	var answer struct{ Policy string }
	if err != nil || p.status != http.StatusOK || json.Unmarshal(p.body, &answer) != nil {
		return // lookAtServer says so
	}
	policy, err := proof.ParsePolicy([]byte(answer.Policy))
	if err != nil {
		d.say(pointFail, "policy", "the server is of another version, or something stands between", "what %s says is its policy is none: %v", d.url, err)
		return
	}
	d.policy = policy
	if d.origin == "" && len(policy.Origins()) > 0 {
		d.origin = policy.Origins()[0]
	}
}

// lookAround looks at the policy, and asks the ledger and the witnesses.
func (d *doctor) lookAround(ctx context.Context) {
	if d.policy == nil && d.url != "" {
		d.askPolicy(ctx)
	}
	if d.policy != nil {
		d.lookAtPolicy()
	}
	urls := []string{d.url}
	if d.url == "" && d.policy != nil {
		urls = nil
		for _, l := range d.policy.Logs() {
			if l.URL != "" && !slices.Contains(urls, l.URL) {
				urls = append(urls, l.URL)
			}
		}
	}
	var skews []time.Duration
	for _, url := range urls {
		if url != "" {
			skews = append(skews, d.lookAtServer(ctx, strings.TrimRight(url, "/"))...)
		}
	}
	if d.policy != nil {
		skews = append(skews, d.lookAtWitnesses(ctx)...)
	}
	d.lookAtClock(skews)
}

func (d *doctor) lookAtPolicy() {
	what := fmt.Sprintf("quorum %s; a fork needs %s", quorumText(d.policy), forkText(d.policy))
	switch {
	case d.policy.QuorumIsNone():
		d.say(pointWarn, "policy", "a charter that names witnesses of other people's", "%s", what)
	case d.policy.CheckQuorumsIntersect() != nil:
		d.say(pointFail, "policy", "a charter whose quorums have a witness in common", "%s", what)
	case d.policy.ForkCost() == 1:
		d.say(pointWarn, "policy", "a charter with more witnesses, or a larger quorum", "%s", what)
	default:
		d.say(pointOK, "policy", "", "%s", what)
	}
	if !d.policy.PostQuantum() {
		d.say(pointOK, "post-quantum", "", "no: some key of the log, or of its quorum, is not ML-DSA")
	} else {
		d.say(pointOK, "post-quantum", "", "yes: every log key and every key of the quorum is ML-DSA")
	}
}

// lookAtServer asks a ledger's server.
func (d *doctor) lookAtServer(ctx context.Context, url string) []time.Duration {
	p, err := d.ask(ctx, url+"/checkpoint")
	if err != nil {
		verdict := pointWarn
		if url == d.asked { // who names a URL expects it to answer
			verdict = pointFail
		}
		d.notReached(verdict, "ledger "+url, "look whether it runs, and whether this machine may reach it", err)
		return nil
	}
	d.lookAtCertificate("ledger "+url, p)
	cp, _, bad := proof.ParseCheckpoint(p.body)
	switch {
	case p.status == http.StatusNotFound:
		d.say(pointWarn, "ledger "+url, "if that is its URL, it has published nothing yet: see /v1/witnesses there", "it shows no checkpoint")
	case p.status != http.StatusOK || bad != nil:
		d.say(pointFail, "ledger "+url, "check the URL, and what stands between", "status %d to GET /checkpoint, and no checkpoint", p.status)
	case d.origin != "" && cp.Origin != d.origin:
		d.say(pointFail, "ledger "+url, "check the URL", "it serves %s, and not %s", printable(cp.Origin), d.origin)
	case d.dir != "" && d.published > 0 && cp.Size > d.published:
		d.say(pointFail, "ledger "+url, "do not start a docket serve on this directory: whoever serves there has the newer store", "it shows size %d, and the store here has published %d: this is an older copy", cp.Size, d.published)
	default:
		d.say(pointOK, "ledger "+url, "", "it shows size %d", cp.Size)
	}
	if bad == nil && cp.Size > d.published {
		d.published = cp.Size
	}
	if ready, err := d.ask(ctx, url+"/readyz"); err == nil && ready.status == http.StatusServiceUnavailable {
		var h struct{ Reasons []string }
		json.Unmarshal(ready.body, &h) // another server's: its status is enough
		d.say(pointFail, "ready "+url, "README \"Operate\" says what each reason is", "%s", cmp.Or(printable(strings.Join(h.Reasons, "; ")), "not ready"))
	} else if err == nil && ready.status == http.StatusOK {
		var h struct{ Damage []string }
		if json.Unmarshal(ready.body, &h); len(h.Damage) > 0 {
			d.say(pointFail, "ready "+url, "end docket serve, and docket fsck its directory", "%s", printable(strings.Join(h.Damage, "; ")))
		} else {
			d.say(pointOK, "ready "+url, "", "records are taken and published")
		}
	}
	return skewOf(p)
}

func skewOf(p probe) []time.Duration {
	if !p.dated {
		return nil
	}
	return []time.Duration{p.skew}
}

// notReached says why somebody did not answer; a certificate that has expired keeps everybody
// out.
func (d *doctor) notReached(verdict, subject, do string, err error) {
	if hasExpired(err) {
		verdict, do = pointFail, "whoever runs it renews the certificate: docket takes up renewed files within a minute"
	}
	d.say(verdict, subject, do, "not reached: %v", err)
}

func (d *doctor) lookAtCertificate(subject string, p probe) {
	if p.expires.IsZero() {
		return
	}
	verdict, do := pointOK, ""
	if time.Until(p.expires) < certificate.ExpiresSoon {
		verdict, do = pointWarn, "see to its renewal: docket takes up renewed files within a minute"
	}
	d.say(verdict, subject, do, "its certificate is good until %s", p.expires.UTC().Format(time.DateOnly))
}

// lookAtWitnesses asks all witnesses of the policy at once.
func (d *doctor) lookAtWitnesses(ctx context.Context) (skews []time.Duration) {
	type answer struct {
		probe
		err       error
		ready     probe
		readyErr  error
		name, url string
	}
	var all []*answer
	for _, w := range d.policy.Witnesses() {
		if w.URL == "" {
			d.say(pointWarn, "witness "+w.Name, "a charter whose policy has its URL, if docket serve is to ask it", "the policy gives no URL for it")
		} else if !slices.ContainsFunc(all, func(a *answer) bool { return a.url == strings.TrimRight(w.URL, "/") }) {
			all = append(all, &answer{name: w.Name, url: strings.TrimRight(w.URL, "/")})
		}
	}
	var g errgroup.Group
	g.SetLimit(16)
	for _, a := range all {
		g.Go(func() error {
			a.probe, a.err = d.ask(ctx, a.url+"/"+wire.OriginHash(d.origin)+"/checkpoint")
			if a.err == nil {
				a.ready, a.readyErr = d.ask(ctx, a.url+"/readyz")
			}
			return nil
		})
	}
	g.Wait() // no error is returned
	for _, a := range all {
		subject := "witness " + a.name
		if a.err != nil {
			d.notReached(pointWarn, subject, "ask its operator; without a quorum nothing is published", a.err)
			continue
		}
		d.lookAtCertificate(subject, a.probe)
		skews = append(skews, skewOf(a.probe)...)
		cp, _, bad := proof.ParseCheckpoint(a.body)
		switch {
		case a.readyErr == nil && a.ready.status == http.StatusServiceUnavailable:
			d.say(pointFail, subject, "ask its operator", "it cosigns nothing now: %s", printable(firstLineOf(a.ready.body)))
		case a.status == http.StatusNotFound:
			d.say(pointWarn, subject, "its operator puts the log on its list (docket init --contact prints the lines)", "it has cosigned nothing of %s", d.origin)
		case a.status != http.StatusOK || bad != nil:
			d.say(pointWarn, subject, "ask its operator", "status %d, and no checkpoint", a.status)
		case cp.Size < d.published:
			d.say(pointWarn, subject, "if that stays so, ask its operator", "it has cosigned size %d, %d entries behind", cp.Size, d.published-cp.Size)
		default:
			d.say(pointOK, subject, "", "it has cosigned size %d", cp.Size)
		}
	}
	return skews
}

func firstLineOf(text []byte) string {
	line, _, _ := strings.Cut(string(text[:min(len(text), 200)]), "\n")
	return line
}

// lookAtClock compares the clock here with those that were told; the middle one counts, so
// that one server that is wrong decides nothing.
func (d *doctor) lookAtClock(skews []time.Duration) {
	if len(skews) == 0 {
		d.say(pointWarn, "clock", "look whether it is kept right, as by NTP", "nobody was reached who tells the time")
		return
	}
	slices.Sort(skews)
	off := skews[len(skews)/2].Round(time.Second)
	direction := "ahead of"
	if off < 0 {
		direction = "behind"
	}
	switch {
	case off.Abs() > proof.MaxClockSkew:
		d.say(pointFail, "clock", "set it: no record is taken, and no cosignature believed, while it is so far off", "%v %s the others", off.Abs(), direction)
	case off.Abs() > 10*time.Second:
		d.say(pointWarn, "clock", "set it: up to 5 minutes cost nothing yet", "%v %s the others", off.Abs(), direction)
	default:
		d.say(pointOK, "clock", "", "within 10 s of the others (%d asked)", len(skews))
	}
}
