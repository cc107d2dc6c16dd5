package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/replica"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/snapshot"
	"github.com/seed-53cf897a/docket/server"
)

// replicaStart measures how long a new replica takes to its first answer, on the ledger that the records went into:
// with a snapshot of its register, and by a replay of all. Both servers are in this process.
func (r *run) replicaStart(ctx context.Context) error {
	if _, err := r.filledLedger(ctx); err != nil {
		return err
	}
	w := r.recordsLedger
	size := w.node.Ledger.PublishedSize()
	made, key, err := r.makeSnapshot(ctx, w)
	if err != nil {
		return err
	}
	writer, err := listen(ctx, func(ctx context.Context, l net.Listener) error {
		c := server.Config{Ledger: w.node.Ledger, Register: w.node.Register, Snapshots: made}
		s, err := server.New(c)
		if err != nil {
			return c.Abandon(l, err)
		}
		return s.Serve(ctx, l)
	})
	if err != nil {
		return err
	}
	err = r.startsAt(ctx, w, writer, client.SnapshotKeys{Own: []proof.Key{key}}, register.FormatEntryCount(size))
	return errors.Join(err, writer.end())
}

// makeSnapshot makes one of a ledger's register.
func (r *run) makeSnapshot(ctx context.Context, w *benchLedger) (*snapshot.Dir, proof.Key, error) {
	skey, _, err := proof.GenerateKey(proof.Ed25519, "node.bench.example")
	if err != nil {
		return nil, proof.Key{}, err
	}
	signer, err := snapshot.ParseSigner(skey)
	if err != nil {
		return nil, proof.Key{}, err
	}
	made, err := snapshot.OpenDir(vfs.Default, filepath.Join(r.dir, "snapshots"), signer)
	if err != nil {
		return nil, proof.Key{}, err
	}
	begun := time.Now()
	err = replica.Snapshots{
		Dir: made, Register: w.node.Register, Origin: benchOrigin, Published: w.node.Ledger.PublishedSize, Log: slog.New(slog.DiscardHandler),
	}.Make(ctx)
	if err != nil {
		return nil, proof.Key{}, err
	}
	of := "snapshot of " + register.FormatEntryCount(made.Newest().Tree.Size)
	r.row(of+": made in", time.Since(begun).Seconds(), "s")
	r.row(of+": size", float64(made.Newest().Bytes())/1e6, "MB")
	return made, signer.Key(), nil
}

// startsAt starts a replica of a server in each way, and has the last one answer beside that server.
func (r *run) startsAt(ctx context.Context, w *benchLedger, writer *served, keys client.SnapshotKeys, entries string) error {
	source, err := client.New(writer.url, nil)
	if err != nil {
		return err
	}
	var took [2]time.Duration
	for i, k := range []client.SnapshotKeys{keys, {}} {
		begun := time.Now()
		s, err := r.startReplica(ctx, fmt.Sprint("start-", i), w.Ledger, replica.Config{Source: source}, k)
		if err != nil {
			return err
		}
		err = firstAnswer(ctx, s.url+w.receiptPath())
		if took[i] = time.Since(begun); err == nil && i == 1 {
			r.rowWithLimit("a new replica of "+entries+", replaying all: first answer after", took[1].Seconds(), "s", took[0].Seconds(), "with a snapshot")
			err = r.readsBeside(ctx, w, s.address, writer.address)
		} else if err == nil {
			r.Report(Row{Name: "a new replica of " + entries + ", with a snapshot: first answer after", Value: took[0].Seconds(), Unit: "s", Aim: aimStart})
		}
		if err := errors.Join(err, s.end()); err != nil {
			return err
		}
	}
	return nil
}

// receiptPath is where a receipt of any record is.
func (w *benchLedger) receiptPath() string {
	index := rand.Uint64N(w.node.Ledger.PublishedSize())
	rows, err := w.node.Register.Snapshot(index + 1)
	if err == nil {
		var row register.RecordRow
		if row, err = rows.Record(index); err == nil {
			return "/v1/records/" + row.ID.String() + "/receipt"
		}
	}
	return "/v1/records/" + err.Error() // which nobody answers
}

// firstAnswer asks once.
func firstAnswer(ctx context.Context, url string) error {
	p := pageReader{url, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	_, _, err := p.get(ctx, "")
	return err
}

// readsBeside measures how many receipts a replica hands out, beside the writer that it follows.
func (r *run) readsBeside(ctx context.Context, w *benchLedger, replica, writer string) error {
	requests := make([][]byte, 4096)
	for i := range requests {
		requests[i] = getRequest(w.receiptPath())
	}
	again := func(i int) []byte { return requests[i%len(requests)] }
	var rates [2]float64
	for i, address := range []string{writer, replica} {
		answered, took, err := r.loadHTTP(ctx, address, again, http.StatusOK, r.For/2)
		if err != nil {
			return err
		}
		rates[i] = perSecond(answered, took)
	}
	r.rowWithLimit(fmt.Sprintf("receipts by HTTP, a replica, %d connections", r.Conns), rates[1], "/s", rates[0], "the writer's")
	return nil
}

// served is what answers HTTP on loopback until end.
type served struct {
	url, address string
	end          func() error
}

// listen has serve answer at an address of its own; it closes the listener.
func listen(ctx context.Context, serve func(context.Context, net.Listener) error) (*served, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- serve(ctx, l) }()
	return &served{"http://" + l.Addr().String(), l.Addr().String(), func() error { stop(); return <-done }}, nil
}

// servedReplica is a replica that answers.
type servedReplica struct {
	*served
	replica *replica.Replica
}

// startReplica starts a replica in a new directory; with keys it begins with a snapshot.
func (r *run) startReplica(ctx context.Context, dir string, id record.ID, c replica.Config, keys client.SnapshotKeys) (_ *servedReplica, err error) {
	c.Trust, err = client.CreateTrust(ctx, vfs.Default, filepath.Join(r.dir, dir), c.Source, id)
	if err != nil {
		return nil, err
	}
	c.Trust.Snapshots, c.Trust.Remote = keys, c.Source
	c.Trust.Health = disk.NewHealth(disk.Config{Fatal: r.Fatal})
	c.Health, c.Log = c.Trust.Health, slog.New(slog.DiscardHandler)
	if len(keys.Own) > 0 { // which a replica that cannot replays instead
		if err := c.Trust.StartFromSnapshot(ctx, c.Source, keys, nil); err != nil {
			return nil, err
		}
	}
	copied, err := replica.Open(ctx, c)
	if err != nil {
		return nil, errors.Join(err, c.Trust.Close())
	}
	s, err := listen(ctx, func(ctx context.Context, l net.Listener) error { return copied.Serve(ctx, l, server.Config{}) })
	if err != nil {
		return nil, errors.Join(err, copied.Close())
	}
	end := s.end
	s.end = func() error { return errors.Join(end(), copied.Close()) }
	return &servedReplica{s, copied}, nil
}
