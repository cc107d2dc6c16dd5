package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/rpc"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/ownsocket"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/stores"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Pebble lets no second process in. So whoever has a ledger's directory open answers, on a
// socket in it, what another process of the same machine wants to read of the store: what is
// committed, which never changes any more. It asks for no snapshot, and holds nothing up:
// whoever reads the count of the archive first, then what is published, then the head, has
// three numbers that fit together, and all below them stays as it is. A bucket or a database
// lets everybody in, and is read itself.

// Committed is what is read of a ledger's store beside the process that writes to it.
type Committed interface {
	Head(ctx context.Context) (ledger.Head, error)
	Published(ctx context.Context) ([]byte, error)
	ArchivedCount(ctx context.Context) (uint64, error)
	Tiles(ctx context.Context, ids []proof.TileID) ([][]byte, error) // at most MaxRead

	// Entries are at most MaxRead entries, and Archived as many archived blobs: [start, end).
	Entries(ctx context.Context, start, end uint64) ([][]byte, error)
	Archived(ctx context.Context, start, end uint64) ([][]byte, error)
}

// MaxRead is how much one call reads: 12 MB of entries at most.
const MaxRead = 256

// ErrSilent: another process has the directory open, and does not answer on its socket.
var ErrSilent = errors.New("another process has the ledger open, and lets nobody read beside it")

