package server

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// Withheld is an entry whose bytes, and what is decoded of them, this server does not give:
// every read of it is answered 451 (RFC 7725) with the reason. Its leaf hash, all proofs and
// its place in the lists stay; so does whatever is written.
type Withheld struct {
	Index  uint64        `json:"index"`
	Record record.ID     `json:"record"`
	Kind   record.Kind   `json:"kind"`
	Thread record.Thread `json:"thread"`
	Reason string        `json:"reason"`
	Order  string        `json:"order,omitempty"` // where what ordered it can be read
	Since  time.Time     `json:"since"`
}

// servedConfig is a Config whose ledger gives strangers nothing that is withheld: whatever
// reads an entry through it meets that.
type servedConfig struct {
	Config
	Ledger servedLedger
}

// servedLedger is the ledger without the bytes of withheld entries. What writes, commits,
// cosigns and replays has the ledger itself.
type servedLedger struct {
	readLog
	withheld *withholding
}

// readLog is what is read of a log: a ledger's, or a copy's.
type readLog interface {
	Published() *proof.Published
	PublishedSize() uint64
	Head() ledger.Head // committed; of a copy what it covers
	Backlog() uint64   // committed and not published
	Next() (*proof.Published, <-chan struct{})
	TreeAt(ctx context.Context, size uint64) (proof.Tree, error)
	Tile(ctx context.Context, id proof.TileID) ([]byte, error)
	Entry(ctx context.Context, index uint64) ([]byte, error)
	Entries(ctx context.Context, start, end uint64) ([][]byte, error)
	Receipt(ctx context.Context, index uint64) (proof.Receipt, error)
	ReceiptAgainst(ctx context.Context, index uint64, published *proof.Published) (proof.Receipt, error)
	ReceiptUpTo(ctx context.Context, index, size uint64) (proof.Receipt, error)
	CheckpointAt(ctx context.Context, t time.Time) (*proof.Published, error)
}

// withholding is what is withheld now. The register learns of it when it changes.
type withholding struct {
	list     func() []Withheld // sorted by index; another slice where it is another list; nil: nothing is
	register *register.Register
	applied  atomic.Pointer[[]Withheld]
}

// now are the entries that are withheld at this moment, by index.
func (w *withholding) now() []Withheld {
	if w == nil || w.list == nil {
		return nil
	}
	list := w.list()
	last := w.applied.Load()
	if last != nil && len(*last) == len(list) && (len(list) == 0 || &(*last)[0] == &list[0]) {
		return list
	}
	rows := make([]register.Withheld, len(list))
	for i, e := range list {
		rows[i] = register.Withheld{Index: e.Index, Thread: e.Thread, Kind: e.Kind, Reason: e.Reason}
	}
	w.register.Withhold(rows)
	w.applied.Store(&list)
	return list
}

// last is the list that the register was told of last; what was computed under another may show
// what is withheld now.
func (w *withholding) last() *[]Withheld {
	if w == nil {
		return nil
	}
	return w.applied.Load()
}

// within are those of the entries [start, end).
func (w *withholding) within(start, end uint64) []Withheld {
	list := w.now()
	at := func(index uint64) int {
		i, _ := slices.BinarySearchFunc(list, index, func(e Withheld, index uint64) int { return cmp.Compare(e.Index, index) })
		return i
	}
	return list[at(start):at(end)]
}

// Entry is one published entry that is not withheld.
func (l servedLedger) Entry(ctx context.Context, index uint64) ([]byte, error) {
	if len(l.withheld.within(index, index+1)) > 0 {
		r, err := l.readLog.Receipt(ctx, index)
		return nil, l.withheldReceipt(r, err)
	}
	return l.readLog.Entry(ctx, index)
}

// Entries are the entries [start, end), if none of them is withheld.
func (l servedLedger) Entries(ctx context.Context, start, end uint64) ([][]byte, error) {
	if err := l.checkWithheld(start, end); err != nil {
		return nil, err
	}
	return l.readLog.Entries(ctx, start, end)
}

// Receipt is a receipt of an entry that is not withheld.
func (l servedLedger) Receipt(ctx context.Context, index uint64) (proof.Receipt, error) {
	r, err := l.readLog.Receipt(ctx, index)
	return r, l.withheldReceipt(r, err)
}

// ReceiptAgainst is [servedLedger.Receipt] against a checkpoint.
func (l servedLedger) ReceiptAgainst(ctx context.Context, index uint64, published *proof.Published) (proof.Receipt, error) {
	r, err := l.readLog.ReceiptAgainst(ctx, index, published)
	return r, l.withheldReceipt(r, err)
}

