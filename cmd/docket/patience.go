package main

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// quietFor is how long submit says nothing about what it waits for.
const quietFor = 2 * time.Second

// retry goes on for as long as --wait says: it tells once why, and again only when
// that has become something else.
func (s *submitCmd) retry() client.Retry {
	var told string
	return client.Retry{MaxElapsed: s.wait, Notify: func(err error, _ time.Duration) {
		if why := printableError(err); why != told {
			told = why
			s.app.logf("docket: %s; trying for %s", why, s.wait)
		}
	}}
}

// reportCommitted says on a terminal, if the server is silent for long, that the record is
// committed: what is still awaited then are the witnesses. stop ends it.
func (s *submitCmd) reportCommitted(ctx context.Context, id record.ID) (stop func()) {
	if !s.app.tty {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var asking sync.WaitGroup
	asking.Go(func() {
		select {
		case <-ctx.Done():
			return
		case <-time.After(quietFor):
		}
		_, err := s.server.GetUnverified(ctx, "/v1/records/"+id.String()+"/receipt")
		var p *client.Problem
		if errors.As(err, &p) && p.Status == http.StatusConflict {
			s.app.logf("committed, says the server; waiting for the witnesses")
		}
	})
	return func() {
		cancel()
		asking.Wait()
	}
}
