// Package objectstore keeps a log in a bucket of any S3-compatible object store: a
// [ledger.Shared] without a database or a lock service. Whoever opens a handle reads; one of
// them at a time writes, and the bucket's conditional writes decide which.
//
// What lies where, below the configured prefix:
//
//	public/checkpoint, public/tile/…   a C2SP tlog-tiles log, as any static server serves it
//	private/head                       size, root, epoch; which stages are not yet public
//	private/published                  the published checkpoint, and the count of the archive
//	private/stages/OLD-SIZE-FROM-ROOT  entries and tiles of a commit, immutable
//	private/archive/NUMBER             archived blobs, immutable
//	private/blobs/NAME                 blobs beside the log
//
// An extension is two PUTs: its stage, then the swap of the head that names it. A reader finds
// what is committed in the stages that the head names and all else under the public paths;
// who misses a stage reads the head again. Behind the writer, what the stages hold is fanned
// out to the public paths. Every taking swaps the head and then what is published, so that whatever an
// earlier writer has in flight conflicts.
//
// It rests on four promises of the store: conditional writes are atomic, a stale condition is
// refused, what was written is read, and what was written is listed. [Probe] tries them. Stores are
// known that accept the conditions and do not keep them.
//
// Why it is so: ledger/DESIGN.md section 6, "The object store".
package objectstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Config says where the log lies. Bucket is needed; of all else the zero value is good.
type Config struct {
	Bucket    string
	Prefix    string   // of all keys: "ledgers/2026"; nothing else may lie under it
	Endpoints []string // "https://s3.example:9000"; several of one store: another one is asked when one does not answer. None: the region's own
	Region    string   // of none: as the environment says, or us-east-1
	PathStyle bool     // the bucket stands in the path and not in the host's name

	Credentials aws.CredentialsProvider // nil: the usual ones, of the environment, the shared files or the machine
	Transport   http.RoundTripper       // nil: connections of its own
	Log         *slog.Logger            // nil: none

	// RequestTimeout is how long one request may take before it counts as lost, and the next endpoint
	// is asked; [DefaultRequestTimeout] if zero. Large ones get a second more for each MiB that is sent, or has
	// come, and listings three times as long.
	RequestTimeout time.Duration

	// KeepStages is how long a stage stays after it was no longer needed, for whoever has an
	// older head; 1 h if zero.
	KeepStages time.Duration

	// Manual starts no goroutine: [Store.FanOut] and [Store.CleanUp] are called by who opened
	// it, and by Extend when too much has piled up.
	Manual bool
}

// DefaultRequestTimeout leaves time to ask another endpoint within a third of a standby's lease.
const DefaultRequestTimeout = 3 * time.Second

const (
	maxConcurrent  = 16                                // requests of one call at a time
	maxStageBytes  = 1 << 30                           // of a stage that is read
	maxCellBytes   = 64 << 20                          // of a cell, a checkpoint, an archived blob
	maxBundleBytes = proof.TileWidth * (2 + 1<<16 - 1) // of a bundle, and more than a tile has
	maxLag         = 32                                // stages that are not fanned out, before Extend waits
	maxStages      = 64                                // that a head names, before one stands in for them all
	cachedBundles  = 32                                // full bundles kept in memory for reads, of cachedBundleBytes at most each

	cachedBundleBytes = 1 << 20
)

