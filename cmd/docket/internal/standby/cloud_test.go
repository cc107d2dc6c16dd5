package standby_test

import (
	"context"
	"net/http"
	"path"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/objectstore"
	"github.com/seed-53cf897a/docket/ledger/objectstore/objectstoretest"
)

// storeRoute is a machine's way to the object store.
type storeRoute struct {
	link *link
	next http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (s storeRoute) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	passed := s.link.pass(r.Context(), func(l *link) direction { return l.store }, func() {
		sent := r.WithContext(context.WithoutCancel(r.Context())) // who is frozen sends it whatever has become of the caller
		resp, err = s.next.RoundTrip(sent)
		if err == nil && r.Method == http.MethodPut && resp.StatusCode == http.StatusOK {
			s.link.hasPut(path.Base(r.URL.Path))
		}
	})
	if passed != nil {
		return nil, passed
	}
	return resp, err
}

// handle is one machine's handle on the store.
func (w *world) handle(l *link) ledger.Shared {
	c := objectstoretest.Config(storeRoute{l, objectstoretest.NewLink(w.bucket)})
	s, err := objectstore.Open(w.ctx, c)
	check(w, err)
	w.Cleanup(func() { s.Close() })
	return s
}

// epoch is how often the store was taken.
func (w *world) epoch() uint64 {
	epoch, err := w.handle(&link{}).Epoch(w.ctx)
	check(w, err)
	return epoch
}
