package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/rpc"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/stores"
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
	tail proof.Tree // of a backup, or of a ledger's own directory: what was committed, with no signature of the log's over it; zero without

	// What it says of the log, unverified.
	shown  [][]byte                                         // checkpoints, the newest first
	chain  func(context.Context, record.ID) ([]byte, error) // of charters; nil if it has none
	kept   func() ([][]byte, error)                         // blobs of the archive of a backup, oldest first: those before what is damaged; nil otherwise
	keptAt func(context.Context, time.Time) ([]byte, error) // the newest checkpoint with a quorum by then; nil if it keeps none
	silent error                                            // why it shows no checkpoint

	close func() error // nil if there is nothing to close

	read   *reader.Reader // of the tree below
	owner  reader.Owner
	tree   *proof.Snapshot // the largest that is known of the log and that this source makes; nil: none
	failed error           // the first entry that it did not have, or not as it was signed
	errors int             // how often it did not answer, in a row
}

// openSource opens what a name stands for: a URL, or a directory. [ErrNone] if the directory holds nothing of a log.
func openSource(ctx context.Context, files vfs.FS, name string, transport http.RoundTripper, fatal func(string)) (*source, error) {
	if at, err := stores.Parse(name); err == nil && at.IsShared() {
		c, closer, err := node.OpenCommittedAt(ctx, at)
		return openStore(ctx, at.String(), c, closer, err)
	}
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
	if err := node.HasStore(files, name); err == nil {
		// A ledger's own directory, of which a part may be damaged; who has it open answers for it.
		c, closer, err := node.OpenCommitted(ctx, files, name, fatal)
		return openStore(ctx, name, c, closer, err)
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

// openStore is the store that a ledger is kept in, which was opened or not.
func openStore(ctx context.Context, name string, c node.Committed, closer io.Closer, err error) (*source, error) {
	if err != nil {
		return nil, fmt.Errorf("the ledger in %s: %w: %w", name, ErrUnopened, err)
	}
	s := &source{name: name, log: committedLog{c}, close: closer.Close}
	if s.tail, err = c.Head(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("the ledger in %s: %w: %w", name, ErrUnopened, err), closer.Close())
	}
	s.ask(ctx)
	s.kept = func() (all [][]byte, err error) {
		count, err := c.ArchivedCount(ctx)
		for n := uint64(0); n < count && err == nil; n += node.MaxRead {
			var blobs [][]byte
			blobs, err = c.Archived(ctx, n, min(count, n+node.MaxRead))
			all = append(all, blobs...)
		}
		return all, err
	}
	return s, nil
}

// committedLog is what a ledger's store has committed, as others show a log.
type committedLog struct{ node.Committed }

// Checkpoint implements [client.Source].
func (c committedLog) Checkpoint(ctx context.Context) ([]byte, error) {
	note, err := c.Published(ctx)
	if err == nil && len(note) == 0 {
		err = errors.New("nothing is published in it")
	}
	return note, err
}

// Bundle implements [client.Source].
func (c committedLog) Bundle(ctx context.Context, id proof.EntryBundleID) ([][]byte, error) {
	first := id.Index * proof.TileWidth
	return c.Entries(ctx, first, first+uint64(id.Width))
}

// Tiles implements [client.Source].
func (c committedLog) Tiles(ctx context.Context, ids []proof.TileID) (rows [][]byte, err error) {
	for some := range slices.Chunk(ids, node.MaxRead) {
		next, err := c.Committed.Tiles(ctx, some)
		if err != nil {
			return nil, err
		}
		rows = append(rows, next...)
	}
	return rows, nil
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
	withheld := (*wire.WithheldError)(nil)
	single, ok := r.log.(interface {
		Entry(ctx context.Context, index uint64) ([]byte, error)
	})
	if !errors.As(err, &withheld) || !ok {
		return entries, asLost(err)
	}
	entries = nil // another entry of the bundle need not be among those asked for
	for index := start; index < end; index++ {
		e, err := single.Entry(ctx, index)
		if err != nil {
			return nil, asLost(err)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// asLost makes an error of package reader of what a server says it has not, or hands out in
// no form.
func asLost(err error) error {
	malformed, broken, withheld := (*wire.MalformedError)(nil), rpc.ServerError(""), (*wire.WithheldError)(nil)
	switch {
	case errors.As(err, &withheld):
		return fmt.Errorf("%w: %w", reader.ErrMissing, err)
	case errors.As(err, &broken): // of a store that another process reads
		return fmt.Errorf("%w: %w", reader.ErrCorrupt, err)
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
	if err == nil || ctx.Err() != nil {
		s.errors = 0
		return entries, err
	}
	if s.failed == nil {
		s.failed = err
	}
	if unreachable(err) {
		if s.errors++; s.errors == maxErrors {
			s.tree = nil // each call may take a minute
		}
		s.silent = err
	}
	return nil, err
}

// maxErrors is how often in a row a source may not answer.
const maxErrors = 3

// unreachable says of an error that the same call may go through later.
func unreachable(err error) bool {
	status := (*wire.StatusError)(nil)
	return errors.As(err, new(*wire.UnreachableError)) || errors.As(err, &status) && status.Retryable()
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
			slices.SortFunc(silent, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
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
