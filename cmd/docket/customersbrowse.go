package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/server/front"
)

func (a *app) customersBrowse() *cobra.Command {
	c := &cobra.Command{
		Use:   "browse --dir C",
		Short: "Open the compliance team's pages in a browser, on this machine alone",
		Long: `Serves the pages of a customer log on a loopback port of its own, as the directory's
owner, and opens them in the browser, until the command is interrupted: what is late, a
customer's events, hits to decide, holds, disclosures, periods, who looked. Every look at a
customer is logged.

The address that is printed works once, for the first browser that opens it: others on this
machine see nothing. Who is no owner of the directory signs in with a key instead, at the
address that docket customers serve --listen has.`,
		Example: `  docket customers browse --dir C
  docket customers browse --dir C --listen 127.0.0.1:8471 --no-open`,
		Args: cobra.NoArgs,
	}
	f := a.customersFlags(c).withIdentity(c)
	var listen string
	var noOpen bool
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "loopback address for the pages")
	c.Flags().BoolVar(&noOpen, "no-open", false, "open no browser: print the address alone")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if !loopback(listen) {
			return usageError("--listen %s: the pages are shown to this machine alone, so they stay on loopback", listen).hint("like 127.0.0.1:8471; docket customers serve --listen is for others, by key or certificate")
		}
		s, err := f.connect(c)
		if err != nil {
			return err
		}
		defer s.end()
		l, err := listenOn("--listen", listen)
		if err != nil {
			return err
		}
		pages := newOwnPages(s.http.Transport)
		address := "http://" + l.Addr().String() + pages.door()
		a.offerAddress(c.Context(), address, !noOpen)
		return pages.serve(c.Context(), l)
	}
	return c
}

// browseCookie names the browser that came in first.
const browseCookie = "docket-customers-browse"

// ownPages are the pages of a log for one browser: whoever opens the door gets a cookie, and
// the door is shut. Anybody on the machine can reach the port, so the port alone proves nothing.
type ownPages struct {
	ticket, cookie string
	used           atomic.Bool
	pages          *httputil.ReverseProxy
}

func newOwnPages(socket http.RoundTripper) *ownPages {
	at := &url.URL{Scheme: "http", Host: "customers"}
	return &ownPages{ticket: rand.Text(), cookie: rand.Text(), pages: &httputil.ReverseProxy{
		Transport: socket,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(at)
			r.Out.Host = r.In.Host // by which the server tells forms of its own pages
			r.Out.Header.Del("Cookie")
			r.Out.Header.Del("Authorization")
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			http.Error(w, "The customer log's server does not answer: start docket customers browse again.", http.StatusBadGateway)
		},
	}}
}

// door is the path that lets the first browser in.
func (p *ownPages) door() string { return "/open/" + p.ticket }

func (p *ownPages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	if r.Method == http.MethodGet && sameText(r.URL.Path, p.door()) && p.used.CompareAndSwap(false, true) {
		http.SetCookie(w, &http.Cookie{Name: browseCookie, Value: p.cookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	if cookie, err := r.Cookie(browseCookie); err != nil || !sameText(cookie.Value, p.cookie) {
		http.Error(w, "These pages are open in another browser, or were: the address works once. Start docket customers browse again.", http.StatusUnauthorized)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/v1/") { // that is for programs, over the socket
		http.NotFound(w, r)
		return
	}
	p.pages.ServeHTTP(w, r)
}

func sameText(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// serve answers until ctx ends.
func (p *ownPages) serve(ctx context.Context, l net.Listener) error {
	return front.Config{Handler: p, Log: slog.New(slog.DiscardHandler), Grace: time.Second, WriteTimeout: time.Hour}.Serve(ctx, l)
}
