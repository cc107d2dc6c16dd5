package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/public"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// proofs measures receipts of random entries: path built, checked, entry read.
func (r *run) proofs(ctx context.Context) error {
	l, err := r.filledLedger(ctx)
	if err != nil {
		return err
	}
	size := l.Published().Checkpoint().Size
	var failed atomic.Pointer[error]
	rate := onAllCores(2*time.Second, func() {
		if _, err := l.Receipt(ctx, rand.Uint64N(size)); err != nil {
			failed.Store(&err)
		}
	})
	if err := failed.Load(); err != nil {
		return *err
	}
	r.row("inclusion proofs with entries, warm", rate, "/s")
	return nil
}

// filledLedger is the one that the records went into.
func (r *run) filledLedger(ctx context.Context) (*public.Ledger, error) {
	if r.recordsLedger == nil {
		if err := r.records(ctx); err != nil {
			return nil, err
		}
	}
	return r.recordsLedger.node.Ledger, r.recordsLedger.node.Ledger.Publish(ctx)
}

// audit measures a replay of the whole ledger: signatures and hashes alone, then
// every rule too.
func (r *run) audit(ctx context.Context) error {
	l, err := r.filledLedger(ctx)
	if err != nil {
		return err
	}
	size := l.Published().Checkpoint().Size
	src := ledgerSource{l}
	err = r.rowBesideVerifications("audit: hashes and signatures", "entries/s", func() (float64, error) {
		took, err := src.verifySignatures(ctx, r.recordsLedger, size)
		return perSecond(int(size), took), err
	})
	if err != nil {
		return err
	}
	return r.rowBesideVerifications("audit: hashes, signatures and every rule", "entries/s", func() (float64, error) {
		begun := time.Now()
		report, err := client.Audit{Source: src, Charter: r.recordsLedger.Ledger, RegisterFiles: vfs.Default, RegisterDir: filepath.Join(r.dir, "audit"), Fatal: r.Fatal}.Run(ctx)
		if err == nil && len(report.Findings) > 0 {
			err = fmt.Errorf("the audit found: %s", report.Findings[0])
		}
		return perSecond(int(size), time.Since(begun)), err
	})
}

// ledgerSource reads a ledger in this process as an auditor reads a server.
type ledgerSource struct{ l *public.Ledger }

func (s ledgerSource) Checkpoint(context.Context) ([]byte, error) { return s.l.Published().Note(), nil }

func (s ledgerSource) Bundle(ctx context.Context, id proof.EntryBundleID) ([][]byte, error) {
	start := id.Index * proof.TileWidth
	return s.l.Entries(ctx, start, start+uint64(id.Width))
}

func (s ledgerSource) Tiles(ctx context.Context, ids []proof.TileID) ([][]byte, error) {
	rows := make([][]byte, len(ids))
	for i, id := range ids {
		var err error
		if rows[i], err = s.l.Tile(ctx, id); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// verifySignatures hashes every entry and verifies its signatures, on all cores, and
// judges nothing.
func (s ledgerSource) verifySignatures(ctx context.Context, w *benchLedger, size uint64) (time.Duration, error) {
	keys := w.node.Register
	var held sync.Map
	find := func(id string) *record.Key {
		if k, ok := held.Load(id); ok {
			return k.(*record.Key)
		}
		k := keys.KeyByID(id)
		held.Store(id, k)
		return k
	}
	var next atomic.Int64
	var failed atomic.Pointer[error]
	begun := time.Now()
	untilDone(func() bool {
		n := uint64(next.Add(1)) - 1
		if n*proof.TileWidth >= size || failed.Load() != nil {
			return false
		}
		entries, err := s.l.Entries(ctx, n*proof.TileWidth, min(size, (n+1)*proof.TileWidth))
		for _, raw := range entries {
			proof.LeafHash(raw)
			var e record.Entry
			if e, err = record.ParseEntry(raw); err == nil {
				_, err = record.OpenEntry(e, find)
			}
			if err != nil {
				break
			}
		}
		if err != nil {
			failed.Store(&err)
		}
		return err == nil
	})
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return time.Since(begun), nil
}
