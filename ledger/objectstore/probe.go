package objectstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"
)

// ErrUnfit: a store breaks a promise that a log in it rests on.
var ErrUnfit = errors.New("no ledger may be kept in this object store")

// The promises that [Probe] tries, in this order.
const (
	AtomicCreation  = "of many that create one object at once (If-None-Match: *) one does"
	AtomicSwap      = "of many that replace one object at once (If-Match) one does"
	StaleRefused    = "a condition that does not hold is refused"
	ReadAfterWrite  = "what was written is read, by whomever"
	ListAfterWrite  = "what was written is listed, by whomever"
	probeWriters    = 32
	probeConnection = 2 // of each endpoint
	probeRounds     = 3 // of each race at least
	// Servers that keep a promise each for itself are seen to break it in some rounds only. So many
	// are run where there are several endpoints, but for no longer than probeTime.
	probeMoreRounds = 24
	probeTime       = 3 * time.Second
)

// Probe tries whether the store keeps what a log in it rests on, with some objects of its own
// beside the log's, over each endpoint: there are stores that accept conditions and do not honour
// them, or not among several of their servers. Of several endpoints it leaves out those that do not
// answer, and warns. It calls tried, if that is not nil, with each promise, and with nil or
// with how it was broken ([ErrUnfit]) or could not be tried. It returns the first of these errors,
// after which it tries nothing more. That a promise was kept proves little; that it was broken, all.
func Probe(ctx context.Context, c Config, tried func(promise string, err error)) error {
	c, err := c.withDefaults()
	if err != nil {
		return err
	}
	p := &probe{prefix: c.Prefix + "private/probe/" + newNonce() + "/"}
	endpoints := c.Endpoints
	if len(endpoints) == 0 {
		endpoints = []string{""}
	}
	for _, endpoint := range endpoints {
		if endpoint != "" {
			c.Endpoints = []string{endpoint}
		}
		for range probeConnection {
			b, err := openBucket(ctx, c)
			if err != nil {
				return err
			}
			p.buckets = append(p.buckets, b)
		}
	}
	if err := p.leaveSilent(ctx, endpoints, c.Log); err != nil {
		return err
	}
	defer p.remove(ctx)
	for _, promise := range []struct {
		name string
		try  func(context.Context) error
	}{
		{AtomicCreation, p.creation}, {AtomicSwap, p.swap}, {StaleRefused, p.stale}, {ReadAfterWrite, p.read}, {ListAfterWrite, p.list},
	} {
		err := promise.try(ctx)
		switch {
		case errors.Is(err, ErrUnfit):
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

type probe struct {
	buckets []*bucket // each with connections of its own
	prefix  string

	mu   sync.Mutex
	keys []string // to be deleted
}

func (p *probe) key(name string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = append(p.keys, p.prefix+name)
	return p.prefix + name
}

// leaveSilent leaves out the endpoints that do not answer, of several: to the others they make no difference.
func (p *probe) leaveSilent(ctx context.Context, endpoints []string, log *slog.Logger) error {
	if len(endpoints) == 1 {
		return nil
	}
	errs := make([]error, len(endpoints))
	var all sync.WaitGroup
	for i := range endpoints {
		all.Go(func() {
			b := p.buckets[i*probeConnection]
			ctx, cancel := context.WithTimeout(ctx, b.patient)
			defer cancel()
			if _, err := b.read(ctx, p.prefix+"none", maxCellBytes); !errors.Is(err, errNoObject) {
				errs[i] = err
			}
		})
	}
	all.Wait()
	var answering []*bucket
	for i, err := range errs {
		if err == nil {
			answering = append(answering, p.buckets[i*probeConnection:][:probeConnection]...)
		} else {
			log.Warn("an endpoint of the object store does not answer, and is left out", "endpoint", endpoints[i], "err", err)
		}
	}
	if p.buckets = answering; len(answering) == 0 {
		return fmt.Errorf("of %d endpoints none answers: %w", len(endpoints), errs[0])
	}
	return nil
}

func (p *probe) of(i int) *bucket { return p.buckets[i%len(p.buckets)] }

func (p *probe) remove(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	for _, key := range p.keys {
		_ = p.of(0).remove(ctx, key) // what stays is in nobody's way
	}
}

func unfit(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnfit, fmt.Sprintf(format, args...))
}

// rounds are as many as there is time for.
func (p *probe) rounds() iter.Seq[int] {
	begun, most := time.Now(), probeRounds
	if len(p.buckets) > probeConnection {
		most = probeMoreRounds
	}
	return func(yield func(int) bool) {
		for round := 0; round < most && (round < probeRounds || time.Since(begun) < probeTime); round++ {
			if !yield(round) {
				return
			}
		}
	}
}

func (p *probe) creation(ctx context.Context) error {
	for range p.rounds() {
		if _, _, err := p.race(ctx, "", condition{absent: true}); err != nil {
			return err
		}
	}
	return nil
}

func (p *probe) swap(ctx context.Context) error {
	key, now, err := p.race(ctx, "", condition{absent: true})
	for range p.rounds() {
		if err != nil {
			return err
		}
		_, now, err = p.race(ctx, key, condition{etag: now})
	}
	return err
}

// race has many write one object at once under one condition, and returns its key and its ETag then.
func (p *probe) race(ctx context.Context, key string, when condition) (at, etag string, err error) {
	for tries := (pause{}); ; {
		if when.absent { // each time another one: what went unanswered may still come
			key = p.key("raced" + newNonce())
		}
		bodies, errs := make([][]byte, probeWriters), make([]error, probeWriters)
		var all sync.WaitGroup
		for i := range probeWriters {
			bodies[i] = fmt.Appendf(nil, "writer %d %s", i, newNonce())
			all.Go(func() { _, errs[i] = p.of(i).put(ctx, key, bodies[i], when, headers{}) })
		}
		all.Wait()
		var told []int
		for i, err := range errs {
			if err == nil {
				told = append(told, i)
			} else if !errors.Is(err, errUnmet) && !errors.Is(err, errPassing) {
				return "", "", err
			}
		}
		if len(told) > 1 {
			return "", "", unfit("%d of %d writers at once were told that they wrote an object, under a condition that holds for one", len(told), probeWriters)
		}
		there, err := p.of(0).readTagged(ctx, key, maxCellBytes)
		switch {
		case errors.Is(err, errNoObject) && len(told) == 1:
			return "", "", unfit("what was written is not there")
		case err != nil && !errors.Is(err, errNoObject):
			return "", "", err
		}
		for i, body := range bodies {
			if err != nil || !bytes.Equal(body, there.data) {
				continue
			}
			if len(told) == 1 && told[0] != i {
				return "", "", unfit("one writer was told that it wrote an object, and another's is there")
			}
			return key, there.etag, nil // also if it was told that it did not: of a write that something repeats the second is refused
		}
		if len(told) == 1 {
			return "", "", unfit("what was written was replaced, by none who was told so")
		}
		if err == nil && !when.absent {
			when.etag = there.etag // of an earlier round's, that came late
		}
		if !tries.wait(ctx) { // each was told to try again
			return "", "", errors.Join(ctx.Err(), errs[0])
		}
	}
}

func (p *probe) stale(ctx context.Context) error {
	key, missing := p.key("stale"), p.key("missing")
	var etags []string
	for i, body := range []string{"first", "second"} {
		if err := p.of(i).write(ctx, key, []byte(body), headers{}); err != nil {
			return err
		}
		o, err := p.of(i).readTagged(ctx, key, maxCellBytes)
		if err != nil {
			return err
		}
		etags = append(etags, o.etag)
	}
	if etags[0] == etags[1] {
		return unfit("two bodies of one object have the ETag %q", etags[0])
	}
	for i := range p.buckets {
		for _, c := range []struct {
			what string
			key  string
			when condition
		}{
			{"if it is of an older ETag", key, condition{etag: etags[0]}},
			{"if it is not there, and it is", key, condition{absent: true}},
			{"if it has an ETag, and it is not there", missing, condition{etag: etags[0]}},
		} {
			err := again(ctx, func() error {
				_, err := p.of(i).put(ctx, c.key, []byte("stale"), c.when, headers{})
				return err
			})
			if err == nil {
				return unfit("an object was written that was to be written %s", c.what)
			}
			if !errors.Is(err, errUnmet) {
				return fmt.Errorf("writing %s: %w", c.what, err)
			}
		}
	}
	return nil
}

func (p *probe) read(ctx context.Context) error {
	key := p.key("read")
	for i, writer := range p.buckets {
		body := []byte(newNonce())
		if err := writer.write(ctx, key, body, headers{}); err != nil {
			return err
		}
		for j := range p.buckets {
			o, err := p.of(i+j).read(ctx, key, maxCellBytes)
			if errors.Is(err, errNoObject) || err == nil && !bytes.Equal(o.data, body) {
				return unfit("what was written was not what was read right after it")
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *probe) list(ctx context.Context) error {
	for i, writer := range p.buckets {
		key := p.key(fmt.Sprint("listed/", i))
		if err := writer.write(ctx, key, []byte("x"), headers{}); err != nil {
			return err
		}
		for j := range p.buckets {
			keys, err := p.of(i+j).all(ctx, p.prefix+"listed/")
			if err != nil {
				return err
			}
			found := 0
			for _, k := range keys {
				for n := range i + 1 {
					if k == fmt.Sprint(p.prefix, "listed/", n) {
						found++
					}
				}
			}
			if found != i+1 {
				return unfit("of %d objects that were written %d were listed right after it", i+1, found)
			}
		}
	}
	return nil
}
