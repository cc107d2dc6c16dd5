package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/certificate"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
	"github.com/seed-53cf897a/docket/ledger/register/view"
	"github.com/seed-53cf897a/docket/server/front"
)

// The environment variables that stand in for --trust and --ledger.
const (
	trustEnv  = "DOCKET_TRUST"
	ledgerEnv = "DOCKET_LEDGER"
)

// trustFlags are the flags that say whom a verb believes, and where the ledger is.
type trustFlags struct {
	app         *app
	given       func(flag string) bool // on the command line, not by the environment
	context     func() context.Context // of the command line
	dir, policy string
	ledgers     []string // URLs of the one ledger, in the order in which they are asked
	maxAge      time.Duration

	parallel  int            // calls that the verb makes at once, if they are many
	inclusion *proof.Policy  // that --policy named, once it is read
	servers   *client.Client // once connected: which server it stays with holds for the run
}

// trustFlags adds --trust to a verb.
func (a *app) trustFlags(c *cobra.Command) *trustFlags {
	t := &trustFlags{app: a, given: c.Flags().Changed, context: c.Context}
	c.Flags().StringVar(&t.dir, "trust", a.getenv(trustEnv), "trust directory (or $"+trustEnv+")")
	c.MarkFlagDirname("trust")
	return t
}

// addLedgerFlag adds --ledger to a verb that asks the server.
func (t *trustFlags) addLedgerFlag(c *cobra.Command) *trustFlags {
	c.Flags().StringArrayVar(&t.ledgers, "ledger", strings.Fields(t.app.getenv(ledgerEnv)), "URL of the ledger, where it is not the trust directory's; repeated: where one is away or behind, the next is asked (or $"+ledgerEnv+", URLs with spaces between)")
	return t
}

// withPolicyFlag adds --policy to a verb for which inclusion alone can be enough.
func (t *trustFlags) withPolicyFlag(c *cobra.Command) *trustFlags {
	c.Flags().StringVar(&t.policy, "policy", "", "tlog-policy file, instead of --trust where only inclusion matters")
	c.MarkFlagFilename("policy", "txt")
	return t
}

// withMaxAgeFlag adds --max-age to a verb that fetches the newest checkpoint.
func (t *trustFlags) withMaxAgeFlag(c *cobra.Command) *trustFlags {
	maxAgeFlag(c, &t.maxAge)
	return t
}

func maxAgeFlag(c *cobra.Command, age *time.Duration) {
	c.Flags().DurationVar(age, "max-age", defaultMaxAge, "how old the ledger's newest checkpoint may be, by its witnesses' clocks; of several URLs, one that shows an older one is left for the next; 0: any")
}

// defaultMaxAge is how old a newest checkpoint may be where nothing else is said.
const defaultMaxAge = time.Hour

// withDefaultMaxAge has a verb without --max-age, which goes on with what is old, look for a newer
// checkpoint at the next of several URLs first.
func (t *trustFlags) withDefaultMaxAge() *trustFlags {
	t.maxAge = defaultMaxAge
	return t
}

// checkAge is exit 3 for a newest checkpoint that is older than it may be: what it
// proves was taken in.
func checkAge(newest *proof.Published, maxAge time.Duration) error {
	if err := client.CheckAge(newest, maxAge, time.Now()); err != nil {
		return notYet("not yet: %w", err).hint("its witnesses are out of its reach, or newer checkpoints are kept from you: ask its operator and another reader, or run the same command later; --max-age 0 takes it as it is")
	}
	return nil
}

// open opens the trust directory; the caller closes it.
func (t *trustFlags) open() (*client.Trust, error) {
	if t.dir == "" {
		return nil, usageError("no trust directory").hint("name one with --trust DIR or $%s; docket trust URL --charter ID --to DIR makes one", trustEnv)
	}
	trust, err := client.OpenTrust(vfs.Default, t.dir)
	if errors.Is(err, client.ErrNoTrust) {
		return nil, usageError("%w", err).hint("docket trust URL --charter ID --to %s makes it one", t.dir)
	} else if err != nil {
		return nil, err
	}
	trust.Fatal, trust.MaxAge = t.app.diskFailed, t.maxAge
	t.app.warnPolicies(trust)
	if err := t.app.rebuildCopy(t.context(), trust); err != nil {
		return nil, errors.Join(err, trust.Close())
	}
	return trust, nil
}

