package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/server"
)

func (a *app) browse() *cobra.Command {
	c := &cobra.Command{
		Use:   "browse --trust DIR",
		Short: "Read the replayed copy in a browser, on this machine alone",
		Long: `Serves the pages that a ledger has, from the copy that docket sync replayed: each page
says VERIFIED, as of which size, when that was cosigned, and by whom. No server is asked,
but by the button that syncs. The pages are served on loopback, and opened in the browser,
until the command is interrupted.

Records that came since you last looked bear a mark, until you press "Mark all as seen":
the size up to which you have looked is kept in the trust directory (` + browsedFile + `). A
copy that cannot be written to is read all the same; then the marks last as long as the
command.`,
		Example: `  docket browse --trust trust
  docket browse --trust trust --listen 127.0.0.1:8480 --no-open`,
		Args: cobra.NoArgs,
	}
	b := &browser{app: a, flags: a.trustFlags(c).addLedgerFlag(c).withDefaultMaxAge(), token: rand.Text()}
	var listen string
	var noOpen bool
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "loopback address for the pages")
	c.Flags().BoolVar(&noOpen, "no-open", false, "open no browser: print the address alone")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if !loopback(listen) {
			return usageError("--listen %s: the copy is shown to this machine alone, so it stays on loopback", listen).hint("like 127.0.0.1:8480; docket serve is for others")
		}
		if err := b.open(); err != nil {
			return err
		}
		defer func() { b.trust.Close() }()
		l, err := net.Listen("tcp", listen)
		if err != nil {
			return err
		}
		address := "http://" + l.Addr().String() + "/"
		a.logf("VERIFIED: %s, read from %s; interrupt to end it", asOf(b.trust.Checkpoint()), b.trust.Dir())
		a.offerAddress(c.Context(), address, !noOpen)
		return b.serve(c.Context(), l)
	}
	return c
}

// browsedFile keeps, in the trust directory, up to which size its reader has looked at the copy.
const browsedFile = "browsed.json"

type browsed struct {
	Size uint64 `json:"size"`
}

// browser serves one copy. A sync puts the next one in its place.
type browser struct {
	app   *app
	flags *trustFlags
	token string // that forms of our pages have, and no other page's

	syncing sync.Mutex // held by a sync

	mu       sync.RWMutex // read while a page is made; it guards what is below
	trust    *client.Trust
	pages    http.Handler
	seen     uint64
	readOnly bool // marks cannot be kept
	said     string
	failed   bool
}

// open opens the copy for the first time.
func (b *browser) open() error {
	trust, pages, err := b.openPages()
	if err != nil {
		return err
	}
	b.trust, b.pages, b.seen = trust, pages, trust.CoveredSize()
	raw, err := disk.ReadFile(vfs.Default, filepath.Join(trust.Dir(), browsedFile))
	var last browsed
	if err == nil && json.Unmarshal(raw, &last) == nil {
		b.seen = min(last.Size, b.seen)
		return nil
	}
	b.keepSeen() // there was no look before: what comes from now on is new
	return nil
}

// openPages opens the newest copy, and makes its pages.
func (b *browser) openPages() (*client.Trust, http.Handler, error) {
	trust, err := b.flags.open()
	if err != nil {
		return nil, nil, err
	}
	pages, err := b.pagesOf(trust)
	if err != nil {
		return nil, nil, errors.Join(err, trust.Close())
	}
	return trust, pages, nil
}

// pagesOf are the pages of a copy.
func (b *browser) pagesOf(trust *client.Trust) (http.Handler, error) {
	reg, err := trust.Register()
	if errors.Is(err, client.ErrNoCopy) {
		return nil, refusal("%w", err).hint("docket sync --trust %s", trust.Dir())
	} else if err != nil {
		return nil, err
	}
	s, err := server.New(server.Config{
		Register: reg,
		Log:      slog.New(slog.NewTextHandler(b.app.err, &slog.HandlerOptions{Level: slog.LevelError})),
		Copy:     &server.Copy{Reader: trust.Reader(), Times: trust.CosignedBy, State: func() server.CopyState { return b.stateOf(trust) }},
		// Its reader waits for his own machine alone: a long list is read whole.
		QueryBudget: register.ReadBudget{Rows: 200_000, Bytes: 128 << 20},
	})
	if err != nil {
		return nil, err
	}
	return s.Handler(), nil
}

// stateOf is what the pages of a copy say of it. It is asked while a page is made, under b.mu.
func (b *browser) stateOf(trust *client.Trust) server.CopyState {
	published := trust.Checkpoint()
	state := server.CopyState{
		URL: trust.URL(), Size: published.Checkpoint().Size, Covered: trust.CoveredSize(), Cosigned: published.LastCosignedAt(),
		By: published.SatisfiedMembers(published.LastCosignedAt()), Seen: b.seen, Said: b.said, Failed: b.failed, ReadOnly: b.readOnly, Token: b.token,
	}
	if !published.Policy().QuorumIsNone() {
		k, _ := published.Policy().QuorumSize()
		state.Needed = fmt.Sprintf("%d needed", k)
	}
	return state
}

