package pgstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-53cf897a/docket/ledger"
)

// standing is who may write.
type standing struct {
	epoch       uint64
	holder      string // of the newest taking, or sealing: random
	sealed      string
	synchronous bool
	empty       bool // nothing was ever written but takings
}

// standing reads it, and whether this session's commits have to be on a standby; of a store without tables
// it is the zero of a new one.
func (c *session) standing() (now standing, err error) {
	err = c.row(`SELECT head.epoch, holder, sealed, synchronous, size = 0 AND note = '' AND count = 0 FROM head, published, archived`).
		Scan(&now.epoch, &now.holder, &now.sealed, &now.synchronous, &now.empty)
	if isNew(err) {
		return standing{empty: true}, nil
	}
	if err != nil {
		return now, fmt.Errorf("reading who may write: %w", lost(err))
	}
	c.synchronous = now.synchronous
	return now, nil
}

// Take implements [ledger.Store].
func (s *Store) Take(ctx context.Context) error {
	return s.take(ctx, func(now standing) (string, error) {
		if now.sealed != "" {
			return "", &ledger.SealedError{Why: now.sealed}
		}
		return "", nil
	})
}

// TakeAfter implements [ledger.Shared].
func (s *Store) TakeAfter(ctx context.Context, epoch uint64) error {
	return s.take(ctx, func(now standing) (string, error) {
		if now.sealed != "" {
			return "", &ledger.SealedError{Why: now.sealed}
		}
		if now.epoch != epoch {
			return "", ledger.ErrTakenOver
		}
		return "", nil
	})
}

// TakeSealed implements [ledger.Sealer].
func (s *Store) TakeSealed(ctx context.Context, why string) error {
	if why == "" {
		return errors.New("a store is sealed for a reason")
	}
	return s.take(ctx, func(now standing) (string, error) {
		switch {
		case now.sealed != "" && now.sealed != why:
			return "", &ledger.SealedError{Why: now.sealed}
		case now.sealed == "" && !now.empty:
			return "", fmt.Errorf("%w: it holds a log already", ledger.ErrConflict)
		}
		return why, nil
	})
}

// take takes the store if judge, told how it stands, says what seals it from then on, or "".
func (s *Store) take(ctx context.Context, judge func(now standing) (sealed string, err error)) error {
	err := s.turn(ctx, func(c *session, now standing) (standing, error) {
		if err := s.readFormat(c); err != nil {
			return now, err
		}
		sealed, err := judge(now)
		if err != nil {
			return now, err
		}
		now.sealed = sealed
		standby, err := c.hasStandby()
		if err == nil && now.synchronous && !standby && !s.noOther {
			err = errNoStandby
		}
		now.synchronous = standby && !s.noOther
		return now, err
	}, func(next standing) {
		s.synchronous.Store(next.synchronous)
		s.epoch.Store(next.epoch)
	})
	if err != nil {
		return fmt.Errorf("taking the store: %w", err)
	}
	return nil
}

// Seal implements [ledger.Sealer].
func (s *Store) Seal(ctx context.Context, why string) error {
	if why == "" {
		return errors.New("a store is sealed for a reason")
	}
	err := s.turn(ctx, func(c *session, now standing) (standing, error) {
		err := s.mayTurn(now)
		now.sealed = why
		return now, err
	}, func(standing) {}) // this handle's epoch is over
	if err != nil {
		return fmt.Errorf("sealing the store: %w", err)
	}
	return nil
}

