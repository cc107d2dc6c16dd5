package server

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/reader"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// Copy is a replayed copy of a ledger. Where its reader replayed it, its pages say VERIFIED; of a
// [Replica] others read it, and it is a server's word to them. The pages and the queries are those
// of a ledger's server; what only a ledger answers is not there, or is asked of it.
type Copy struct {
	Reader *reader.Reader       // shows the checkpoint that is trusted
	Times  view.CheckpointTimes // how much a quorum had cosigned by when, as the copy knows; nil: its replica's CheckpointAt knows
	State  func() CopyState     // of a reader's own: asked with each page

	Replica *Replica // others read it; nil: it is its reader's own
}

// CopyState is what the pages of a copy say of it.
type CopyState struct {
	URL      string    // of the ledger
	Size     uint64    // of the checkpoint
	Covered  uint64    // how many of its entries the copy could judge
	Cosigned time.Time // zero: there are no witnesses in the policy
	By       []string  // who cosigned
	Needed   string    // how many must, in words
	Seen     uint64    // the size up to which its reader has looked at it
	Said     string    // what became of the last request to sync; "" where there was none
	Failed   bool      // that it failed
	ReadOnly bool      // marks cannot be kept
	Token    string    // that a form of a page of ours has, and no other page's

	lookup func(record.ID) (index uint64, known bool, err error)
}

// New is how many records came since its reader last looked.
func (c CopyState) New() uint64 { return c.Covered - min(c.Seen, c.Covered) }

// IsNew says, of a copy's page, whether a record came since its reader last looked.
func (h pageHeader) IsNew(id record.ID) (bool, error) {
	if h.Copy == nil {
		return false, nil
	}
	index, known, err := h.Copy.lookup(id)
	return known && index >= h.Copy.Seen, err
}

// log is the ledger's, or the copy's.
func (c Config) log() readLog {
	if c.Copy != nil {
		return copyLog{c.Copy.Reader, c}
	}
	return c.Ledger
}

// copyLog reads a copy as far as it is judged.
type copyLog struct {
	*reader.Reader
	config Config
}

// own says that whoever reads the copy has replayed it.
func (c Config) own() bool { return c.Copy != nil && c.Copy.Replica == nil }

// replica is that of a copy which others read; nil of any other, and of a ledger.
func (c Config) replica() *Replica {
	if c.Copy == nil {
		return nil
	}
	return c.Copy.Replica
}

func (l copyLog) PublishedSize() uint64 {
	return min(l.config.Register.Size(), l.Reader.PublishedSize()) // a replica's register may be ahead
}

func (l copyLog) Head() ledger.Head {
	if p := l.Published(); p != nil && l.config.replica() != nil {
		return p.Checkpoint().Tree()
	}
	c := l.config.Register.Cursor()
	return ledger.Head{Size: c.Size, Root: c.Root}
}

func (l copyLog) Backlog() uint64 { return 0 }

// ReceiptUpTo is that by which the copy itself knows a charter; it keeps no other.
func (l copyLog) ReceiptUpTo(ctx context.Context, index, size uint64) (proof.Receipt, error) {
	if r := l.config.replica(); r != nil {
		return r.ReceiptUpTo(ctx, index, size)
	}
	return proof.Receipt{}, ledger.ErrNotArchived
}

func (l copyLog) CheckpointAt(ctx context.Context, t time.Time) (*proof.Published, error) {
	r := l.config.replica()
	if r == nil || r.CheckpointAt == nil {
		return nil, ledger.ErrNotArchived
	}
	p, err := r.CheckpointAt(ctx, t)
	if err != nil && !errors.Is(err, ledger.ErrNotArchived) {
		return nil, retryable(problemWriterAway, r.retryTime(), err, "the checkpoints of the past are kept where this server does not read them now; ask again later")
	}
	return p, err
}

// notOfCopy are the routes that a reader's own copy does not answer.
var notOfCopy = []string{"/tile/*path", "/v1/stream", "/v1/snapshot", "/v1/snapshot/:size/:file", "/v1/checkpoints", "/v1/witnesses", "/v1/auditors", "/healthz", "/readyz"}

func (r route) ofCopy() bool {
	return r.method == http.MethodGet && !slices.Contains(notOfCopy, r.path)
}

// copyState is what a page says of the reader's own copy that it is of, nil of a server's.
func (s *Server) copyState() *CopyState {
	if !s.cfg.own() {
		return nil
	}
	state := s.cfg.Copy.State()
	state.lookup = s.cfg.Register.Lookup
	return &state
}
