package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/replica"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/standby"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/server"
)

// replicaLag measures how far replicas are behind a writer under a fixed load: one that follows its URL, and
// one that follows the store, both at once, in this process, and with a register of their own as any
// replica has.
func (m *storeBench) replicaLag(ctx context.Context) (err error) {
	store, err := m.open(Replica)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	n := int(m.For.Seconds() * float64(m.Rate))
	w, err := m.newBenchLedger(ctx, "lag", n*len(pacings), node.Config{Store: store})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.node.Close()) }()
	for i, p := range pacings {
		if err := w.pace(ctx, p); err != nil {
			return err
		}
		if err := m.lagWith(ctx, w, p, fmt.Sprint("lag-", i), n); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

func (m *storeBench) lagWith(ctx context.Context, w *benchLedger, p pacing, dir string, n int) (err error) {
	verified, err := w.openAll(w.responses(n))
	if err != nil {
		return err
	}
	writer, err := listen(ctx, func(ctx context.Context, l net.Listener) error {
		return w.node.Serve(ctx, l, server.Config{})
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, writer.end()) }()
	followed, err := m.open(Replica)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, followed.Close()) }()
	name := &url.URL{Scheme: "s3", Host: "bench"}
	if !m.Store.IsZero() {
		name = m.Store.Beside(Replica).Name()
	}
	atWriter, err := client.New(writer.url, nil)
	if err != nil {
		return err
	}
	over := replica.NewStore(followed, name, standby.Config{})
	published := watch(w.node.Ledger.Next)
	defer published.stop()
	sources := []struct {
		name   string
		config replica.Config
	}{
		{"the store", replica.Config{Source: over.Client(), Over: over}},
		{"the writer's URL", replica.Config{Source: atWriter}},
	}
	var replicas []*servedReplica
	var shown []*watched
	for i, s := range sources {
		r, err := m.startReplica(ctx, fmt.Sprint(dir, "-", i), w.Ledger, s.config, client.SnapshotKeys{})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, r.end()) }()
		replicas, shown = append(replicas, r), append(shown, watch(r.replica.Next))
		defer shown[i].stop()
	}
	if _, _, err := m.openLoop(ctx, n, func(i int) error { return w.publish(ctx, verified[i]) }); err != nil {
		return err
	}
	until := w.node.Ledger.PublishedSize()
	for i, r := range replicas {
		for p, next := r.replica.Next(); p.Checkpoint().Size < until; p, next = r.replica.Next() {
			select {
			case <-next:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		lag := lagBehind(published.stop(), shown[i].stop())
		name := fmt.Sprintf("store, %s: a replica of %s, ", p.name, sources[i].name)
		m.Report(Row{Name: name + "lag p50", Value: lag.publications(0.5), Unit: "publications", Aim: aimLag})
		m.Report(Row{Name: name + "lag p99", Value: lag.publications(0.99), Unit: "publications"})
		m.rowWithLimit(name+"shows one after, p50", quantile(lag.took, 0.5), "ms", lag.interval, "between two")
		m.rowWithLimit(name+"shows one after, p99", quantile(lag.took, 0.99), "ms", lag.interval, "between two")
	}
	return nil
}

// pace opens the ledger anew, with a pacing.
func (w *benchLedger) pace(ctx context.Context, p pacing) (err error) {
	w.config.Ledger.CommitInterval, w.config.Ledger.PublishInterval = p.commit, p.publish
	if err := w.node.Close(); err != nil {
		return err
	}
	w.node, err = node.Open(ctx, w.config)
	return err
}

// shownSize is a size, and when it was shown.
type shownSize struct {
	at   time.Time
	size uint64
}

// watched notes what is shown.
type watched struct {
	end   chan struct{}
	noted chan []shownSize
	all   []shownSize // once it was stopped
}

// watch notes each size when it is shown.
func watch(next func() (*proof.Published, <-chan struct{})) *watched {
	w := &watched{end: make(chan struct{}), noted: make(chan []shownSize, 1)}
	go func() {
		var all []shownSize
		for ending := false; ; {
			p, another := next()
			if p != nil && (len(all) == 0 || p.Checkpoint().Size > all[len(all)-1].size) {
				all = append(all, shownSize{time.Now(), p.Checkpoint().Size})
			}
			if ending {
				w.noted <- all
				return
			}
			select {
			case <-another:
			case <-w.end:
				ending = true
			}
		}
	}()
	return w
}

// stop returns what was noted; also when it was stopped before.
func (w *watched) stop() []shownSize {
	if w.noted != nil {
		close(w.end)
		w.all, w.noted = <-w.noted, nil
	}
	return w.all
}

// lag is how far a reader was behind what was published.
type lag struct {
	took     []time.Duration       // of each publication, until the reader showed it; sorted
	behind   map[int]time.Duration // for how long so many publications were not shown yet
	interval float64               // between two publications, p50, in ms
}

// lagBehind compares what was published, from the second publication on, with what a reader showed, which has come to the
// last of them.
func lagBehind(published, shown []shownSize) lag {
	l := lag{behind: make(map[int]time.Duration)}
	var intervals []time.Duration
	type change struct {
		at time.Time
		by int // publications that the reader lacks from then on
	}
	var changes []change
	for i := 1; i < len(published); i++ {
		p := published[i]
		intervals = append(intervals, p.at.Sub(published[i-1].at))
		at := slices.IndexFunc(shown, func(s shownSize) bool { return s.size >= p.size })
		if at < 0 {
			continue
		}
		until := shown[at].at
		if until.Before(p.at) { // who watched the writer was slower
			until = p.at
		}
		l.took = append(l.took, until.Sub(p.at))
		changes = append(changes, change{p.at, 1}, change{until, -1})
	}
	slices.SortStableFunc(changes, func(a, b change) int { return a.at.Compare(b.at) })
	behind := 0
	for i, c := range changes {
		if i > 0 {
			l.behind[behind] += c.at.Sub(changes[i-1].at)
		}
		behind += c.by
	}
	slices.Sort(l.took)
	slices.Sort(intervals)
	l.interval = quantile(intervals, 0.5)
	return l
}

// publications is how many publications the reader was behind at most for that part of the time.
func (l lag) publications(q float64) float64 {
	var all, sum time.Duration
	most := 0
	for n, d := range l.behind {
		all, most = all+d, max(most, n)
	}
	for n := range most {
		if sum += l.behind[n]; float64(sum) >= q*float64(all) {
			return float64(n)
		}
	}
	return float64(most)
}
