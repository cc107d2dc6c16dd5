package stores

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/objectstore"
	"github.com/seed-53cf897a/docket/ledger/pgstore"
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

// BrokenError says which promise a store breaks, without which nobody may write to it.
type BrokenError struct {
	Promise string
	Err     error
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("it breaks a promise that a ledger rests on, %q: %v", e.Promise, e.Err)
}

func (e *BrokenError) Unwrap() error { return e.Err }

// Passes says of an error of a store that the same may succeed without anything being changed: it did not
// answer, or said to ask again. Of a credential, a permission, a region or an object that is wrong it is
// false.
func Passes(err error) bool {
	if pgstore.Answered(err) {
		return pgstore.Passes(err)
	}
	return errors.As(err, new(net.Error)) || errors.Is(err, context.Canceled) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, ledger.ErrConflict)
}

// reachTimeout is how long a store is waited for that does not answer at all, if not longer so that each of
// its endpoints is asked. Once it did, each call has its own deadline.
const reachTimeout = 10 * time.Second

// probeTimeout is how long a probe may take.
const probeTimeout = 2 * time.Minute

// OpenShared opens a bucket or a database that answers, and takes and writes nothing.
func OpenShared(ctx context.Context, at URL, o Options) (Shared, error) {
	ctx, cancel := context.WithTimeout(ctx, max(reachTimeout, time.Duration(len(at.Endpoints)+1)*objectstore.DefaultRequestTimeout))
	defer cancel()
	s, err := open(ctx, at, o)
	if err != nil {
		return nil, err
	}
	if _, err := s.Head(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func open(ctx context.Context, at URL, o Options) (Shared, error) {
	if at.Bucket != "" {
		return objectstore.Open(ctx, bucketConfig(at, o))
	}
	return pgstore.Open(ctx, databaseConfig(at, o))
}

func bucketConfig(at URL, o Options) objectstore.Config {
	return objectstore.Config{
		Bucket: at.Bucket, Prefix: at.Prefix, Endpoints: at.Endpoints, Region: at.Region, PathStyle: at.PathStyle,
		Transport: o.Transport, Log: o.Log,
	}
}

func databaseConfig(at URL, o Options) pgstore.Config {
	return pgstore.Config{URL: at.connect, Log: o.Log}
}

// Probe tries what a ledger rests on: that of several who write at once one wins, and that what
// was written is read. It calls found, which may be nil, with each promise, and with why it is
// not kept or could not be tried. The first that is not kept ends it: [*BrokenError].
func Probe(ctx context.Context, at URL, o Options, found func(promise string, err error)) error {
	var broken *BrokenError
	note := func(promise string, err error) {
		if errors.Is(err, objectstore.ErrUnfit) || errors.Is(err, pgstore.ErrUnsafe) {
			broken = &BrokenError{promise, err}
		}
		if found != nil {
			found(promise, err)
		}
	}
	s, err := OpenShared(ctx, at, o)
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	if at.Bucket != "" {
		err = objectstore.Probe(ctx, bucketConfig(at, o), note)
	} else {
		err = pgstore.Probe(ctx, databaseConfig(at, o), note)
	}
	if broken != nil {
		return broken
	}
	return err
}
