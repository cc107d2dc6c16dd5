package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

const (
	providers   = 50
	benchOrigin = "bench.example/records"
)

// benchLedger is a real ledger with a charter, an authority, providers and enough
// designations for each provider to answer.
type benchLedger struct {
	*registertest.World
	node          *node.Node
	designations  int
	responsesMade int // responses handed out
}

// newBenchLedger begins a ledger in which so many responses can be given.
func (r *run) newBenchLedger(ctx context.Context, name string, responses int) (*benchLedger, error) {
	dir := filepath.Join(r.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	keys, err := node.CreateKeys(dir, benchOrigin)
	if err != nil {
		return nil, err
	}
	policy := ""
	for _, s := range keys.Signers {
		policy += "log " + s.Key().String() + "\n"
	}
	n, err := node.Open(ctx, node.Config{Dir: dir, Keys: keys, Ledger: ledger.Config{MaxBacklog: 1 << 40}})
	if err != nil {
		return nil, err
	}
	w := &benchLedger{World: registertest.New(time.Now(), benchOrigin, policy+"quorum none\n"), node: n, designations: (responses + providers - 1) / providers}
	if err := w.appendFirstRecords(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return w, nil
}

func (w *benchLedger) appendFirstRecords(ctx context.Context) error {
	first := []record.Envelope{}
	add := func(env record.Envelope) { w.NoteAdmitted(env); first = append(first, env) }
	add(w.Charter())
	add(w.Authority())
	for i := range providers {
		add(w.Provider(providerName(i)))
	}
	for _, env := range first {
		if _, _, err := w.node.Admit(ctx, env); err != nil {
			return err
		}
	}
	orders := make([]record.Verified, w.designations)
	envs := make([]record.Envelope, w.designations)
	for i := range orders {
		envs[i] = w.Designate(designationName(i), w.NewDesignation("Target "+designationName(i)+" (fictional)"))
		w.NoteAdmitted(envs[i])
	}
	if err := w.openAll(envs, orders); err != nil {
		return err
	}
	_, err := appendAll(ctx, w.node.Ledger, len(orders), func(i int) (record.Verified, error) { return orders[i], nil })
	if err != nil {
		return err
	}
	return w.reopen(ctx)
}

func providerName(i int) string    { return fmt.Sprintf("provider-%02d", i) }
func designationName(i int) string { return fmt.Sprintf("2026-%06d", i) }

// reopen opens the ledger anew: one that has run does not run again.
func (w *benchLedger) reopen(ctx context.Context) error {
	n, err := w.node.Reopen(ctx)
	if err == nil {
		w.node = n
	}
	return err
}

// responses signs the next n responses, on all cores.
func (w *benchLedger) responses(n int) []record.Envelope {
	envs := make([]record.Envelope, n)
	for i := range providers { // make the signers before they are shared
		w.Signer(providerName(i) + "/ci")
	}
	from := w.responsesMade
	w.responsesMade += n
	var wg sync.WaitGroup
	for c := range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := c; i < n; i += runtime.GOMAXPROCS(0) {
				at := from + i
				envs[i] = w.Respond(designationName(at/providers), providerName(at%providers), &record.Response{Status: "no-relationship"})
			}
		})
	}
	wg.Wait()
	return envs
}

// openAll verifies envelopes on all cores, as callers of Append do.
func (w *benchLedger) openAll(envs []record.Envelope, into []record.Verified) error {
	var wg sync.WaitGroup
	failed := make([]error, runtime.GOMAXPROCS(0))
	for c := range failed {
		wg.Go(func() {
			for i := c; i < len(envs) && failed[c] == nil; i += len(failed) {
				into[i], failed[c] = record.Open(envs[i], w.node.Register.CandidateKeys)
			}
		})
	}
	wg.Wait()
	return errors.Join(failed...)
}