// Unseal implements [ledger.Sealer]. It obeys law 3 as it stands: made twice it is made once.
func (s *Store) Unseal(ctx context.Context) error {
	err := s.exclusively(ctx, func() error {
		return s.retry(ctx, 0, func(c *session) error {
			now, err := c.standing()
			if err == nil {
				err = s.mayTurn(now)
			}
			if err != nil {
				return err
			}
			swapped, err := c.commit(`UPDATE head SET sealed = '' WHERE epoch = $1 RETURNING 1`, []any{int64(now.epoch)}, new(int64))
			if err == nil && !swapped {
				err = c.whyNot(now.epoch)
			}
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("unsealing the store: %w", err)
	}
	return nil
}

// mayTurn is why this handle may not seal or unseal.
func (s *Store) mayTurn(now standing) error {
	switch epoch := s.epoch.Load(); {
	case epoch == 0:
		return ledger.ErrNotTaken
	case now.epoch != epoch && now.sealed != "":
		return &ledger.SealedError{Why: now.sealed}
	case now.epoch != epoch:
		return ledger.ErrTakenOver
	}
	return nil
}

// turn begins a new epoch, by which all that is on its way of earlier ones comes too late. plan
// says of what it begins with; it is asked again whenever another was quicker.
func (s *Store) turn(ctx context.Context, plan func(*session, standing) (standing, error), turned func(standing)) error {
	holder := rand.Text()
	return s.exclusively(ctx, func() error {
		return s.retry(ctx, 0, func(c *session) error {
			for {
				now, err := c.standing()
				if err != nil {
					return err
				}
				if now.holder == holder { // an attempt whose outcome was in doubt
					if err := c.settle(); err != nil {
						return err
					}
					s.turnFences()
					turned(now)
					return nil
				}
				next, err := plan(c, now)
				if err != nil {
					return err
				}
				if now.holder == "" && now.epoch == 0 {
					if err := s.makeTables(c); err != nil {
						return err
					}
				}
				next.epoch, next.holder = now.epoch+1, holder
				c.synchronous = next.synchronous
				ok, err := c.begin(next)
				if err != nil {
					return err
				}
				if ok {
					s.turnFences()
					turned(next)
					return nil
				}
			}
		})
	})
}

// begin swaps all three rows at once: sent as one, they are one transaction, in which nothing
// waits for this client.
func (c *session) begin(next standing) (ok bool, err error) {
	c.state.warning = nil
	var b pgx.Batch
	b.Queue(`UPDATE head SET epoch = $1::bigint + 1, fence = 0, swaps = 0, holder = $2, sealed = $3, synchronous = $4 WHERE epoch = $1`,
		int64(next.epoch-1), next.holder, next.sealed, next.synchronous)
	for _, table := range []string{"published", "archived"} {
		b.Queue(`UPDATE `+table+` SET epoch = $1::bigint + 1, fence = 0, swaps = 0 WHERE epoch = $1 AND EXISTS (SELECT FROM head WHERE holder = $2)`,
			int64(next.epoch-1), next.holder)
	}
	results := c.conn.SendBatch(c.ctx, &b)
	tag, err := results.Exec()
	if err := errors.Join(err, results.Close()); err != nil { // closing reads on to the end of the transaction
		return false, err
	}
	if tag.RowsAffected() == 0 {
		return false, nil
	}
	return true, c.replicated()
}

// exclusively runs f while no write of this handle is under way.
func (s *Store) exclusively(ctx context.Context, f func() error) error {
	for _, r := range s.rows() {
		if err := r.busy.Acquire(ctx, 1); err != nil {
			return err
		}
		defer r.busy.Release(1)
	}
	return f()
}

func (s *Store) rows() []*row { return []*row{&s.head, &s.published, &s.archived} }

func (s *Store) turnFences() {
	for _, r := range s.rows() {
		r.fence, r.swaps, r.doubt = 0, 0, false
	}
}

// Sealed implements [ledger.Sealer].
func (s *Store) Sealed(ctx context.Context) (why string, err error) {
	now, err := s.now(ctx)
	return now.sealed, err
}

// Epoch implements [ledger.Shared].
func (s *Store) Epoch(ctx context.Context) (uint64, error) {
	now, err := s.now(ctx)
	return now.epoch, err
}

func (s *Store) now(ctx context.Context) (standing, error) {
	return read(ctx, s, func(c *session) (standing, error) { return c.standing() })
}

// hasStandby tells whether commits wait for a standby.
func (c *session) hasStandby() (bool, error) { return judge(c.ctx, c.conn) }

// standbyPatience is how long a standby has to answer.
const standbyPatience = 10 * time.Second

// CheckStandby is nil if the server has a synchronous standby, which answers: [ErrNoStandby]
// otherwise. It waits for a commit, and needs no privilege beyond a store's.
func (s *Store) CheckStandby(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, standbyPatience)
	defer cancel()
	committing := false
	err := s.on(within, func(c *session) error {
		standby, err := c.hasStandby()
		if err != nil {
			return err
		}
		if !standby {
			return errNoStandby
		}
		c.synchronous, c.noOther, committing = true, false, true
		return c.settle()
	})
	if err != nil && committing && ctx.Err() == nil && within.Err() != nil {
		return fmt.Errorf("%w that answers: a commit has waited for %v; synchronous_standby_names names one that does not follow", ErrNoStandby, standbyPatience)
	}
	return err
}
