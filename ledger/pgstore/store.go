// Package pgstore keeps a log in a PostgreSQL database of version 15 or later: a
// [ledger.Shared] for those who run a database with a synchronous standby.
//
// Each write is one statement, which is a transaction: nothing stays locked for a client that is
// gone. It swaps one row of one table, or of two, of this writer's epoch, and what hangs on it comes along.
// It counts once its commit is where a fail-over finds it: on the synchronous standby, if the
// server has one. PostgreSQL shows more than that after a restart, after a wait for replication
// was cancelled, after its list of standbys was emptied. So a write whose outcome is in doubt is
// settled by another one, made before its row is read again; and a head that this handle has
// not seen before is shown only after a write of the same session has come back, which was made
// after it was seen. A query is never cancelled, since that would end such a wait: a deadline
// closes the connection.
//
// It needs sessions of its own: a pooler that hands one session to several clients, a
// transaction each, is refused where it is noticed.
package pgstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Config says where the store lies. URL is needed.
type Config struct {
	// URL is as libpq takes it, of one server or of several of which one is the primary:
	// postgres://user@host1,host2/database?sslmode=verify-full. Beside libpq's parameters and
	// pool_max_conns it takes two: schema, in which the tables lie ("docket" if there is none),
	// and standby=none, by which the operator says that no other server than the one that is
	// written to will ever be promoted.
	URL string

	Log *slog.Logger // nil: none
}

// Store is one handle on a log. It is safe for concurrent use.
type Store struct {
	pool    *pgxpool.Pool
	closed  atomic.Bool
	schema  string
	noOther bool // standby=none
	log     *slog.Logger

	epoch                     atomic.Uint64 // of this handle's taking; 0: for reading
	synchronous               atomic.Bool   // it was taken on a server with a synchronous standby
	head, published, archived row

	// What this handle has shown, and therefore settled.
	seenHead      seen[ledger.Head]
	seenPublished seen[string]
	seenArchived  seen[uint64]
}

var (
	_ ledger.Shared         = (*Store)(nil)
	_ ledger.ArchivingStore = (*Store)(nil)
)

// defaultSchema is where the tables lie if the URL says nothing.
const defaultSchema = "docket"

// connectTimeout is how long one server of the URL may take to answer, if the URL says nothing.
const connectTimeout = 3 * time.Second

// Open connects to the store without taking it; it makes nothing. A server that does not keep
// what it has confirmed is [ErrUnsafe].
func Open(ctx context.Context, c Config) (*Store, error) {
	s := newStore(c)
	config, err := s.parse(c.URL)
	if err != nil {
		return nil, err
	}
	if s.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, err
	}
	if err := s.on(ctx, s.readFormat); err != nil {
		s.pool.Close()
		return nil, fmt.Errorf("opening the store in PostgreSQL: %w", err)
	}
	return s, nil
}

