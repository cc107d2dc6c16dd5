package pebblestore

import (
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options are those of a store or an index. The zero value is good.
type Options struct {
	// CacheBytes is the size of the block cache: 64 MiB if zero. Full tiles are
	// cached above the store, so that this serves entries and look-ups.
	CacheBytes int64

	// MemoryBytes is how much is collected in memory before it becomes a file; 32
	// MiB if zero. Up to four times as much is held while files are written.
	MemoryBytes uint64

	// Log is told of what Pebble reports as an error; nil discards.
	Log *slog.Logger

	// Fatal ends the process, once nobody knows any more what is on the disk. nil
	// logs and exits with status 1. It must not return; if it does, the caller
	// panics.
	Fatal func(reason string)
}

// openDB opens a database that is tuned by adapt for what lies in it.
func openDB(fs vfs.FS, dir string, o Options, adapt func(*pebble.Options)) (*pebble.DB, error) {
	if o.CacheBytes <= 0 {
		o.CacheBytes = 64 << 20
	}
	if o.MemoryBytes == 0 {
		o.MemoryBytes = 32 << 20
	}
	cache := pebble.NewCache(o.CacheBytes)
	defer cache.Unref()
	p := &pebble.Options{
		FS:                          InOrder(fs),
		Cache:                       cache,
		Logger:                      newLogger(o),
		FormatMajorVersion:          pebble.FormatValueSeparation,
		MemTableSize:                o.MemoryBytes,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       64,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
	}
	adapt(p)
	return pebble.Open(dir, p)
}

// forLog writes each entry twice, in the write-ahead log and in a blob file, and
// never again: the tables that compactions rewrite hold keys and tiles alone. It
// was measured to halve what reaches the disk per entry, and with it to keep the
// cost of an entry from growing with the log. An entry is never overwritten, so
// there is no garbage to collect.
func forLog(p *pebble.Options) {
	p.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy {
		return pebble.ValueSeparationPolicy{
			Enabled:               true,
			MinimumSize:           128, // bytes
			MaxBlobReferenceDepth: 16,
			RewriteMinimumAge:     time.Hour,
			TargetGarbageRatio:    1,
		}
	}
	p.Experimental.EnableColumnarBlocks = func() bool { return true }
	p.Experimental.SpanPolicyFunc = func(start []byte) (pebble.SpanPolicy, []byte, error) {
		if len(start) > 0 && start[0] == keyEntry {
			return pebble.SpanPolicy{}, []byte{keyEntry + 1}, nil
		}
		return pebble.SpanPolicy{ValueStoragePolicy: pebble.ValueStorageLowReadLatency}, nil, nil
	}
}

// forIndex is for look-ups of random keys: most levels can be skipped, and there
// is nothing to compress. Rows come in any order, so that what is compacted more
// seldom is rewritten less often; only known items are ever looked up, and the
// filters keep that cheap meanwhile.
func forIndex(p *pebble.Options) {
	p.L0CompactionThreshold = 10
	p.LBaseMaxBytes = 512 << 20
	for i := range p.Levels {
		p.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		p.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
	}
}

// logger passes on what Pebble says.
type logger struct {
	log   *slog.Logger
	fatal func(string)
}

func newLogger(o Options) logger {
	l := logger{o.Log, o.Fatal}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	if l.fatal == nil {
		l.fatal = func(string) { os.Exit(1) }
	}
	return l
}

func (l logger) Infof(format string, args ...any) {}

func (l logger) Errorf(format string, args ...any) {
	l.log.Error("the disk store reports", "err", fmt.Sprintf(format, args...))
}

func (l logger) Fatalf(format string, args ...any) {
	reason := fmt.Sprintf(format, args...)
	l.log.Error("the disk store cannot go on; the process ends, and its next start recovers", "err", reason)
	l.fatal(reason)
	panic(reason)
}
