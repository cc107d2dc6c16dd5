package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/reader"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// source is something that holds a part of the log: a backup, a server or a mirror, a copy.
// Nothing that it hands out is believed before it is checked.
type source struct {
	name string
	log  client.Source
	tail proof.Tree // of a backup: what was committed, with no signature of the log's over it; zero without

	// What it says of the log, unverified.
	shown  [][]byte                                         // checkpoints, the newest first
	chain  func(context.Context, record.ID) ([]byte, error) // of charters; nil if it has none
	kept   func() ([][]byte, error)                         // blobs of the archive of a backup, oldest first: those before what is damaged; nil otherwise
	keptAt func(context.Context, time.Time) ([]byte, error) // the newest checkpoint with a quorum by then; nil if it keeps none
	silent error                                            // why it shows no checkpoint

	read   *reader.Reader // of the tree below
	owner  reader.Owner
	tree   *proof.Snapshot // the largest that is known of the log and that this source makes; nil: none
	failed error           // the first entry that it did not have, or not as it was signed
}

// openSource opens what a name stands for: a URL, or a directory. [ErrNone] if the directory holds nothing of a log.
func openSource(ctx context.Context, files vfs.FS, name string, transport http.RoundTripper) (*source, error) {
	if strings.Contains(name, "://") {
		return openURL(ctx, name, transport)
	}
	m, err := readManifest(files, name)
	switch {
	case err == nil:
		return openBackup(ctx, files, name, m), nil
	case !errors.Is(err, ErrNone):
		return nil, err
	}
	if _, err := files.Stat(files.PathJoin(name, "store")); err == nil {
		return nil, fmt.Errorf("%w in %s: it is a ledger's own directory, which only docket serve and docket backup read", ErrNone, name)
	}
	s := &source{name: name, log: client.Directory(files, name)}
	for _, sign := range []string{checkpointFile, "tile"} {
		if _, err = files.Stat(files.PathJoin(name, sign)); err == nil {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w in %s, and no copy of a log either: there is no checkpoint", ErrNone, name)
	}
	s.ask(ctx)
	if chain, err := disk.ReadFile(files, files.PathJoin(name, "charters"+proof.ReceiptSuffix)); err == nil {
		s.chain = func(context.Context, record.ID) ([]byte, error) { return chain, nil }
	}
	return s, nil
}

func openBackup(ctx context.Context, files vfs.FS, dir string, m manifest) *source {
	s := &source{name: dir, log: client.Directory(files, files.PathJoin(dir, logDir))}
	s.tail = m.head()
	s.ask(ctx)
	s.kept = func() (all [][]byte, err error) {
		for block := uint64(0); block*archiveBlock < m.Archived && err == nil; block++ {
			var blobs [][]byte
			blobs, err = readArchive(files, dir, block, int(min(archiveBlock, m.Archived-block*archiveBlock)))
			all = append(all, blobs...)
		}
		return all, err
	}
	return s
}

func openURL(ctx context.Context, url string, transport http.RoundTripper) (*source, error) {
	server, err := client.New(url, transport)
	if err != nil {
		return nil, err
	}
	s := &source{name: url, log: server.Source()}
	if chained, ok := s.log.(interface {
		ChainUnverified(ctx context.Context, id record.ID) ([]byte, error)
	}); ok {
		s.chain = chained.ChainUnverified
	}
	if keeper, ok := s.log.(interface {
		CheckpointAt(ctx context.Context, t time.Time) ([]byte, error)
	}); ok {
		s.keptAt = keeper.CheckpointAt
	}
	s.ask(ctx)
	return s, nil
}

// ask asks for the newest checkpoint.
func (s *source) ask(ctx context.Context) {
	note, err := s.log.Checkpoint(ctx)
	if err == nil {
		s.shown = append(s.shown, note)
		return
	}
	s.silent = err
	if errors.Is(err, fs.ErrNotExist) {
		s.silent = errors.New("there is no checkpoint in it")
	}
}

// reading is the source as a reader has it. It says by the errors of package reader what is
// not there, so that tiles are made anew of what lies below them.
type reading struct{ log client.Source }

// Published implements [reader.Source]: its owner shows what is published.
func (r reading) Published(context.Context) ([]byte, error) { return nil, nil }

// Tiles implements [reader.Source].
func (r reading) Tiles(ctx context.Context, ids []proof.TileID) ([][]byte, error) {
	rows, err := r.log.Tiles(ctx, ids)
	return rows, asLost(err)
}

// Entries implements [reader.Source].
func (r reading) Entries(ctx context.Context, start, end uint64) ([][]byte, error) {
	entries, err := client.EntriesOf(ctx, r.log.Bundle, start, end)
	return entries, asLost(err)
}

// asLost makes an error of package reader of what a server says it has not, or hands out in
// no form.
func asLost(err error) error {
	malformed := (*wire.MalformedError)(nil)
	switch {
	case wire.IsNotFound(err):
		return fmt.Errorf("%w: %w", reader.ErrMissing, err)
	case errors.As(err, &malformed):
		return fmt.Errorf("%w: %w", reader.ErrCorrupt, err)
	}
	return err
}

// settle finds the largest of these trees, the largest first, that the source makes: all that
// it hands out is checked against that one.
func (s *source) settle(ctx context.Context, trees []proof.Tree) error {
	for _, t := range trees {
		if s.tree != nil && t.Size <= s.tree.Size {
			break
		}
		r, owner := reader.NewOwned(reading{s.log}, reader.Config{Remake: true, CacheTiles: 512})
		edge, err := owner.LoadAppender(ctx, t)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			continue
		}
		snapshot, err := edge.Snapshot()
		if err != nil {
			return err
		}
		owner.Commit(snapshot, nil)
		s.read, s.owner, s.tree = r, owner, snapshot
		break
	}
	return nil
}

// entries are entries of the source's tree, each checked against its leaf.
func (s *source) entries(ctx context.Context, start, end uint64) ([][]byte, error) {
	if s.tree == nil || end > s.tree.Size {
		return nil, reader.ErrUnpublished
	}
	entries, err := s.owner.Entries(ctx, s.tree, start, end)
	if err != nil && s.failed == nil && ctx.Err() == nil {
		s.failed = err
	}
	return entries, err
}

// askWitnesses fetches what the witnesses of a policy show of the log, and who of them
// answered, by their names in the policy. One that says it has cosigned nothing has answered.
func (r *restoring) askWitnesses(ctx context.Context, policy *proof.Policy) (answered []string, silent []error) {
	type answer struct {
		url  string
		note []byte
		err  error
	}
	byURL := make(map[string][]string)
	for _, w := range policy.Witnesses() {
		byURL[w.URL] = append(byURL[w.URL], w.Name)
	}
	answers := make(chan answer, len(byURL))
	ctx, cancel := context.WithTimeout(ctx, witnessWait)
	defer cancel()
	for url := range byURL {
		go func() {
			a := answer{url: url}
			var w *wire.Witness
			if w, a.err = wire.NewWitness(url, r.Transport); a.err == nil {
				a.note, a.err = w.Checkpoint(ctx, r.origin)
			}
			answers <- a
		}()
	}
	for range byURL {
		a := <-answers
		switch {
		case wire.IsNotFound(a.err):
		case a.err != nil:
			silent = append(silent, a.err)
			continue
		default:
			r.note(a.url, a.note)
		}
		answered = append(answered, byURL[a.url]...)
	}
	return answered, silent
}

// witnessWait is how long the witnesses are waited for.
const witnessWait = 10 * time.Second
