package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/standby"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// hashBytes is how long a hash in a tile is.
const hashBytes = len(proof.Hash{})

// lookEvery is how often the store is asked for its checkpoint while a replica waits for the next
// one, and how long the writer's URL counts.
const lookEvery = time.Second

// Store has a store that a writer shares read as the C2SP calls read a server: a client
// verifies what is in it as it verifies any server's word. What a store does not have is asked of
// the writer, where the lease says that it is. It takes nothing, and writes nothing.
type Store struct {
	// Ahead is the way to the writer. It is set before the first call.
	Ahead http.RoundTripper

	base    *url.URL // of every call
	store   ledger.Shared
	kept    *ledger.KeptCheckpoints
	watcher *standby.Watcher

	turn   chan struct{} // holds a value while somebody has what follows
	looked time.Time
}

// NewStore reads a store, which stays the caller's to close. name is its URL, as errors and pages
// have it, without a query. Its Ahead dials no loopback address, and none of its own link: whoever can
// write to the store says in the lease where the writer is, and has what strangers send to a replica be sent
// there.
func NewStore(store ledger.Shared, name *url.URL, c standby.Config) *Store {
	return &Store{Ahead: elsewhere(), base: name, store: store, kept: ledger.ReadKept(store), watcher: standby.NewWatcher(store, c), turn: make(chan struct{}, 1)}
}

// elsewhere is a transport to addresses that several machines reach. It dials itself, so that the address
// is seen to which a name leads.
func elsewhere() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	d := &net.Dialer{Timeout: 10 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if ip := at.Addr().Unmap(); err != nil || !ip.IsGlobalUnicast() {
			return fmt.Errorf("the lease in the store says that the writer is at %s, which other machines do not reach: it says with --url where it is", address)
		}
		return nil
	}}
	t.Proxy, t.DialContext = nil, d.DialContext
	return t
}

// Client reads it.
func (s *Store) Client() *client.Client { return client.At(wire.ServerOver(s, s.base)) }

// CheckpointAt is the checkpoint of a moment that the store keeps, unverified: [ledger.ErrNotArchived] where
// none is so old.
func (s *Store) CheckpointAt(ctx context.Context, at time.Time) ([]byte, error) {
	return s.kept.CheckpointAt(ctx, at)
}

// errNoWriter: nobody writes to the store, or the writer does not say where it is.
var errNoWriter = errors.New("the store names no writer that is alive")

// RoundTrip implements [http.RoundTripper].
func (s *Store) RoundTrip(req *http.Request) (*http.Response, error) {
	path := strings.TrimPrefix(strings.TrimPrefix(req.URL.Path, strings.TrimSuffix(s.base.Path, "/")), "/")
	if req.Method != http.MethodGet {
		return s.askWriter(req, path)
	}
	ctx := req.Context()
	var body []byte
	var err error
	switch {
	case path == "checkpoint":
		if body, err = s.store.Published(ctx); err == nil && body == nil {
			err = ledger.ErrMissing
		}
	case strings.HasPrefix(path, "tile/entries/"):
		body, err = s.bundle(ctx, path)
	case strings.HasPrefix(path, "tile/"):
		body, err = s.tile(ctx, path)
	case path == "v1/checkpoints":
		var at time.Time
		if at, err = time.Parse(time.RFC3339, req.URL.Query().Get("at")); err != nil {
			err = ledger.ErrNotArchived // a client asks for instants alone
		} else {
			body, err = s.CheckpointAt(ctx, at)
		}
	case path == "v1/stream":
		return s.stream(req)
	default:
		res, err := s.askWriter(req, path)
		if err != nil && strings.HasSuffix(path, "/receipt") {
			return answer(req, http.StatusNotFound, nil), nil // as a mirror: the charters are among the entries
		}
		return res, err
	}
	switch {
	case errors.Is(err, ledger.ErrMissing), errors.Is(err, ledger.ErrNotArchived):
		return answer(req, http.StatusNotFound, nil), nil
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", s.base, err)
	}
	return answer(req, http.StatusOK, io.NopCloser(bytes.NewReader(body))), nil
}