// rebuildCopy makes what an earlier version of docket made of a copy's entries anew, so that
// it can be read.
func (a *app) rebuildCopy(ctx context.Context, trust *client.Trust) error {
	rebuilt, err := trust.Rebuild(ctx)
	if rebuilt {
		a.logf("%s: the register of the copy is of an earlier version of docket, and was made anew from the copy's entries", trust.Dir())
	}
	return err
}

// policies returns what receipts are verified against: the trust directory, or else the
// one policy. trust is nil with a policy; otherwise the caller closes it.
func (t *trustFlags) policies() (p client.Policies, trust *client.Trust, err error) {
	switch {
	case t.policy == "":
		if trust, err = t.open(); err != nil {
			return nil, nil, err
		}
		return trust, trust, nil
	case t.given("trust"):
		return nil, nil, usageError("--trust and --policy exclude each other").hint("--policy is enough for inclusion; --trust also tells who had the right to sign")
	}
	policy, err := t.app.readPolicy(t.policy)
	if err != nil {
		return nil, nil, err
	}
	t.app.logf("policy %s", policy.Fingerprint())
	t.inclusion = policy
	return client.SinglePolicy{Only: policy}, nil, nil
}

// readPolicy reads a policy file, and says what it is not worth.
func (a *app) readPolicy(name string) (*proof.Policy, error) {
	_, policy, err := a.readPolicyText(name)
	if err != nil {
		return nil, err
	}
	a.warnPolicy(policy)
	return policy, nil
}

// warnPolicies is warnPolicy of the newest policy that a trust directory knows, if it knows one.
func (a *app) warnPolicies(trust *client.Trust) {
	if newest, err := trust.Policy(math.MaxUint64); err == nil {
		a.warnPolicy(newest)
	}
}

// warnPolicy says what a policy that is relied on is not worth (DESIGN.md section 3), once in
// a run: many receipts may stand under it.
func (a *app) warnPolicy(p *proof.Policy) {
	for _, w := range p.Warnings() {
		if !slices.Contains(a.warnedPolicies, w) {
			a.warnedPolicies = append(a.warnedPolicies, w)
			a.logf("docket: warning: %s", w)
		}
	}
}

// connect is the ledger's servers: --ledger, or else where the trust directory has it from and
// its policy says it is.
func (t *trustFlags) connect(trust *client.Trust) (*client.Client, error) {
	if t.servers != nil {
		return t.servers, nil
	}
	urls := t.ledgers
	switch {
	case len(urls) > 0:
	case trust != nil:
		urls = callable(trust.URLs())
	case t.inclusion != nil && len(t.inclusion.Logs()) > 0:
		urls = callable(t.inclusion.LogURLs(t.inclusion.Logs()[0].Key.Name()))
	}
	if len(urls) == 0 {
		return nil, usageError("which ledger?").hint("name its URL with --ledger or $%s", ledgerEnv)
	}
	c, err := t.app.connect(t.parallel, urls...)
	t.servers = c
	return c, err
}

// callable leaves out what a policy calls a URL and no call can be made to.
func callable(urls []string) []string {
	return slices.DeleteFunc(slices.Clone(urls), func(url string) bool {
		_, err := wire.ParseBase(url)
		return err != nil
	})
}

// connect talks to the servers of one ledger, and says when it goes on with another one. It
// keeps so many connections open to each.
func (a *app) connect(parallel int, urls ...string) (*client.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = max(parallel, http.DefaultMaxIdleConnsPerHost)
	servers, err := wire.NewServers(transport, urls...)
	if err != nil {
		return nil, usageError("%w", err)
	}
	servers.OnSwitch = func(from, to string, why error) {
		a.logf("docket: warning: %s is away, going on with %s: %s", from, to, printableError(why))
	}
	return client.At(servers), nil
}