// OpenCommitted reads the store of a ledger's directory: through the process that has it
// open, else by opening it, which keeps others out until it is closed. [fs.ErrNotExist] if
// there is none; [ErrSilent]. fatal is that of [Config].
func OpenCommitted(ctx context.Context, files vfs.FS, dir string, fatal func(reason string)) (Committed, io.Closer, error) {
	if err := HasStore(files, dir); err != nil {
		return nil, nil, err
	}
	at, err := StoreURL(files, dir)
	if err != nil {
		return nil, nil, err
	}
	if at.IsShared() {
		return OpenCommittedAt(ctx, at)
	}
	for try := 0; ; try++ {
		lock, err := disk.Lock(files, files.PathJoin(dir, "lock"))
		if err == nil {
			s, err := pebblestore.Open(files, files.PathJoin(dir, storeDir), pebblestore.Options{Health: disk.NewHealth(disk.Config{Fatal: fatal})})
			if err != nil {
				return nil, nil, errors.Join(err, lock.Close())
			}
			return storeReader{s}, &closers{[]io.Closer{s, lock}}, nil
		}
		if !errors.Is(err, disk.ErrLocked) || files != vfs.Default {
			return nil, nil, err
		}
		conn, err := ownsocket.Dial(ctx, dir, socketName)
		if err == nil {
			c := rpc.NewClient(conn)
			return besideReader{c}, &closers{[]io.Closer{c}}, nil
		}
		if try == besideTries || errors.Is(err, fs.ErrPermission) {
			return nil, nil, fmt.Errorf("%s: %w: %w", dir, ErrSilent, err)
		}
		select {
		case <-time.After(besidePause): // it begins, or ends
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

// OpenCommittedAt reads a bucket or a database, whoever writes to it.
func OpenCommittedAt(ctx context.Context, at stores.URL) (Committed, io.Closer, error) {
	s, err := stores.OpenShared(ctx, at, stores.Options{})
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", at, err)
	}
	return storeReader{ledger.Bounded(s, time.Minute)}, &closers{[]io.Closer{s}}, nil
}

// How often, and after what pause, a process is asked again that has the directory open and
// does not answer: it makes its socket once it serves.
const (
	besideTries = 40
	besidePause = 50 * time.Millisecond
)

// closers are closed in order, and once.
type closers struct{ left []io.Closer }

func (c *closers) Close() (err error) {
	for _, one := range c.left {
		err = errors.Join(err, one.Close())
	}
	c.left = nil
	return err
}

// Committed is what is read of the store of a ledger that this process has open.
func (n *Node) Committed() Committed { return storeReader{n.store} }

// storeReader reads a store that this process has open.
type storeReader struct{ ledger.Store }

// Entries implements [Committed].
func (r storeReader) Entries(ctx context.Context, start, end uint64) ([][]byte, error) {
	if end-start > MaxRead {
		return nil, fmt.Errorf("%d entries at once", end-start)
	}
	return r.Store.Entries(ctx, start, end)
}

// Tiles implements [Committed].
func (r storeReader) Tiles(ctx context.Context, ids []proof.TileID) ([][]byte, error) {
	if len(ids) > MaxRead {
		return nil, fmt.Errorf("%d tiles at once", len(ids))
	}
	return r.Store.Tiles(ctx, ids)
}

// Archived implements [Committed].
func (r storeReader) Archived(ctx context.Context, start, end uint64) (blobs [][]byte, err error) {
	if end-start > MaxRead {
		return nil, fmt.Errorf("%d blobs at once", end-start)
	}
	for n := start; n < end; n++ {
		blob, err := r.Store.Archived(ctx, n)
		if err != nil {
			return nil, err
		}
		blobs = append(blobs, blob)
	}
	return blobs, nil
}

// besideService answers others what storeReader reads. Its methods have the form that
// net/rpc wants.
type besideService struct{ store storeReader }

// Range is what is asked for: [Start, End).
type Range struct{ Start, End uint64 }

// Nothing is what is asked for where there is nothing to say.
type Nothing struct{}

func (s besideService) Head(_ Nothing, answer *ledger.Head) (err error) {
	*answer, err = s.store.Head(context.Background())
	return err
}

func (s besideService) Published(_ Nothing, answer *[]byte) (err error) {
	*answer, err = s.store.Published(context.Background())
	return err
}

func (s besideService) ArchivedCount(_ Nothing, answer *uint64) (err error) {
	*answer, err = s.store.ArchivedCount(context.Background())
	return err
}

func (s besideService) Tiles(ids []proof.TileID, answer *[][]byte) (err error) {
	*answer, err = s.store.Tiles(context.Background(), ids)
	return err
}

func (s besideService) Entries(r Range, answer *[][]byte) (err error) {
	*answer, err = s.store.Entries(context.Background(), r.Start, r.End)
	return err
}

func (s besideService) Archived(r Range, answer *[][]byte) (err error) {
	*answer, err = s.store.Archived(context.Background(), r.Start, r.End)
	return err
}

// besideName is the name of the service.
const besideName = "Store"

// besideReader asks the process that has the store open.
type besideReader struct{ client *rpc.Client }

func ask[T any](ctx context.Context, r besideReader, method string, args any) (none T, err error) {
	answer := new(T) // written to until the call is done, whoever waits for it
	call := r.client.Go(besideName+"."+method, args, answer, make(chan *rpc.Call, 1))
	select {
	case <-call.Done:
		if said := rpc.ServerError(""); call.Error != nil && !errors.As(call.Error, &said) {
			return none, fmt.Errorf("%w: it has ended: %w", ErrSilent, call.Error)
		}
		return *answer, call.Error
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// Head implements [Committed].
func (r besideReader) Head(ctx context.Context) (ledger.Head, error) {
	return ask[ledger.Head](ctx, r, "Head", Nothing{})
}

// Published implements [Committed].
func (r besideReader) Published(ctx context.Context) ([]byte, error) {
	return ask[[]byte](ctx, r, "Published", Nothing{})
}

// ArchivedCount implements [Committed].
func (r besideReader) ArchivedCount(ctx context.Context) (uint64, error) {
	return ask[uint64](ctx, r, "ArchivedCount", Nothing{})
}

// Tiles implements [Committed].
func (r besideReader) Tiles(ctx context.Context, ids []proof.TileID) ([][]byte, error) {
	return ask[[][]byte](ctx, r, "Tiles", ids)
}

// Entries implements [Committed].
func (r besideReader) Entries(ctx context.Context, start, end uint64) ([][]byte, error) {
	return ask[[][]byte](ctx, r, "Entries", Range{start, end})
}

// Archived implements [Committed].
func (r besideReader) Archived(ctx context.Context, start, end uint64) ([][]byte, error) {
	return ask[[][]byte](ctx, r, "Archived", Range{start, end})
}

// socketName is the socket's, in the ledger's directory.
const socketName = "backup.sock"

// maxBeside is how many processes read beside this one; the next waits.
const maxBeside = 4

// serveBeside answers on the socket until ctx ends. Without a socket the ledger goes on,
// and says that it cannot be backed up while it runs.
func (n *Node) serveBeside(ctx context.Context) {
	if n.config.Files != vfs.Default || n.pebble == nil {
		return
	}
	l, err := ownsocket.Listen(n.config.Dir, socketName)
	if err != nil {
		n.config.Log.Warn("no socket for docket backup: it waits until this process has ended", "origin", n.config.Keys.Origin, "err", err)
		return
	}
	service := rpc.NewServer()
	if err := service.RegisterName(besideName, besideService{storeReader{n.store}}); err != nil {
		panic(err) // its methods are of another form
	}
	var mu sync.Mutex
	open := make(map[net.Conn]bool) // guarded by mu; nil once ctx has ended
	defer context.AfterFunc(ctx, func() {
		l.Close()
		mu.Lock()
		defer mu.Unlock()
		for c := range open {
			c.Close()
		}
		open = nil
	})()
	var serving sync.WaitGroup
	defer serving.Wait()
	places := make(chan struct{}, maxBeside)
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		mu.Lock()
		ended := open == nil
		if !ended {
			open[conn] = true
		}
		mu.Unlock()
		if ended {
			conn.Close()
			return
		}
		places <- struct{}{}
		serving.Go(func() {
			service.ServeConn(conn)
			mu.Lock()
			delete(open, conn)
			mu.Unlock()
			<-places
		})
	}
}