func (s *Store) tile(ctx context.Context, path string) ([]byte, error) {
	id, err := proof.ParseTilePath(path)
	if err != nil {
		return nil, ledger.ErrMissing
	}
	tiles, err := s.store.Tiles(ctx, []proof.TileID{id})
	if err != nil {
		return nil, err
	}
	if len(tiles) != 1 || len(tiles[0]) < id.Width*hashBytes {
		return nil, ledger.ErrMissing
	}
	return tiles[0][:id.Width*hashBytes], nil
}

func (s *Store) bundle(ctx context.Context, path string) ([]byte, error) {
	id, err := proof.ParseEntryBundlePath(path)
	if err != nil {
		return nil, ledger.ErrMissing
	}
	start := id.Index * proof.TileWidth
	entries, err := s.store.Entries(ctx, start, start+uint64(id.Width))
	if err != nil {
		return nil, err
	}
	return proof.FormatEntryBundle(entries)
}

// askWriter sends a request on to whoever writes to the store.
func (s *Store) askWriter(req *http.Request, path string) (*http.Response, error) {
	writer, err := s.writer(req.Context())
	if err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	on := req.Clone(req.Context())
	on.URL, on.Host = writer, "" // of the URL
	on.URL.Path, on.URL.RawPath = strings.TrimSuffix(writer.Path, "/")+"/"+path, ""
	on.URL.RawQuery = req.URL.RawQuery
	return s.Ahead.RoundTrip(on)
}

// writer is where the store's writer takes records, by its lease.
func (s *Store) writer(ctx context.Context) (*url.URL, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done(): // another one looks, and has patience
		return nil, ctx.Err()
	}
	if time.Since(s.looked) > lookEvery {
		s.watcher.Look(context.WithoutCancel(ctx)) // for all who ask within a second, not for this one alone
		s.looked = time.Now()
	}
	if err := s.watcher.Err(); err != nil {
		return nil, fmt.Errorf("reading who writes to %s: %w", s.base, err)
	}
	_, lease := s.watcher.Writer()
	if lapsed, _ := s.watcher.Lapsed(); lapsed || lease.URL == "" {
		return nil, errNoWriter
	}
	return url.Parse(lease.URL)
}

// stream answers as the stream of a ledger does whose next record is to come: it looks at the
// store while it is read.
func (s *Store) stream(req *http.Request) (*http.Response, error) {
	from, err := strconv.ParseUint(req.URL.Query().Get("from"), 10, 64)
	if err != nil {
		return answer(req, http.StatusNotFound, nil), nil
	}
	return answer(req, http.StatusOK, &looking{ctx: req.Context(), store: s.store, from: from}), nil
}

// looking is the body of a stream. Whoever reads it waits: it has no goroutine.
type looking struct {
	ctx   context.Context // of the request, and ends with it
	store ledger.Shared
	from  uint64
	left  []byte
	over  bool
}

func (l *looking) Read(b []byte) (int, error) {
	if len(l.left) == 0 {
		if l.over {
			return 0, io.EOF
		}
		if err := l.look(); err != nil {
			return 0, err
		}
	}
	n := copy(b, l.left)
	l.left = l.left[n:]
	return n, nil
}

// look waits, and has a line to say: that the record is there, or that it lives.
func (l *looking) look() error {
	timer := time.NewTimer(lookEvery)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.ctx.Done():
		return l.ctx.Err()
	}
	note, err := l.store.Published(l.ctx)
	if err != nil {
		return err
	}
	l.left = []byte(":\n")
	if cp, _, err := proof.ParseCheckpoint(note); err == nil && cp.Size > l.from {
		l.left, l.over = fmt.Appendf(nil, "id: %d\n\n", l.from), true
	}
	return nil
}

func (l *looking) Close() error { return nil }

func answer(req *http.Request, status int, body io.ReadCloser) *http.Response {
	if body == nil {
		body = http.NoBody
	}
	kind := "text/plain; charset=utf-8"
	return &http.Response{
		StatusCode: status, Status: strconv.Itoa(status) + " " + http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {kind}}, Body: body, ContentLength: -1, Request: req,
	}
}