// syncOrWarn syncs the copy. If the ledger is unreachable and there is a copy, it warns
// and goes on with that; fresh is false. Without a copy it is an error.
func (t *trustFlags) syncOrWarn(c *cobra.Command, trust *client.Trust) (fresh bool, err error) {
	server, err := t.connect(trust)
	if err != nil {
		return false, err
	}
	if err = t.app.syncTrust(c.Context(), trust, server); err == nil {
		err = checkAge(trust.Checkpoint(), t.maxAge)
	}
	if status, _ := exitStatusOf(err); err == nil || status != exitNotYet || c.Context().Err() != nil || trust.CoveredSize() == 0 {
		return err == nil, err
	}
	t.app.logf("docket: warning: %v; going on with the copy as it is", err)
	return false, nil
}

// asOf says how far, and by whose word, answers from a copy go.
func asOf(p *proof.Published) string { return "as of " + sizeOf(p) }

func sizeOf(p *proof.Published) string {
	size := p.Checkpoint().Size
	if p.Policy().QuorumIsNone() {
		return fmt.Sprintf("size %d, signed by the log alone: no witnesses in the policy", size)
	}
	return fmt.Sprintf("size %d, cosigned %s", size, formatTime(p.LastCosignedAt()))
}

// formatTime writes an instant for people: UTC, whole seconds.
func formatTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// wrongFileError refuses a file that was read and is not what the verb takes: that is misuse,
// unless it looks like what was wanted, or like nothing at all. Then it is damaged.
func wrongFileError(name string, raw []byte, wanted string, err error) *failure {
	what, class := record.DescribeInput(raw), usageError
	if damaged(what, wanted) {
		class = refusal
	}
	next := ""
	switch {
	case strings.Contains(what, "byte order mark"), strings.Contains(what, "UTF-16"):
		next = "an editor or a shell has written it so: save it as UTF-8 without a byte order mark"
	case err != nil && !strings.HasPrefix(err.Error(), "this is "): // a parser that says more
		return class("%s is %s; wanted %s: %w", name, what, wanted, err)
	}
	return class("%s is %s; wanted %s", name, what, wanted).hint("%s", next)
}

// damaged says of a file that cannot be read as what was wanted whether it was that once,
// by what it is described as.
func damaged(what, wanted string) bool {
	if what == "an empty file" || what == "JSON that breaks the rules" || strings.HasPrefix(what, "a damaged ") {
		return true
	}
	noun, _, _ := strings.Cut(what, " (")
	for _, article := range []string{"a DSSE ", "a Sigstore ", "an ", "a ", ""} {
		if bare, ok := strings.CutPrefix(noun, article); ok {
			return strings.Contains(wanted, bare)
		}
	}
	return false
}

// queryFlags are the flags of the verbs that answer from the replayed copy.
type queryFlags struct {
	app            *app
	trust          *trustFlags
	at             string
	size           string
	remote, asJSON bool
	header         []string // of a list's columns
	headed         bool     // the header stands in a pipe too
	limit          int      // of a list: items at most; 0: all
	wide           bool     // its lines are not cut
	ahead          bool     // what was asked about is a day to come; known once the copy is open
	narrowed       bool     // a filter, a day or a size was asked for

	toldUnverified bool // that the server's word is no more than that
	foundNone      bool // the server's answer is that of a search that found nothing
}

// queryFlags adds them to a verb whose answers depend on the day.
func (a *app) queryFlags(c *cobra.Command, own ...string) *queryFlags {
	q := a.askingRecords(c, own...)
	c.Flags().StringVar(&q.at, "at", "", "as it stands at an instant (2027-06-01T00:00:00Z), or at the end of a date (2027-06-01) in the charter's time zone; default now")
	return q
}

// askingRecords adds all but the day. Of the verb's own flags, some are for the copy alone.
func (a *app) askingRecords(c *cobra.Command, own ...string) *queryFlags {
	q := &queryFlags{app: a, trust: a.trustFlags(c).addLedgerFlag(c)}
	f := c.Flags()
	f.StringVar(&q.size, "size", "", "as the first N entries have it; default all that the copy has")
	f.BoolVar(&q.remote, "remote", false, "ask the server instead of the copy: its JSON as it comes, a list page by page, UNVERIFIED")
	f.BoolVar(&q.asJSON, "json", false, "print JSON")
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		c.Flags().Visit(func(f *pflag.Flag) {
			q.narrowed = q.narrowed || !slices.Contains([]string{"trust", "json", "limit", "wide"}, f.Name)
		})
		if !q.remote {
			return idle(c, "without --remote: the copy answers", "ledger")
		}
		if err := idle(c, "beside --remote, which prints the server's JSON as it comes", "json"); err != nil {
			return err
		}
		if c.Flags().Changed("ledger") {
			if err := idle(c, "beside --remote and --ledger: the server answers, and --ledger says where it is", "trust"); err != nil {
				return err
			}
			q.trust.dir = ""
		}
		return idle(c, "beside --remote: the copy alone answers that", own...)
	}
	return q
}