// keepSeen keeps the mark beside the copy, where that can be written to.
func (b *browser) keepSeen() {
	raw, err := json.Marshal(browsed{b.seen})
	if err == nil {
		err = replaceFile(filepath.Join(b.trust.Dir(), browsedFile), append(raw, '\n'), 0o644)
	}
	b.readOnly = err != nil
}

// serve answers until ctx ends.
func (b *browser) serve(ctx context.Context, l net.Listener) error {
	s := &http.Server{
		Handler:           b.handler(l.Addr().String()),
		ReadHeaderTimeout: 5 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	defer context.AfterFunc(ctx, func() { s.Close() })()
	if err := s.Serve(l); ctx.Err() == nil && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// handler is the whole site. It answers under its own loopback address alone: a name that somebody has
// pointed at this machine would let pages of his read ours.
func (b *browser) handler(address string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /browse/sync", b.form(b.sync))
	mux.HandleFunc("POST /browse/seen", b.form(b.markSeen))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		b.mu.RLock()
		defer b.mu.RUnlock()
		b.pages.ServeHTTP(w, r)
	})
	_, port, _ := net.SplitHostPort(address)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host := r.Host; host != address && host != net.JoinHostPort("localhost", port) {
			http.Error(w, "this is the copy of whoever runs docket browse: open http://"+address+"/", http.StatusMisdirectedRequest)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// form takes a form of our own pages and of no other, does what it asks, and leads back.
func (b *browser) form(do func(context.Context)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
		site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
		if subtle.ConstantTimeCompare([]byte(r.PostFormValue("token")), []byte(b.token)) != 1 || site != "" && site != "same-origin" || origin != "" && origin != "null" && origin != "http://"+r.Host {
			http.Error(w, "this form is not of a page of this docket browse: go back, load the page again, and press the button there", http.StatusForbidden)
			return
		}
		do(r.Context())
		back := "/"
		if u, err := url.Parse(r.PostFormValue("back")); err == nil && u.Host == "" && u.Scheme == "" && strings.HasPrefix(u.Path, "/") && !strings.HasPrefix(u.Path, "//") {
			back = u.String()
		}
		http.Redirect(w, r, back, http.StatusSeeOther)
	}
}

func (b *browser) markSeen(context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen, b.said, b.failed = b.trust.CoveredSize(), "", false
	b.keepSeen()
}

// sync brings the copy to the newest checkpoint. The pages are of the old one until it is there.
func (b *browser) sync(ctx context.Context) {
	if !b.syncing.TryLock() {
		b.say("a sync is under way; load the page again in a moment", false)
		return
	}
	defer b.syncing.Unlock()
	if came, err := b.syncNow(ctx); err != nil {
		b.say(cmp.Or(printableError(err), "the sync failed"), true)
	} else {
		b.say(fmt.Sprintf("synced: %s came", register.FormatEntryCount(came)), false)
	}
}

func (b *browser) say(words string, failed bool) {
	b.app.logf("docket: %s", words)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.said, b.failed = words, failed
}

func (b *browser) syncNow(ctx context.Context) (came uint64, err error) {
	syncing, err := b.flags.open()
	if err != nil {
		return 0, err
	}
	ledger, err := b.flags.connect(syncing)
	if err == nil {
		err = b.app.syncTrust(ctx, syncing, ledger)
	}
	if err := errors.Join(err, syncing.Close()); err != nil {
		return 0, err
	}
	next, pages, err := b.openPages()
	if err != nil {
		return 0, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	last := b.trust
	came = next.CoveredSize() - min(last.CoveredSize(), next.CoveredSize())
	b.trust, b.pages = next, pages
	return came, last.Close()
}

// offerAddress prints the address of pages, and opens them in a browser if it is to.
func (a *app) offerAddress(ctx context.Context, address string, open bool) {
	a.printf("%s\n", address)
	if !open {
		return
	}
	if err := openInBrowser(ctx, address); err != nil {
		a.logf("docket: warning: no browser opens (%v): open the address yourself", err)
	}
}

// openInBrowser opens an address as the desktop does.
func openInBrowser(ctx context.Context, address string) error {
	name := "xdg-open"
	if runtime.GOOS == "darwin" {
		name = "open"
	}
	program, err := exec.LookPath(name)
	if err != nil {
		return err
	}
	open := exec.CommandContext(context.WithoutCancel(ctx), program, address)
	if err := open.Start(); err != nil {
		return err
	}
	go open.Wait() // it ends by itself
	return nil
}
