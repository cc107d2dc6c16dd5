package pgstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// The promises that [Probe] tries, in this order.
const (
	ServerKeeps  = "the server is PostgreSQL 15 or later, and its disk has what it confirms (fsync, full_page_writes)"
	SessionWaits = "a commit is confirmed once it is durable, on a synchronous standby too if there is one (synchronous_commit)"
	OwnSessions  = "a session belongs to one client until it ends"
	AtomicSwap   = "of many that swap one row at once one does"

	probeSessions = 8
)

// Probe tries whether a database keeps what a log in it rests on, with a table of its own in
// the store's schema, which it removes. It calls tried, if that is not nil, with each promise, and
// with nil or with how it was broken ([ErrUnsafe]) or could not be tried. It returns the first of
// these errors, after which it tries nothing more. That a promise was kept proves little; that
// it was broken, all.
func Probe(ctx context.Context, c Config, tried func(promise string, err error)) error {
	s := newStore(c)
	config, err := s.parse(c.URL)
	if err != nil {
		return err
	}
	config.MaxConns = probeSessions
	if s.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return err
	}
	defer s.pool.Close()
	var now settings
	for _, promise := range []struct {
		name string
		try  func() error
	}{
		{ServerKeeps, func() (err error) {
			if now, err = unjudgedSettings(ctx, config.ConnConfig); err != nil {
				return err
			}
			return now.serverKeeps()
		}},
		{SessionWaits, func() error {
			if err := now.sessionWaits(); err != nil {
				return err
			}
			return s.on(ctx, func(c *session) error { return c.settle() })
		}},
		{OwnSessions, func() error { return s.probeSessions(ctx) }},
		{AtomicSwap, func() error { return s.probeSwap(ctx) }},
	} {
		err := promise.try()
		switch {
		case errors.Is(err, ErrUnsafe):
			err = fmt.Errorf("%w; it has to promise: %s", err, promise.name)
		case err != nil:
			err = fmt.Errorf("trying whether %s: %w", promise.name, err)
		}
		if tried != nil {
			tried(promise.name, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unjudgedSettings reads them over a connection of its own.
func unjudgedSettings(ctx context.Context, config *pgx.ConnConfig) (settings, error) {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return settings{}, fmt.Errorf("connecting: %w", err)
	}
	defer conn.Close(ctx)
	return readSettings(ctx, conn)
}

// probeSessions has sessions tell several times who they are.
func (s *Store) probeSessions(ctx context.Context) error {
	return s.eachSession(ctx, func(c *session) error {
		var first uint32
		for i := range 4 {
			var pid uint32
			if err := c.row(`SELECT pg_backend_pid()`).Scan(&pid); err != nil {
				return err
			}
			if i == 0 {
				first = pid
			}
			if pid != first || pid != c.conn.PgConn().PID() {
				return fmt.Errorf("%w: a pooler hands sessions from client to client: have it keep one for each", ErrUnsafe)
			}
		}
		return nil
	})
}

// probeSwap has a row swapped by several sessions at once.
func (s *Store) probeSwap(ctx context.Context) (err error) {
	table := pgx.Identifier{s.schema, "probe_" + rand.Text()}.Sanitize()
	made := s.on(ctx, func(c *session) error {
		_, err := c.conn.PgConn().Exec(ctx, fmt.Sprintf(`CREATE SCHEMA IF NOT EXISTS %s; CREATE TABLE %s AS SELECT 0 AS n`,
			pgx.Identifier{s.schema}.Sanitize(), table)).ReadAll()
		return err
	})
	if made != nil {
		return fmt.Errorf("making a table in the schema %s: %w", s.schema, made)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		dropped := s.on(ctx, func(c *session) error {
			_, err := c.conn.Exec(ctx, `DROP TABLE `+table)
			return err
		})
		err = errors.Join(err, dropped)
	}()
	for n := range 3 {
		var mu sync.Mutex
		winners := 0
		err := s.eachSession(ctx, func(c *session) error {
			tag, err := c.conn.Exec(ctx, `UPDATE `+table+` SET n = n + 1 WHERE n = $1`, n)
			mu.Lock()
			defer mu.Unlock()
			winners += int(tag.RowsAffected())
			return err
		})
		if err != nil {
			return err
		}
		if winners != 1 {
			return fmt.Errorf("%w: of %d sessions that swapped a row at once %d were told that they did", ErrUnsafe, probeSessions, winners)
		}
	}
	return nil
}

// eachSession runs f on several sessions at once, all open before the first runs.
func (s *Store) eachSession(ctx context.Context, f func(c *session) error) error {
	errs := make([]error, probeSessions)
	var open, all sync.WaitGroup
	open.Add(probeSessions)
	for i := range errs {
		all.Go(func() {
			began := sync.OnceFunc(open.Done)
			defer began()
			errs[i] = s.on(ctx, func(c *session) error {
				began()
				open.Wait()
				return f(c)
			})
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