// copyView is the copy as it was asked for, or what an answer file shows of one.
type copyView struct {
	*view.View
	trust  *client.Trust        // nil of a file
	answer *client.AnswerReport // nil of a copy
	at     time.Time
	zone   *time.Location // the charter's
}

// entry reads an entry again.
func (r *copyView) entry(ctx context.Context, index uint64) (record.Entry, error) {
	if r.answer != nil {
		return r.answer.Entry(index)
	}
	raw, err := r.trust.Entry(ctx, index)
	if err != nil {
		return record.Entry{}, err
	}
	return record.ParseEntry(raw)
}

// keyHolder finds whose a key is.
func (r *copyView) keyHolder(keyid string) (register.KeyHolder, error) {
	if r.answer != nil {
		h, _, err := r.answer.KeyHolder(keyid)
		return h, err
	}
	reg, err := r.trust.Register()
	if err != nil {
		return register.KeyHolder{}, err
	}
	h, _, err := reg.KeyHolder(keyid)
	return h, err
}

// open opens the copy and says on stderr as of what it answers; the caller closes
// its trust.
func (q *queryFlags) open() (*copyView, error) {
	trust, err := q.trust.open()
	if err != nil {
		return nil, err
	}
	r, err := q.openCopy(trust)
	if err != nil {
		return nil, errors.Join(err, trust.Close())
	}
	return r, nil
}

func (q *queryFlags) openCopy(trust *client.Trust) (*copyView, error) {
	reg, err := trust.Register()
	if errors.Is(err, client.ErrNoCopy) {
		return nil, refusal("%w", err).hint("docket sync --trust %s", trust.Dir())
	} else if err != nil {
		return nil, err
	}
	size := reg.Size()
	if q.size != "" {
		if size, err = parseSize(q.size, reg.Size()); err != nil {
			return nil, err
		}
	}
	r := &copyView{trust: trust}
	if r.View, err = trust.ViewAt(size); err != nil {
		return nil, err
	}
	if r.zone, err = r.charterTimeZone(); err != nil {
		return nil, err
	}
	if r.at, err = parseAt(q.at, r.zone); err != nil {
		return nil, err
	}
	if len(q.at) == len(time.DateOnly) {
		q.app.logf("%s is asked about as of its end in %s, %s", q.at, r.zone, r.at.Format("2006-01-02T15:04:05.000Z"))
	}
	q.ahead = r.Ahead(r.at, time.Now())
	state := sizeOf(trust.Checkpoint())
	if withheld := trust.Withheld(); withheld != nil {
		q.app.logf("docket: warning: %v, and says nothing of the %s from there on", withheld, register.FormatEntryCount(trust.Checkpoint().Checkpoint().Size-withheld.Index))
	}
	if size != trust.Checkpoint().Checkpoint().Size {
		state = fmt.Sprintf("size %d; the copy is as of %s", size, state)
	}
	if q.ahead {
		state = fmt.Sprintf("%s (a day to come; by what is on the ledger at %s)", r.LocalDate(r.at), state)
	}
	q.app.logf("as of %s; dates are in %s", state, r.zone) // the cosignature's UTC may be of another day
	return r, nil
}

// source says of which ledger an answer is, and names the tree that it rests on.
func (q *queryFlags) source(r *copyView, v *view.View, at time.Time) (view.Source, error) {
	tree, err := r.trust.TreeAt(q.trust.context(), v.Size())
	if err != nil {
		return view.Source{}, err
	}
	return v.SourceOf(at, tree.Root.String(), strings.TrimSuffix(r.trust.URL(), "/"))
}

