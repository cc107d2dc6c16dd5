package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/server"
)

// pageFirstByte is within which time the first byte of a page comes, whatever stands on the ledger.
const pageFirstByte = 20 * time.Millisecond

// pageKind is one kind of page, and an address of it: a `*` stands for the first thing that the
// list before it names.
type pageKind struct{ Name, List, Path string }

// pageKinds are those that a reader meets, the dearest of each.
func pageKinds(now time.Time) []pageKind {
	ahead := url.QueryEscape(record.DateOf(now, time.UTC).AddDays(300).String())
	return []pageKind{
		{"home", "", "/"},
		{"home, of a day ahead", "", "/?at=" + ahead},
		{"search, a word that all bear", "", "/search?q=fictional"},
		{"search, a name", "", "/search?q=target+2026-000123"},
		{"search, misspelt", "", "/search?q=tagret+2026-00123"},
		{"search, nothing", "", "/search?q=zzyzx+quorum"},
		{"designations", "", "/designations"},
		{"designations, chosen", "", "/designations?status=announced&country=XB"},
		{"designations, none", "", "/designations?country=NO"},
		{"designations, of a day ahead", "", "/designations?status=in-force&at=" + ahead},
		{"designation", "/designations", "/designations/*"},
		{"duties", "", "/duties"},
		{"duties, late on a day ahead", "", "/duties?state=overdue&at=" + ahead},
		{"duties of a party", "/parties?role=provider", "/duties?party=*"},
		{"licences", "", "/licences"},
		{"licence", "/licences", "/licences/*"},
		{"requests", "", "/requests"},
		{"request", "/requests", "/requests/*"},
		{"cooperation", "", "/cooperation"},
		{"jurisdiction", "", "/jurisdictions/XB"},
		{"parties", "", "/parties"},
		{"party, a provider", "/parties?role=provider", "/parties/*"},
		{"party, the authority", "", "/parties/authority"},
		{"changes", "", "/changes"},
		{"changes, since the first record", "", "/changes?from=0"},
		{"records", "", "/records"},
		{"records of a kind", "", "/records?kind=response"},
		{"records of an issuer", "/parties?role=provider", "/records?issuer=*"},
		{"record", "/records", "/records/*"},
		{"thread", "/records?kind=response", "/threads/*"},
		{"identifier that all bear", "", "/identifiers/domain/kestrel.example"},
		{"lists", "", "/lists"},
		{"checkpoints", "", "/checkpoints"},
		{"schemas", "", "/schemas"},
		{"API", "", "/api"},
		{"how to verify", "", "/how-to-verify"},
		{"GET /v1/register/search", "", "/v1/register/search?q=target+2026-000123"},
	}
}

// pages measures each kind of page on the ledger that the records went into, with licences and
// requests beside them: time to the first byte, and bytes as they are sent.
func (r *run) pages(ctx context.Context) error {
	if _, err := r.filledLedger(ctx); err != nil {
		return err
	}
	w := r.recordsLedger
	if err := w.appendOthers(ctx, max(r.Records/100, 20)); err != nil {
		return err
	}
	return r.measurePages(ctx, w)
}

// measurePages serves a ledger on loopback and asks for its pages.
func (r *run) measurePages(ctx context.Context, w *benchLedger) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	serving, end := context.WithCancel(ctx)
	defer end()
	served := make(chan error, 1)
	go func() { served <- w.node.Serve(serving, l, server.Config{}) }()
	p := pageReader{"http://" + l.Addr().String(), &http.Client{Transport: &http.Transport{DisableCompression: true}}}
	err = r.awaitCounts(ctx, p)
	for _, kind := range pageKinds(time.Now()) {
		if err != nil {
			break
		}
		err = r.measurePage(ctx, p, w.node.Register, kind)
	}
	p.client.CloseIdleConnections()
	end()
	if err := errors.Join(err, <-served); err != nil {
		return err
	}
	return w.reopen(ctx)
}

