package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/bench"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/standby"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/stores"
)

func (a *app) bench() *cobra.Command {
	var asJSON bool
	store := ""
	o := bench.Options{}
	c := &cobra.Command{
		Use:   "bench [" + strings.Join(bench.Names[1:], "|") + "]…",
		Short: "Measure a ledger on this machine, beside what the machine can do",
		Long: `Measures a ledger on this machine, in a directory that is removed afterwards: durable
appends with and without the register, latency under a fixed load, HTTP, proofs,
audit, and each kind of page on the ledger that the records went into: time to the first
byte, bytes as sent, rows read; and the core over an object store in this process, or over --store
(a bucket's prefix, or a schema of a database, that is new: it is filled and left, as one beside it, PREFIX/replica or
SCHEMA_replica), the time until a standby publishes when the writer dies, with each --lease, how far replicas are behind,
and how long a new one takes to its first answer, with a snapshot and by a replay, beside what is aimed at and
what others have published. What the machine itself can do (fsync, signature verification) is measured
in the same run and stands beside each figure; compare ratios, not figures.`,
		Example: `  docket bench
  docket bench core --entries 1000000
  docket bench latency --rate 1000 --for 30s --json
  docket bench pages --records 1000000
  docket bench store --store s3://bucket/bench-1?region=eu-central-1`,
		ValidArgs: bench.Names,
		Args:      cobra.OnlyValidArgs,
		PreRunE: func(c *cobra.Command, names []string) error {
			for _, of := range []struct{ runs, flags []string }{
				{[]string{"core", "store"}, []string{"entries", "size"}},
				{[]string{"records", "proofs", "audit", "pages", "store"}, []string{"records"}},
				{[]string{"latency", "store"}, []string{"rate"}},
				{[]string{"latency", "http", "store"}, []string{"for"}},
				{[]string{"store"}, []string{"store", "put-delay", "lease"}},
				{[]string{"http", "store"}, []string{"conns"}},
			} {
				if len(names) > 0 && !slices.ContainsFunc(names, func(n string) bool { return slices.Contains(of.runs, n) }) {
					if err := idle(c, "without "+joinWords(of.runs, "or"), of.flags...); err != nil {
						return err
					}
				}
			}
			if store != "" {
				return idle(c, "beside --store: it is as slow as it is", "put-delay")
			}
			return nil
		},
		RunE: func(c *cobra.Command, names []string) error {
			if store != "" {
				var err error
				if o.Store, err = stores.Parse(store); err != nil {
					return usageError("--store: %w", err)
				} else if !o.Store.IsShared() {
					return usageError("--store %s: a directory is what the other runs measure", store).hint("want s3://BUCKET/PREFIX or postgres://USER@HOST/DATABASE")
				}
			}
			if o.Entries < 1 || o.Records < 1 || o.Rate < 1 || o.Conns < 1 || o.For < time.Second || o.Size < 64 || o.PutDelay < 0 {
				return usageError("want at least 1 entry, record, connection and record a second, 64 bytes, 1s, and no delay below 0")
			}
			for _, l := range o.Leases {
				if l < standby.MinLease || l > standby.MaxLease {
					return usageError("--lease %s: want %s to %s", l, standby.MinLease, standby.MaxLease)
				}
			}
			if !asJSON {
				a.printf("%-46s %12s %-10s  %s\n", "what", "figure", "", "beside (this machine, this run)")
			}
			o.Report = func(r bench.Row) {
				if asJSON {
					a.printJSON(r)
					return
				}
				beside := ""
				if r.Bytes > 0 {
					beside = fmt.Sprintf("p99 %s, cpu %s, the first %s; %d bytes, %d rows; ", formatFigure(r.P99), formatFigure(r.CPU), formatFigure(r.First), r.Bytes, r.Rows)
				}
				if r.Limit > 0 {
					beside += fmt.Sprintf("%.2f × %s (%s)", r.Value/r.Limit, r.LimitName, formatFigure(r.Limit))
				}
				if r.Aim != "" {
					if r.Limit > 0 {
						beside += "; "
					}
					beside += r.Aim
				}
				a.printf("%-46s %12s %-10s  %s\n", r.Name, formatFigure(r.Value), r.Unit, beside)
			}
			o.Fatal = a.diskFailed
			o.Filling = func() { a.logf("docket: %s is filled now, and left: %s", o.Store, leftIn(o.Store)) }
			return bench.Run(c.Context(), o, names...)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Dir, "dir", os.TempDir(), "a directory on the disk to be measured")
	f.IntVar(&o.Entries, "entries", 200_000, "entries of the core's run")
	f.IntVar(&o.Records, "records", 50_000, "records of the runs with the register")
	f.IntVar(&o.Size, "size", 300, "bytes of an entry of the core's run")
	f.IntVar(&o.Rate, "rate", 1000, "records a second of the latency run")
	f.DurationVar(&o.For, "for", 5*time.Second, "how long the latency and HTTP runs last")
	f.IntVar(&o.Conns, "conns", 256, "connections of the HTTP runs")
	f.StringVar(&store, "store", "", "s3://BUCKET/PREFIX[?endpoint=URL&region=NAME&path-style] or postgres://USER@HOST/DATABASE, where no ledger is yet")
	f.DurationVar(&o.PutDelay, "put-delay", 50*time.Millisecond, "how long a request to the object store in this process takes")
	f.DurationSliceVar(&o.Leases, "lease", []time.Duration{time.Second, standby.DefaultLease}, "leases of writers that die, to see how long a standby of the store takes")
	f.BoolVar(&asJSON, "json", false, "print one JSON object a row")
	return c
}

// leftIn is what a measurement leaves in a store, and how it goes.
func leftIn(at stores.URL) string {
	beside := at.Beside(bench.Replica)
	if at.Bucket != "" {
		return fmt.Sprintf("remove what lies below %s when it has ended", at.Name())
	}
	return fmt.Sprintf("DROP SCHEMA %q, %q CASCADE when it has ended", at.Schema(), beside.Schema())
}

// formatFigure prints a measured number with three digits that mean something.
func formatFigure(v float64) string {
	switch {
	case v >= 1000:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