// printJSON prints an answer that depends on the day; of a day to come it says so.
func (q *queryFlags) printJSON(v any) error {
	if !q.ahead {
		return q.app.printJSON(v)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return q.app.printJSON(jsonText(append([]byte(`{"ahead":true,`), text[1:]...)))
}

// charterTimeZone is that of the newest charter; UTC where the view is of no entry.
func (r *copyView) charterTimeZone() (*time.Location, error) {
	c, err := r.Charter()
	var absent *view.AbsentError
	if errors.As(err, &absent) {
		return time.UTC, nil
	} else if err != nil {
		return nil, err
	}
	return rules1.Location(c.Charter.TimeZone)
}

func parseSize(text string, have uint64) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, usageError("size %q: want a number of entries", text)
	}
	if n > have {
		return 0, refusal("size %d: the copy has %s", n, register.FormatEntryCount(have)).hint("docket sync brings it to the newest checkpoint")
	}
	return n, nil
}

// parseAt reads an instant, or a civil date, which stands for its last moment in the
// charter's time zone: all that was recorded that day counts; "" is now.
func parseAt(text string, zone *time.Location) (time.Time, error) {
	if text == "" {
		return time.Now().UTC(), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UTC(), nil
	}
	t, err := time.ParseInLocation(time.DateOnly, text, zone)
	if err != nil {
		_, err = record.ParseDate(text) // which says why
		return t, usageError("%w, and no instant like 2027-06-01T00:00:00Z", err)
	}
	return endOfDay(t), nil
}

// endOfDay is the last moment of the day whose first one is given: instants on the ledger
// are in whole milliseconds.
func endOfDay(begin time.Time) time.Time {
	return begin.AddDate(0, 0, 1).Add(-time.Millisecond).UTC()
}

// queryServer prints the server's JSON, which is unverified; of a list all pages. path
// is below /v1.
func (q *queryFlags) queryServer(c *cobra.Command, path string, query url.Values) error {
	var trust *client.Trust
	if q.trust.dir != "" {
		var err error
		if trust, err = q.trust.open(); err != nil {
			return err
		}
		defer trust.Close()
	}
	server, err := q.trust.connect(trust)
	if err != nil {
		return err
	}
	for name, value := range map[string]string{"at": q.at, "size": q.size} {
		if value != "" {
			query.Set(name, value)
		}
	}
	for {
		body, err := server.GetUnverified(c.Context(), withQuery("/v1/"+path, query))
		if !q.toldUnverified {
			q.app.logf("UNVERIFIED: this is the word of %s, which nothing here has checked", server.URL())
			q.toldUnverified = true
		}
		if err != nil {
			return err
		}
		if _, err := schema.ParseJSON(body); err != nil { // indented, what is deep is long without end
			return refusal("the server's answer: %w", err)
		}
		var text bytes.Buffer
		if err := json.Indent(&text, body, "", "  "); err != nil {
			return refusal("the server's answer is no JSON: %w", err)
		}
		q.app.printf("%s\n", bytes.TrimSpace(text.Bytes()))
		var list struct {
			Next  string            `json:"next"`
			More  map[string]string `json:"more"`
			Total *int              `json:"total"` // of a search
		}
		if json.Unmarshal(body, &list) != nil {
			list.Next = "" // no list, or none of ours
		}
		q.foundNone = list.Total != nil && *list.Total == 0
		for _, name := range slices.Sorted(maps.Keys(list.More)) {
			q.app.logf("there is more: %s is read whole at %s", printable(name), printable(list.More[name]))
		}
		if list.Next == "" || list.Next == query.Get("after") {
			return nil
		}
		query.Set("after", list.Next)
	}
}

// withQuery is a path with these parameters beside those that it has.
func withQuery(path string, query url.Values) string {
	switch {
	case len(query) == 0:
		return path
	case strings.Contains(path, "?"):
		return path + "&" + query.Encode()
	}
	return path + "?" + query.Encode()
}

// oneOf checks a word from a closed set; "" passes.
func oneOf[T ~string](flag, word string, words []T) (T, error) {
	if word == "" {
		return "", nil
	}
	all := make([]string, len(words))
	for i, w := range words {
		if string(w) == word {
			return w, nil
		}
		all[i] = string(w)
	}
	return "", usageError("--%s %q%s", flag, word, schema.DidYouMean(word, all)).hint("one of %s", strings.Join(all, ", "))
}

