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

// silence is how long submit says nothing about what it waits for.
const silence = 2 * time.Second

// patience goes on for as long as --wait says: it tells once why, and again only when
// that has become something else.
func (s *submitting) patience() client.Patience {
	var told string
	return client.Patience{For: s.wait, Notify: func(err error, _ time.Duration) {
		if why := worded(err); why != told {
			told = why
			s.app.say("docket: %s; trying for %s", why, s.wait)
		}
	}}
}

// meanwhile says on a terminal, if the server is silent for long, that the record is
// committed: what is still awaited then are the witnesses. stop ends it.
func (s *submitting) meanwhile(ctx context.Context, id record.ID) (stop func()) {
	if !s.app.tty {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var asking sync.WaitGroup
	asking.Go(func() {
		select {
		case <-ctx.Done():
			return
		case <-time.After(silence):
		}
		_, err := s.server.Get(ctx, "/v1/records/"+id.String()+"/receipt")
		var p *client.Problem
		if errors.As(err, &p) && p.Status == http.StatusConflict {
			s.app.say("committed, says the server; waiting for the witnesses")
		}
	})
	return func() {
		cancel()
		asking.Wait()
	}
}
