package pebblestore

import (
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
)

// Options are those of a store or an index. The zero value is good.
type Options struct {
	// CacheBytes is the size of the block cache: 64 MiB if zero. Full tiles are
	// cached above the store, so that this serves entries and look-ups.
	CacheBytes int64

	// MemTableBytes is how much is collected in memory before it becomes a file; 32
	// MiB if zero. Up to four times as much is held while files are written.
	MemTableBytes uint64

	// ReadOnly writes and locks nothing, and migrates nothing: for who only looks.
	ReadOnly bool

	// Health is told of damage and of a full disk, and ends the process when the state
	// of the disk is unknown; nil: a new one.
	Health *disk.Health
}

// openDB opens a database that is tuned by tune for what lies in it.
func openDB(fs vfs.FS, dir, name string, o Options, tune func(*pebble.Options)) (*disk.DB, error) {
	if o.CacheBytes <= 0 {
		o.CacheBytes = 64 << 20
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = 32 << 20
	}
	return disk.Open(disk.Options{
		FS: fs, Dir: dir, Name: name, Health: o.Health, ReadOnly: o.ReadOnly,
		Remedy: "docket fsck says what is lost, and docket restore BACKUP --to NEW --with THIS-DIRECTORY brings it back; whatever does not need what is damaged goes on meanwhile",
		Tune: func(p *pebble.Options) {
			p.CacheSize = o.CacheBytes
			p.MemTableSize = o.MemTableBytes
			p.MemTableStopWritesThreshold = 4
			p.L0CompactionThreshold = 4
			p.L0StopWritesThreshold = 64
			p.CompactionConcurrencyRange = func() (int, int) { return 1, 2 }
			tune(p)
		},
	})
}

// tuneForLog writes each entry twice, in the write-ahead log and in a blob file, and
// never again: the tables that compactions rewrite hold keys and tiles alone. It
// was measured to halve what reaches the disk per entry, and with it to keep the
// cost of an entry from growing with the log. An entry is never overwritten, so
// there is no garbage to collect.
func tuneForLog(p *pebble.Options) {
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

// tuneForLookups is for look-ups of random keys: most levels can be skipped, and there
// is nothing to compress. Rows come in any order, so that what is compacted more
// seldom is rewritten less often; only known items are ever looked up, and the
// filters keep that cheap meanwhile.
func tuneForLookups(p *pebble.Options) {
	p.L0CompactionThreshold = 10
	p.LBaseMaxBytes = 512 << 20
	for i := range p.Levels {
		p.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		p.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
	}
}
