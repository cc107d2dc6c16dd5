package stores

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/seed-53cf897a/docket/ledger"
)

// Options are how a store is reached.
type Options struct {
	Transport http.RoundTripper // to an object store; nil is one with good limits
	Log       *slog.Logger      // nil discards
}

// Shared is an open store that several machines reach.
type Shared interface {
	ledger.Shared
	Close() error
}

// BrokenError says which guarantee a store does not give, without which nobody may write to
// it.
type BrokenError struct {
	Guarantee string
	Err       error
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("it does not keep what a ledger rests on: %s: %v", e.Guarantee, e.Err)
}

func (e *BrokenError) Unwrap() error { return e.Err }

var errNotBuilt = errors.New("this docket reaches no such store")

// OpenShared opens a bucket or a database, and takes and writes nothing.
func OpenShared(ctx context.Context, at URL, o Options) (Shared, error) {
	return nil, errNotBuilt
}

// Probe tries what a ledger rests on: that of several who write at once one wins, and that what
// was written is read. It calls found with each guarantee, and why it is not kept, if it is not;
// the first that is not kept is a [*BrokenError]. found may be nil.
func Probe(ctx context.Context, at URL, o Options, found func(guarantee string, err error)) error {
	return errNotBuilt
}