// awaitCounts waits until the lists that are too long for a request are counted.
func (r *run) awaitCounts(ctx context.Context, p pageReader) error {
	begun := time.Now()
	for {
		body, _, err := p.get(ctx, "/duties")
		if err != nil {
			return err
		}
		if !strings.Contains(string(body), "more than one page counts") {
			r.row("pages: the lists are counted after", time.Since(begun).Seconds(), "s")
			return nil
		}
		if time.Since(begun) > 30*time.Minute {
			return errors.New("the duties are not counted within half an hour")
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
}

// measurePage asks for one page again and again, after the first answer.
func (r *run) measurePage(ctx context.Context, p pageReader, reg *register.Register, kind pageKind) error {
	path, err := p.resolve(ctx, kind)
	if err != nil {
		return fmt.Errorf("%s: %w", kind.Name, err)
	}
	if path == "" {
		return nil // there is none on this ledger
	}
	const times = 40
	took := make([]time.Duration, 0, times)
	var body []byte
	var first time.Duration
	rows, cpu := uint64(0), time.Duration(0)
	for n := range times + 1 {
		if n == 1 {
			rows, cpu = reg.RowsRead(), cpuTime()
		}
		begun := time.Now()
		text, at, err := p.get(ctx, path)
		if err != nil {
			return fmt.Errorf("%s: %w", kind.Name, err)
		}
		if body = text; n == 0 {
			first = at.Sub(begun)
		} else {
			took = append(took, at.Sub(begun))
		}
	}
	cpu = (cpuTime() - cpu) / times
	slices.Sort(took)
	r.Report(Row{
		Name: "page: " + kind.Name, Value: quantile(took, 0.5), Unit: "ms", Limit: float64(pageFirstByte.Milliseconds()), LimitName: "promised",
		First: float64(first.Microseconds()) / 1000, P99: quantile(took, 0.99), Bytes: len(body),
		Rows: int(reg.RowsRead()-rows) / times, CPU: float64(cpu.Microseconds()) / 1000,
	})
	return nil
}

// cpuTime is what this process has used of the processors: on a machine that others use too it says more than the
// clock.
func cpuTime() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// pageReader asks for pages as a browser that takes them compressed.
type pageReader struct {
	url    string
	client *http.Client
}

// get is what is sent, and when its first byte came.
func (p pageReader) get(ctx context.Context, path string) (body []byte, at time.Time, err error) {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotFirstResponseByte: func() { at = time.Now() }})
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path, nil)
	if err != nil {
		return nil, at, err
	}
	q.Header.Set("Accept-Encoding", "gzip")
	a, err := p.client.Do(q)
	if err != nil {
		return nil, at, err
	}
	defer a.Body.Close()
	if body, err = io.ReadAll(io.LimitReader(a.Body, 16<<20)); err == nil && a.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.300s", path, a.Status, body)
	}
	return body, at, err
}

// resolve fills the place in an address; "" where the list names nothing.
func (p pageReader) resolve(ctx context.Context, kind pageKind) (path string, err error) {
	before, after, open := strings.Cut(kind.Path, "*")
	if !open {
		return kind.Path, nil
	}
	list, _, err := p.get(ctx, kind.List)
	if err != nil {
		return "", err
	}
	link := before
	if i := slices.Index([]string{"/duties?party=", "/records?issuer="}, before); i >= 0 {
		link = "/parties/"
	}
	if m := regexp.MustCompile(`<t[dh][^>]*><a href="` + regexp.QuoteMeta(link) + `([^"?#]+)"`).FindSubmatch(list); m != nil {
		return before + string(m[1]) + after, nil
	}
	return "", nil
}

// appendOthers appends as many licences and requests to disclose.
func (w *benchLedger) appendOthers(ctx context.Context, n int) error {
	envs := make([]record.Envelope, 0, 2*n)
	today := w.Today()
	for i := range n {
		envs = append(envs, w.Sign(w.Statement(record.LicenceThread(fmt.Sprintf("2026-%06d", i)), record.Authority, &record.Licence{
			Type: record.LicenceSpecific, Holder: providerName(i % providers), Designations: []string{designationName(i % w.designations)},
			From: today, Until: today.AddDays(9), Permits: "what winds down accounts",
		}), "authority/officer-2"))
		envs = append(envs, w.Request(fmt.Sprintf("2026-%06d", i), w.NewRequest(providerName(i%providers))))
	}
	if _, err := w.fill(ctx, len(envs), inTurn(envs)); err != nil {
		return err
	}
	return w.node.Ledger.Publish(ctx)
}