// ReceiptUpTo is [servedLedger.Receipt] against the last checkpoint up to a size.
func (l servedLedger) ReceiptUpTo(ctx context.Context, index, size uint64) (proof.Receipt, error) {
	r, err := l.readLog.ReceiptUpTo(ctx, index, size)
	return r, l.withheldReceipt(r, err)
}

// withheldReceipt is the problem of a receipt whose entry is withheld, nil if it is not. It
// has all of the receipt but the entry: whoever has that one proves with it what he has.
func (l servedLedger) withheldReceipt(r proof.Receipt, err error) error {
	if err != nil {
		return err
	}
	list := l.withheld.within(r.Index, r.Index+1)
	if len(list) == 0 {
		return nil
	}
	text, err := r.Format()
	if err != nil {
		return fmt.Errorf("writing the proof of entry %d: %w", r.Index, err)
	}
	header, rest, _ := bytes.Cut(text, []byte("\n"))
	_, rest, _ = bytes.Cut(rest, []byte("\n")) // the line "extra", which is the entry
	p := withheldProblem(list, "its leaf hash and its proof are given here: whoever has its bytes proves with them what it says")
	p.index, p.proof = &list[0].Index, string(header)+"\n"+string(rest)
	p.leaf = proof.LeafHash(r.Entry).String()
	return p
}

// checkWithheld refuses a run of entries of which some are withheld, and says how to read
// the others. A bundle of tlog-tiles holds all of its entries or is none, so it is refused
// as a whole: what stood in the place of an entry would make another tree.
func (l servedLedger) checkWithheld(start, end uint64) error {
	list := l.withheld.within(start, end)
	if len(list) == 0 {
		return nil
	}
	before := ""
	if first := list[0].Index; first > start && start%proof.TileWidth == 0 {
		id := proof.EntryBundleID{Index: start / proof.TileWidth, Width: int(first - start)}
		before = fmt.Sprintf("those before it are in /%s, ", id.Path())
	}
	return withheldProblem(list, "%sany other one by itself at /v1/entries/{index}, and the hashes of all in the tiles", before)
}

// maxWithheldNamed is how many entries one problem names: clients bound what they read of one.
const maxWithheldNamed = 4

// withheldProblem is the problem of entries that are withheld: at least one.
func withheldProblem(list []Withheld, format string, args ...any) *problem {
	first := list[0]
	said := fmt.Sprintf("entry %d is withheld by this server since %s: %s", first.Index, first.Since.UTC().Format(time.DateOnly), first.Reason)
	if first.Order != "" {
		said += " (ordered by " + first.Order + ")"
	}
	if more := len(list) - 1; more > 0 {
		said += fmt.Sprintf("; and so are %d more of these entries", more)
	}
	p := newProblem(problemWithheld, "%s; %s", said, fmt.Sprintf(format, args...))
	p.withheld = list[:min(len(list), maxWithheldNamed)]
	return p
}

// entry is GET /v1/entries/{index}: one entry, byte for byte. C2SP's bundles are the way to
// read entries; this is the way around one that is withheld.
func (s *Server) entry(x *request) error {
	if err := x.parseParams().firstFault(); err != nil {
		return err
	}
	text := x.Param("index")
	index, err := strconv.ParseUint(text, 10, 63)
	if err != nil || strconv.FormatUint(index, 10) != text {
		return newProblem(problemNotFound, "an index is a number in decimal, without leading zeros")
	}
	x.setIndex(index)
	line, err := s.cfg.Ledger.Entry(x.Request.Context(), index)
	if err != nil {
		return tileProblem(err, "entry")
	}
	x.Writer.Header().Set("Cache-Control", cacheImmutable)
	return x.answerBytes(http.StatusOK, typeJSON, line)
}

// scrub takes out of an answer to a submission what withheld records say of those who signed
// it: the rules and the limits judge by that, and quote it.
func (s *Server) scrub(env record.Envelope, err error) error {
	if err == nil || len(s.cfg.Ledger.withheld.now()) == 0 {
		return err
	}
	shown := *problemOf(err)
	shown.faults = slices.Clone(shown.faults)
	for _, sig := range env.Signatures {
		holder, words, withheld, failed := s.cfg.Register.WithheldHolder(sig.KeyID)
		if failed != nil {
			return failed
		}
		if !withheld {
			continue
		}
		shown.detail = strings.ReplaceAll(shown.detail, holder, words)
		for i := range shown.faults {
			shown.faults[i].Detail = strings.ReplaceAll(shown.faults[i].Detail, holder, words)
		}
	}
	return &shown
}
