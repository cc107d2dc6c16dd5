package objectstore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// A cell is an object that is swapped: the head, and what is published. Each body has a nonce
// that never comes again. An ETag may be the MD5 of the bytes, so that the same bytes at two
// times would let a late swap pass; and the nonce tells whose body was found.

// head is how far the log is committed, and where to read it. DESIGN.md section 6, "The object
// store".
type head struct {
	Format int    `json:"format"`
	Size   uint64 `json:"size"`
	Root   root   `json:"root"`
	Epoch  uint64 `json:"epoch"`
	Nonce  string `json:"nonce"`
	Sealed string `json:"sealed,omitempty"`

	// Public is a size: all full tiles and bundles of a tree of that size lie under their
	// public paths, and if Partials, the partial ones of that size too. Whatever else a tree of Size
	// has lies in Stages, which are in their order.
	Public   uint64      `json:"public"`
	Partials bool        `json:"partials"`
	Stages   []stageName `json:"stages"`
}

func (h head) tree() ledger.Head { return ledger.Head{Size: h.Size, Root: proof.Hash(h.Root)} }

func (h head) nonce() string { return h.Nonce }

// published is the published checkpoint, and the archive of those before.
type published struct {
	Format   int        `json:"format"`
	Epoch    uint64     `json:"epoch"`
	Nonce    string     `json:"nonce"`
	Note     []byte     `json:"note,omitempty"`
	Archived uint64     `json:"archived"`          // how many blobs are archived
	Pending  []archived `json:"pending,omitempty"` // the newest, which may not have objects of their own yet
}

type archived struct {
	Number uint64 `json:"number"`
	Blob   []byte `json:"blob"`
}

func (p published) nonce() string { return p.Nonce }

// format is that of all objects but the public ones.
const format = 1

func newNonce() string { return rand.Text() }

// held is the body of a cell with what a swap of it is conditional on. The ETag may be older
// than the body: some servers read the two one after another. Then a swap is refused, and
// what is there is read again.
type held[T cell] struct {
	body   T
	etag   string
	exists bool
}

type cell interface{ nonce() string }

func (h held[T]) unchanged() condition {
	if !h.exists {
		return condition{absent: true}
	}
	return condition{etag: h.etag}
}

// readCell reads a cell; one that is not there has the zero body.
func readCell[T cell](ctx context.Context, b *bucket, key string) (h held[T], err error) {
	const damaged = 3 // a body that is cut off is perhaps whole the next time
	for try := 1; ; try++ {
		o, err := b.readTagged(ctx, key, maxCellBytes)
		if errors.Is(err, errNoObject) {
			return held[T]{}, nil
		}
		if err != nil {
			return held[T]{}, err
		}
		h = held[T]{etag: o.etag, exists: true}
		var version struct {
			Format int `json:"format"`
		}
		if err = json.Unmarshal(o.data, &version); err == nil && version.Format > format {
			return held[T]{}, fmt.Errorf("%s is of format %d, and this version of docket reads no later one than %d: %w", key, version.Format, format, ErrLaterVersion)
		}
		if err == nil {
			err = json.Unmarshal(o.data, &h.body)
		}
		if err == nil && (version.Format != format || h.body.nonce() == "") {
			err = errors.New("it is none of ours")
		}
		if err == nil {
			return h, nil
		}
		if try == damaged {
			return held[T]{}, fmt.Errorf("%w: %s: %w", ledger.ErrCorrupt, key, err)
		}
	}
}

// moved: another body was found in a cell than the one that was to be replaced. It was not
// replaced, and never will be, unless unsure.
type moved[T cell] struct {
	now    held[T]
	unsure bool // a request went unanswered before: its body may have been there in between
}

func (m *moved[T]) Error() string { return "another one is there" }

// swapCell replaces what a cell holds, however often the store has to be asked. What is found
// in it decides: the new body is success, whatever was answered; the old one means to ask again, which
// can do no harm, since of two requests with one condition one is applied. *moved if there is another, and
// [ErrLost] if there is none any more. Any other error is of unknown outcome.
func swapCell[T cell](ctx context.Context, b *bucket, key string, from held[T], next T) (held[T], error) {
	data, err := json.Marshal(next)
	if err != nil {
		return held[T]{}, err
	}
	unsure := false
	for p := (pause{}); ; {
		if err := ctx.Err(); err != nil {
			return held[T]{}, err
		}
		etag, err := b.put(ctx, key, data, from.unchanged(), headers{})
		if err == nil && etag == "" {
			err = fmt.Errorf("%w with an ETag: PUT %s", errPassing, key)
		}
		if err == nil {
			return held[T]{next, etag, true}, nil
		}
		if !errors.Is(err, errUnmet) && !errors.Is(err, errPassing) {
			return held[T]{}, err
		}
		unsure = unsure || errors.Is(err, errPassing)
		now, readErr := readCell[T](ctx, b, key)
		switch {
		case readErr != nil:
			return held[T]{}, fmt.Errorf("%w; and reading what is there: %w", err, readErr)
		case now.exists && now.body.nonce() == next.nonce():
			return now, nil
		case !now.exists && from.exists:
			return held[T]{}, fmt.Errorf("%s was there: %w", key, ErrLost)
		case now.exists != from.exists || now.exists && now.body.nonce() != from.body.nonce():
			return held[T]{}, &moved[T]{now, unsure}
		}
		from = now
		if !p.wait(ctx) {
			return held[T]{}, fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}