// newStore is one without connections.
func newStore(c Config) *Store {
	s := &Store{log: c.Log, head: newRow("head"), published: newRow("published"), archived: newRow("archived")}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// parse takes out of the URL what is this package's and leaves the rest to pgx.
func (s *Store) parse(text string) (*pgxpool.Config, error) {
	base, query, _ := strings.Cut(text, "?")
	if !strings.HasPrefix(base, "postgres://") && !strings.HasPrefix(base, "postgresql://") {
		return nil, errors.New("the URL of a store in PostgreSQL begins with postgres://")
	}
	params := []string{"target_session_attrs=primary"}
	s.schema = defaultSchema
	for param := range strings.SplitSeq(query, "&") {
		name, escaped, _ := strings.Cut(param, "=")
		value, err := url.PathUnescape(escaped)
		switch {
		case err != nil:
			return nil, fmt.Errorf("the parameter %s of the store's URL: %w", name, err)
		case name == "schema" && value != "":
			s.schema = value
		case name == "standby" && value == "none":
			s.noOther = true
		case name == "standby":
			return nil, fmt.Errorf("the store's URL says standby=%s; it may say standby=none, or nothing", value)
		case name != "" && name != "target_session_attrs":
			params = append(params, param)
		}
	}
	config, err := pgxpool.ParseConfig(base + "?" + strings.Join(params, "&"))
	if err != nil {
		return nil, fmt.Errorf("the store's URL: %w", err)
	}
	if !strings.Contains(query, "pool_max_conns=") {
		config.MaxConns = 10 // three may be waiting for a standby
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	for name, value := range sessionParams {
		if given := config.ConnConfig.RuntimeParams[name]; name != "synchronous_commit" || given == "" {
			config.ConnConfig.RuntimeParams[name] = value // remote_apply is the operator's choice; what else is given is refused
		}
	}
	config.ConnConfig.RuntimeParams["search_path"] = pgx.Identifier{s.schema}.Sanitize()
	prepareSessions(config)
	return config, nil
}

// Close waits for reads and writes in progress.
func (s *Store) Close() error {
	s.closed.Store(true)
	s.pool.Close()
	return nil
}

// Head implements [ledger.Store].
func (s *Store) Head(ctx context.Context) (ledger.Head, error) {
	return settled(ctx, s, &s.seenHead, ledger.Head{Root: proof.EmptyRoot()}, func(c *session) (h ledger.Head, err error) {
		var size int64
		var root []byte
		err = c.row(`SELECT size, root, synchronous FROM head`).Scan(&size, &root, &c.synchronous)
		if err == nil {
			h, err = headOf(size, root)
		}
		return h, err
	})
}

func headOf(size int64, root []byte) (h ledger.Head, err error) {
	if size < 0 || len(root) != len(h.Root) {
		return h, fmt.Errorf("%w: a head of size %d with a root of %d bytes", ledger.ErrCorrupt, size, len(root))
	}
	h.Size = uint64(size)
	copy(h.Root[:], root)
	return h, nil
}

// Published implements [ledger.Store].
func (s *Store) Published(ctx context.Context) ([]byte, error) {
	note, err := settled(ctx, s, &s.seenPublished, "", func(c *session) (string, error) {
		var note []byte
		err := c.row(`SELECT published.note, head.synchronous FROM published, head`).Scan(&note, &c.synchronous)
		return string(note), err
	})
	if err != nil || note == "" {
		return nil, err
	}
	return []byte(note), nil
}

// ArchivedCount implements [ledger.Store].
func (s *Store) ArchivedCount(ctx context.Context) (uint64, error) {
	return settled(ctx, s, &s.seenArchived, 0, func(c *session) (n uint64, err error) {
		err = c.row(`SELECT archived.count, head.synchronous FROM archived, head`).Scan(&n, &c.synchronous)
		return n, err
	})
}

// Tiles implements [ledger.Store].
func (s *Store) Tiles(ctx context.Context, ids []proof.TileID) ([][]byte, error) {
	levels, indexes := make([]int16, len(ids)), make([]int64, len(ids))
	for i, id := range ids {
		if id.Index > math.MaxInt64 {
			return nil, fmt.Errorf("%w: %s", ledger.ErrMissing, id)
		}
		levels[i], indexes[i] = int16(id.Level), int64(id.Index)
	}
	return read(ctx, s, func(c *session) ([][]byte, error) {
		got, err := c.column(`SELECT tiles.hashes FROM unnest($1::smallint[], $2::bigint[]) WITH ORDINALITY AS want (level, index, place)
			LEFT JOIN tiles USING (level, index) ORDER BY place`, levels, indexes)
		if isNew(err) {
			got, err = make([][]byte, len(ids)), nil
		}
		if err == nil && len(got) != len(ids) {
			err = fmt.Errorf("%w: %d tiles for %d", ledger.ErrCorrupt, len(got), len(ids))
		}
		if err != nil {
			return nil, fmt.Errorf("reading %d tiles: %w", len(ids), err)
		}
		for i, id := range ids {
			want := id.Width * len(proof.Hash{})
			if len(got[i]) < want {
				return nil, fmt.Errorf("%w: %s, of which %d bytes are there", ledger.ErrMissing, id, len(got[i]))
			}
			got[i] = got[i][:want:want]
		}
		return got, nil
	})
}

// Entries implements [ledger.Store].
func (s *Store) Entries(ctx context.Context, start, end uint64) ([][]byte, error) {
	if err := ctx.Err(); err != nil || start >= end {
		return nil, err
	}
	if end > math.MaxInt64 {
		return nil, fmt.Errorf("%w: entry %d", ledger.ErrMissing, end-1)
	}
	return read(ctx, s, func(c *session) ([][]byte, error) {
		out, err := c.column(`SELECT entry FROM entries WHERE index >= $1 AND index < $2 ORDER BY index`, int64(start), int64(end))
		if err != nil && !isNew(err) {
			return nil, fmt.Errorf("reading the entries [%d, %d): %w", start, end, err)
		}
		if uint64(len(out)) != end-start { // they are read in order, and none above the head is there
			return nil, fmt.Errorf("%w: of the entries [%d, %d) %d are there", ledger.ErrMissing, start, end, len(out))
		}
		return out, nil
	})
}

// Archived implements [ledger.Store].
func (s *Store) Archived(ctx context.Context, number uint64) ([]byte, error) {
	if number > math.MaxInt64 {
		return nil, fmt.Errorf("%w: archived blob %d", ledger.ErrMissing, number)
	}
	return readOne(ctx, s, fmt.Sprint("archived blob ", number), `SELECT blob FROM archive WHERE number = $1`, int64(number))
}

// readOne reads one value; [ledger.ErrMissing] if it is not there.
func readOne(ctx context.Context, s *Store, what, sql string, key any) ([]byte, error) {
	return read(ctx, s, func(c *session) (b []byte, err error) {
		err = c.row(sql, key).Scan(&b)
		switch {
		case errors.Is(err, pgx.ErrNoRows) || isNew(err):
			return nil, fmt.Errorf("%w: %s", ledger.ErrMissing, what)
		case err != nil:
			return nil, fmt.Errorf("reading %s: %w", what, err)
		}
		return b, nil
	})
}

// isNew tells whether an error is that of a database in which nobody has made the tables.
func isNew(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == "42P01" // undefined_table
}

// lost says of a row that is always there so.
func lost(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("%w: a row that is always there is missing", ledger.ErrCorrupt)
	}
	return err
}

// seen is the newest value that a handle has shown.
type seen[T comparable] struct{ value atomic.Pointer[T] }

func (s *seen[T]) is(v T) bool {
	last := s.value.Load()
	return last != nil && *last == v
}

// settled reads what a fail-over must not take back. One that this handle has not shown before
// is shown after a write, made after it was seen, has come back.
func settled[T comparable](ctx context.Context, s *Store, last *seen[T], ofNew T, read1 func(c *session) (T, error)) (T, error) {
	return read(ctx, s, func(c *session) (T, error) {
		v, err := read1(c)
		switch {
		case isNew(err):
			return ofNew, nil
		case err != nil || last.is(v):
			return v, lost(err)
		}
		if err := c.settle(); err != nil {
			var none T
			return none, err
		}
		last.value.Store(&v)
		return v, nil
	})
}
