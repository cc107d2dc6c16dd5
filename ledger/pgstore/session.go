package pgstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/reader"
)

var (
	// ErrUnsafe: the server, or a session on it, does not keep what it has confirmed.
	ErrUnsafe = errors.New("this PostgreSQL server may lose what it has confirmed")

	// ErrNoStandby: the server has no synchronous standby, where one is needed.
	ErrNoStandby = errors.New("this PostgreSQL server has no synchronous standby")
)

// minVersion is the least server_version_num.
const minVersion = 15_00_00

// errNoStandby says what to do.
var errNoStandby = fmt.Errorf("%w, and needs one: set synchronous_standby_names in postgresql.conf, and reload; if no other server will ever be promoted, say standby=none in the store's URL", ErrNoStandby)

// sessionParams are what a session sets itself, whatever the server, the database or the role
// say. A warning tells that a wait for replication was cancelled: it must be sent. What
// times out is ended by the client, or it would end such a wait.
var sessionParams = map[string]string{
	"synchronous_commit":            "on",
	"client_min_messages":           "warning",
	"default_transaction_isolation": "read committed",

	"statement_timeout":                   "0",
	"lock_timeout":                        "0",
	"idle_session_timeout":                "0",
	"idle_in_transaction_session_timeout": "0",
}

// noTimeout is one that version 17 brought.
const noTimeout = `SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout'`

// sessionState is what is known of one connection.
type sessionState struct {
	warning    *pgconn.Notice // the first since it was last cleared
	configured time.Time      // when the server's configuration was read that was judged
}

const stateKey = "docket"

func stateOf(c *pgconn.PgConn) *sessionState {
	state, ok := c.CustomData()[stateKey].(*sessionState)
	if !ok {
		state = &sessionState{}
		c.CustomData()[stateKey] = state
	}
	return state
}

// prepareSessions has each connection of the pool judged before it is used, and closed, not
// cancelled, when a deadline has passed.
func prepareSessions(config *pgxpool.Config) {
	config.PingTimeout = connectTimeout // of a connection that was idle; without it a dead one costs a call all its time
	config.ConnConfig.DialFunc = dialer().DialContext
	config.ConnConfig.OnNotice = func(c *pgconn.PgConn, n *pgconn.Notice) {
		if state := stateOf(c); n.SeverityUnlocalized == "WARNING" && state.warning == nil {
			state.warning = n
		}
	}
	config.ConnConfig.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler { return closer{c} }
	config.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
		// pgx asks a server to cancel what runs on a connection that it gives up, by dialling
		// once more. It must not.
		var connected atomic.Bool
		dial := c.DialFunc
		c.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if connected.Load() {
				return nil, errors.New("a query is never cancelled")
			}
			return dial(ctx, network, addr)
		}
		c.AfterConnect = func(context.Context, *pgconn.PgConn) error {
			connected.Store(true)
			return nil
		}
		return nil
	}
	config.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
		if _, err := c.Exec(ctx, noTimeout); err != nil {
			return err
		}
		_, err := judge(ctx, c)
		return err
	}
}

// How long a server may be silent, on the level of TCP, that is to answer: one whose machine lost its power says
// nothing. One that lives answers, also while a commit of it waits for a standby.
const (
	aliveIdle     = 5 * time.Second
	aliveInterval = 2 * time.Second
	aliveCount    = 3
	deadAfter     = aliveIdle + aliveCount*aliveInterval
)

func dialer() *net.Dialer {
	return &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: aliveIdle, Interval: aliveInterval, Count: aliveCount},
		Control:         endUnacknowledged,
	}
}

// closer closes a connection whose context has ended.
type closer struct{ conn *pgconn.PgConn }

func (c closer) HandleCancel(context.Context) { c.conn.Conn().Close() }

func (closer) HandleUnwatchAfterCancel() {}

// settings are what decides whether a commit is kept.
type settings struct {
	version               int // server_version_num
	fsync, fullPageWrites string
	commit, messages      string // synchronous_commit and client_min_messages, of the session
	standby               bool   // commits wait for one
	configured            time.Time
}