func (c Config) withDefaults() (Config, error) {
	if c.Bucket == "" {
		return c, errors.New("an object store needs the name of its bucket")
	}
	if p := strings.Trim(c.Prefix, "/"); p != "" {
		if err := ledger.CheckBlobName(p); err != nil {
			return c, fmt.Errorf("the prefix in the bucket: %w", err)
		}
		c.Prefix = p + "/"
	} else {
		c.Prefix = ""
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.RequestTimeout <= 0 {
		c.RequestTimeout = DefaultRequestTimeout
	}
	if c.KeepStages <= 0 {
		c.KeepStages = time.Hour
	}
	return c, nil
}

// Store is a handle on a log in a bucket. It implements [ledger.Shared].
type Store struct {
	config Config
	bucket *bucket

	taking lock // held by what begins or ends the writing of this handle

	mu      sync.Mutex               // guards what follows
	view    held[head]               // the newest head that was read or made
	seen    bool                     // there was a head: one that is missing is lost
	stages  map[string]*stage        // read, of those that view names
	loading map[string]chan struct{} // closed when who reads a stage has it
	writing *writer                  // since the taking
	bundles *lru.Cache[string, []byte]
}

var (
	_ ledger.Shared         = (*Store)(nil)
	_ ledger.ArchivingStore = (*Store)(nil)
)

var (
	// ErrLost: the head object was there once and is missing. That is never a beginning.
	ErrLost = fmt.Errorf("%w: an object that all rests on is missing: bring the bucket back as it was, or docket restore a backup", ledger.ErrCorrupt)
	// ErrLaterVersion is a store that a later version of docket wrote.
	ErrLaterVersion = errors.New("upgrade docket")
)

// Open makes a handle. It asks the store nothing: neither whether it is there, nor whether it
// keeps its promises ([Probe]).
func Open(ctx context.Context, c Config) (*Store, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	b, err := openBucket(ctx, c)
	if err != nil {
		return nil, err
	}
	s := &Store{config: c, bucket: b, stages: map[string]*stage{}, loading: map[string]chan struct{}{}, taking: newLock()}
	s.bundles, _ = lru.New[string, []byte](cachedBundles) // an error only of a size below 1
	return s, nil
}

// Close ends what runs behind the writer, and waits for it. What it does not come to fan out
// within a RequestTimeout, the next writer does.
func (s *Store) Close() error {
	s.taking.takeAnyhow()
	defer s.taking.release()
	w, err := s.writer()
	s.setWriter(nil)
	if w != nil && !errors.Is(err, ledger.ErrTakenOver) {
		w.fan.last()
	}
	return nil
}

func (s *Store) public(path string) string  { return s.config.Prefix + "public/" + path }
func (s *Store) private(path string) string { return s.config.Prefix + "private/" + path }
func (s *Store) headKey() string            { return s.private("head") }
func (s *Store) publishedKey() string       { return s.private("published") }

func (s *Store) stageKey(n stageName) string { return s.private("stages/" + n.key()) }

func (s *Store) archiveKey(number uint64) string {
	return s.private(fmt.Sprintf("archive/%020d", number))
}

// readHead reads the head anew. Without one the log is a new one, or lost.
func (s *Store) readHead(ctx context.Context) (held[head], error) {
	h, err := readCell[head](ctx, s.bucket, s.headKey())
	if err != nil {
		return h, fmt.Errorf("reading the head: %w", err)
	}
	if h.exists {
		s.show(h)
		return h, nil
	}
	s.mu.Lock()
	seen := s.seen
	s.mu.Unlock()
	if seen {
		return h, fmt.Errorf("%s was there: %w", s.headKey(), ErrLost)
	}
	// Whoever begins a log writes its head before anything else.
	for _, prefix := range []string{s.publishedKey(), s.private("stages/"), s.private("archive/"), s.public("")} {
		there, err := s.bucket.exists(ctx, prefix)
		if err != nil {
			return h, fmt.Errorf("reading the head: %w", err)
		}
		if there {
			if h, err = readCell[head](ctx, s.bucket, s.headKey()); err == nil && h.exists {
				s.show(h) // it began meanwhile
				return h, nil
			}
			return h, errors.Join(fmt.Errorf("%s is there, and no %s: %w", prefix, s.headKey(), ErrLost), err)
		}
	}
	h.body = head{Format: format, Root: root(proof.EmptyRoot())}
	return h, nil
}

// show makes a head the one to read by, unless it is older than what is read by.
func (s *Store) show(h held[head]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = true
	if now := s.view.body; h.body.Epoch < now.Epoch || h.body.Epoch == now.Epoch && h.body.Size < now.Size {
		return
	}
	s.view = h
	named := make(map[string]*stage, len(h.body.Stages))
	for _, n := range h.body.Stages {
		if st := s.stages[n.key()]; st != nil {
			named[n.key()] = st
		}
	}
	s.stages = named
}

// keep has a stage at hand as long as the head names it.
func (s *Store) keep(st *stage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stages[st.name.key()] = st
}