// listenFlags are the flags of a public server: its listeners and their limits.
type listenFlags struct {
	address, metrics              string
	proxies                       []string
	maxConnections, maxPerAddress int
}

func (l *listenFlags) flags(c *cobra.Command, address string, most int) {
	f := c.Flags()
	f.StringVar(&l.address, "listen", address, "address to listen on; port 0 takes a free one")
	f.StringVar(&l.metrics, "metrics-listen", "", "address of a listener for Prometheus alone, at /metrics, plain HTTP: one that strangers cannot reach (default: none)")
	f.StringSliceVar(&l.proxies, "trusted-proxy", nil, "address or network of a proxy before the server, behind which many clients have one address; may be repeated")
	f.IntVar(&l.maxConnections, "max-connections", most, "connections open at once")
	f.IntVar(&l.maxPerAddress, "max-address-connections", 0, "connections of one address (/64 of IPv6) open at once; 0 means an eighth of all")
}

// open opens the listeners; that of the metrics is nil unless it was asked for.
func (l *listenFlags) open() (main, metrics net.Listener, err error) {
	if main, err = listenOn("--listen", l.address); err != nil || l.metrics == "" {
		return main, nil, err
	}
	if metrics, err = listenOn("--metrics-listen", l.metrics); err != nil {
		main.Close()
	}
	return main, metrics, err
}

func listenOn(flag, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, refusal("listening on %s: %w", address, err).hint("another process has the port: end it, or name another with %s", flag)
	case err != nil:
		return nil, usageError("listening on %s: %w", address, err).hint("an address is HOST:PORT of this machine, like 127.0.0.1:8470 or :443")
	}
	return l, nil
}

// proxyPrefixes refuses limits that no server can keep, and parses the proxies.
func (l *listenFlags) proxyPrefixes() ([]netip.Prefix, error) {
	if l.maxConnections < 1 || l.maxPerAddress < 0 {
		return nil, usageError("--max-connections %d, --max-address-connections %d: want a number of connections", l.maxConnections, l.maxPerAddress)
	}
	proxies, err := front.ParseProxies(l.proxies)
	if err != nil {
		return nil, usageError("--trusted-proxy: %w", err)
	}
	return proxies, nil
}

// allowedConnections is how many there may be: half of what the process may open, since a store
// that can open no file ends it.
func (l *listenFlags) allowedConnections(log *slog.Logger) int {
	files := maxOpenFiles()
	if uint64(l.maxConnections) <= files/2 {
		return l.maxConnections
	}
	log.Warn("this process may open few files, so it takes fewer connections; raise the limit (ulimit -n, LimitNOFILE)",
		"files", files, "connections", files/2)
	return int(files / 2)
}

// tlsFlags are the flags that make a verb serve TLS.
type tlsFlags struct{ cert, key string }

func (t *tlsFlags) flags(c *cobra.Command) {
	c.Flags().StringVar(&t.cert, "tls-cert", "", "PEM file of the certificate and its chain")
	c.Flags().StringVar(&t.key, "tls-key", "", "PEM file of the certificate's private key")
}

// config loads the certificate and reloads it when the files change; nil without the
// flags. It is called before the server's URL is printed.
func (t *tlsFlags) config(log *slog.Logger) (*tls.Config, error) {
	switch {
	case t.cert == "" && t.key == "":
		return nil, nil
	case t.cert == "" || t.key == "":
		return nil, usageError("--tls-cert and --tls-key go together")
	}
	c, err := certificate.ReloadingConfig(t.cert, t.key, log)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usageError("--tls-cert and --tls-key: %w", err)
	} else if err != nil {
		return nil, refusal("--tls-cert and --tls-key: %w", err)
	}
	return c, nil
}

// urlOf is where what listens is reached, with that TLS or none.
func urlOf(l net.Listener, c *tls.Config) string {
	if c == nil {
		return fmt.Sprintf("http://%s", l.Addr())
	}
	return fmt.Sprintf("https://%s", l.Addr())
}