func readSettings(ctx context.Context, c *pgx.Conn) (s settings, err error) {
	err = c.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('fsync'), current_setting('full_page_writes'),
		current_setting('synchronous_commit'), current_setting('client_min_messages'),
		current_setting('synchronous_standby_names') <> '', pg_conf_load_time()`).
		Scan(&s.version, &s.fsync, &s.fullPageWrites, &s.commit, &s.messages, &s.standby, &s.configured)
	if err != nil {
		err = fmt.Errorf("reading the server's settings: %w", err)
	}
	return s, err
}

// serverKeeps is why the server may lose what it has confirmed.
func (s settings) serverKeeps() error {
	switch {
	case s.version < minVersion:
		return fmt.Errorf("%w: it is of version %d.%d; install 15 or later", ErrUnsafe, s.version/10000, s.version%10000)
	case s.fsync != "on":
		return fmt.Errorf("%w: fsync is %s: set it on in postgresql.conf, and reload", ErrUnsafe, s.fsync)
	case s.fullPageWrites != "on":
		return fmt.Errorf("%w: full_page_writes is %s: set it on in postgresql.conf, and reload", ErrUnsafe, s.fullPageWrites)
	}
	return nil
}

// sessionWaits is why this session may be told of a commit too early.
func (s settings) sessionWaits() error {
	switch {
	case s.commit != "on" && s.commit != "remote_apply":
		return fmt.Errorf("%w: synchronous_commit is %s in this session: take it out of the store's URL, or say on or remote_apply; a pooler in between must keep a session for each client", ErrUnsafe, s.commit)
	case s.messages != "warning":
		return fmt.Errorf("%w: client_min_messages is %s in this session, and not warning: a pooler in between must keep a session for each client", ErrUnsafe, s.messages)
	}
	return nil
}

// judge refuses a server, or a session, that may lose what it has confirmed, and tells whether
// its commits wait for a standby.
func judge(ctx context.Context, c *pgx.Conn) (standby bool, err error) {
	s, err := readSettings(ctx, c)
	if err != nil {
		return false, err
	}
	stateOf(c.PgConn()).configured = s.configured
	if err := s.serverKeeps(); err != nil {
		return false, err
	}
	return s.standby, s.sessionWaits()
}

// session is a connection while it is used by one call.
type session struct {
	ctx         context.Context // of the call
	conn        *pgx.Conn
	state       *sessionState
	synchronous bool // the log needs a synchronous standby
	noOther     bool
}

// on has f use a connection. One that f leaves broken, or busy, is closed.
func (s *Store) on(ctx context.Context, f func(c *session) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return inTime(ctx, fmt.Errorf("connecting: %w", err))
	}
	defer conn.Release()
	c := &session{ctx: ctx, conn: conn.Conn(), state: stateOf(conn.Conn().PgConn()), synchronous: s.synchronous.Load(), noOther: s.noOther}
	return inTime(ctx, f(c))
}

// inTime says of an error that comes of an ended context so.
func inTime(ctx context.Context, err error) error {
	if ended := ctx.Err(); err != nil && ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("%w: %w", ended, err)
	}
	return err
}

func (c *session) row(sql string, args ...any) pgx.Row { return c.conn.QueryRow(c.ctx, sql, args...) }

func (c *session) column(sql string, args ...any) ([][]byte, error) {
	rows, err := c.conn.Query(c.ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[[]byte])
}

// commit runs a statement that writes and returns one row, or none if there was nothing to
// swap. Nil means that it is where a fail-over finds it; after any other error it may be
// there or not.
func (c *session) commit(sql string, args []any, dest ...any) (swapped bool, err error) {
	c.state.warning = nil
	err = c.row(sql, args...).Scan(dest...) // which reads on to the end of the transaction
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err == nil {
		err = c.replicated()
	}
	return err == nil, err
}

// errNotReplicated: a commit did not wait for its standby.
var errNotReplicated = errors.New("the commit may not be on the standby")

// replicated is nil if the commit before it waited for what it has to wait for. What the server
// says of itself may have changed meanwhile: then only another commit can tell.
func (c *session) replicated() error {
	for {
		if w := c.state.warning; w != nil {
			return fmt.Errorf("%w: %s %s", errNotReplicated, w.Message, w.Detail)
		}
		judged := c.state.configured
		standby, err := judge(c.ctx, c.conn)
		switch {
		case err != nil:
			return err
		case c.synchronous && !c.noOther && !standby:
			return errNoStandby
		case c.state.configured.Equal(judged):
			return nil
		}
		if err := c.emit(); err != nil {
			return err
		}
	}
}

// emit commits a message that nobody reads: it waits as every commit does, and changes no row.
func (c *session) emit() error {
	c.state.warning = nil
	_, err := c.conn.Exec(c.ctx, `SELECT pg_logical_emit_message(true, 'docket', '')`)
	return err
}

// settle returns once all that this session has seen is where a fail-over finds it.
func (c *session) settle() error {
	if err := c.emit(); err != nil {
		return fmt.Errorf("waiting until what was read is durable: %w", err)
	}
	return c.replicated()
}

// readPatience is how long a read is tried again while no server answers. A write is tried
// until its context has ended.
const readPatience = 5 * time.Second

// read retries what only reads.
func read[T any](ctx context.Context, s *Store, f func(c *session) (T, error)) (v T, err error) {
	err = s.retry(ctx, readPatience, func(c *session) (err error) {
		v, err = f(c)
		return err
	})
	return v, err
}

// retry has f try again on another connection while it fails by what passes: a connection that
// broke, a server that is away. patience 0 is until the context ends.
func (s *Store) retry(ctx context.Context, patience time.Duration, f func(c *session) error) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 20*time.Millisecond, time.Second
	var last error
	told := false
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		last = s.on(ctx, f)
		if last != nil && (ctx.Err() != nil || s.closed.Load() || !Passes(last)) {
			return struct{}{}, backoff.Permanent(last)
		}
		return struct{}{}, last
	}, backoff.WithBackOff(wait), backoff.WithMaxElapsedTime(patience), backoff.WithNotify(func(err error, after time.Duration) {
		if !told { // once of each call, however often it tries
			s.log.Warn("PostgreSQL: trying again", "err", err, "after", after.String())
		}
		told = true
	}))
	if err != nil && last != nil {
		return inTime(ctx, last)
	}
	return err
}

// Passes tells whether an error of a Store may be gone on the next connection.
func Passes(err error) bool {
	for _, lasting := range []error{ledger.ErrConflict, ledger.ErrNotTaken, reader.ErrMissing, reader.ErrCorrupt, ErrUnsafe, ErrNoStandby, ErrLaterVersion, errUnknown} {
		if errors.Is(err, lasting) {
			return false
		}
	}
	var sealed *ledger.SealedError
	if errors.As(err, &sealed) {
		return false
	}
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return true
	}
	return slices.ContainsFunc([]string{
		"08", "40", "53", "57", // connection, rollback of a deadlock, resources, operator
		"25006", // read_only_sql_transaction: it is a standby now
	}, func(class string) bool { return strings.HasPrefix(refused.Code, class) })
}

// Answered tells whether an error is what a PostgreSQL server answered.
func Answered(err error) bool { return errors.As(err, new(*pgconn.PgError)) }
