package customers

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/customers/bundle"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

var (
	// ErrAllPublished: no period is closed beyond the newest public record.
	ErrAllPublished = errors.New("every closed period is published")

	// ErrNotLedUp: the public record is not one that this log leads up to. Nothing may be published
	// before somebody finds out why: most likely a backup of the log was brought back.
	ErrNotLedUp = errors.New("this log does not lead up to the newest public record: nothing is published")
)

// PublicLog is what the public ledger has of the provider's log.
type PublicLog struct {
	Newest bundle.Record // the thread's newest customer-log record; zero if there is none
	VKey   string        // the verifier key that is in force by it
}

// NextRecord is the public record that is due: of one period, the earliest that no record covers.
type NextRecord struct {
	Period    Period
	Follows   record.ID // zero: it is the first of its thread
	Predicate *record.CustomerLog
	Left      int // how many periods remain after it

	party string
}

// NextRecord drafts the public record of the earliest closed period beyond the newest public
// record, so that missed periods are caught up one by one, in order. restart is the
// reason for which a log that was lost begins anew, as this one; else empty. [ErrAllPublished],
// [ErrNotLedUp]; nothing is changed but that a period is noted as published whose record is
// the newest one and whose receipt never came back.
func (l *Log) NextRecord(ctx context.Context, who Who, public PublicLog, restart string) (*NextRecord, error) {
	n := &NextRecord{Follows: public.Newest.ID, party: l.config.Party}
	from, err := l.publishedUpTo(ctx, public, restart)
	if err != nil {
		return nil, err
	}
	periods := l.Periods()
	for i, p := range periods {
		if p.Size == from && p.Record.IsZero() && from > 0 {
			if err := l.Published(ctx, who, p.Number, public.Newest.ID); err != nil {
				return nil, err
			}
		}
		if p.Size > from {
			n.Period, n.Left = p, len(periods)-i-1
			break
		}
	}
	if n.Period.Number == 0 {
		return nil, fmt.Errorf("%w: the newest ends at %d leaves; close the next one first", ErrAllPublished, from)
	}
	if n.Period.Checkpoint == nil {
		return nil, ErrUnpublished
	}
	n.Predicate = &record.CustomerLog{Origin: l.config.Origin, Size: int64(n.Period.Size), Checkpoint: string(n.Period.Checkpoint), PeriodUntil: n.Period.Until}
	key := l.config.Signers[0].Key().String()
	begins := public.Newest.Statement == nil || restart != ""
	if begins || key != public.VKey {
		n.Predicate.VKey = key
	}
	if restart != "" {
		n.Predicate.Restart = &record.LogRestart{Reason: restart}
	}
	if !begins && from > 0 {
		path, err := l.Consistency(ctx, from, n.Period.Size)
		if err != nil {
			return nil, err
		}
		for _, h := range path {
			n.Predicate.Consistency = append(n.Predicate.Consistency, h.String())
		}
	}
	return n, nil
}

// publishedUpTo is the size that the newest public record fixes of this very log; 0 where it
// has none yet. It is the guard against publishing what a restored backup, or another log, says.
func (l *Log) publishedUpTo(ctx context.Context, public PublicLog, restart string) (uint64, error) {
	if public.Newest.Statement == nil {
		if restart != "" {
			return 0, record.Refuse(record.Conflict, "nothing was published yet, so that nothing begins anew: publish without a restart")
		}
		return 0, nil
	}
	said, ok := public.Newest.Statement.Predicate.(*record.CustomerLog)
	if !ok || public.Newest.Statement.Thread != l.fold.scope.Thread {
		return 0, fmt.Errorf("record %s is no customer-log of %s", public.Newest.ID, l.config.Party)
	}
	if said.Origin != l.config.Origin {
		if restart != "" {
			return 0, nil
		}
		return 0, fmt.Errorf("%w: record %s is of the log %s, and this one is %s. If that log still exists, publish from it. If it is lost, publish with a restart that says why: it is shown for ever", ErrNotLedUp, public.Newest.ID, said.Origin, l.config.Origin)
	}
	if restart != "" {
		return 0, record.Refuse(record.Conflict, "the public record is of this very log, %s: a lost log begins anew under another origin, with a key of its own (docket customers init)", said.Origin)
	}
	return uint64(said.Size), l.leadsUpTo(ctx, proof.Tree{Size: uint64(said.Size), Root: public.Newest.Statement.Subject.SHA256}, public.Newest.ID)
}

// leadsUpTo proves to ourselves that the log has what the record says at its size.
func (l *Log) leadsUpTo(ctx context.Context, public proof.Tree, id record.ID) error {
	const remedy = "Was a backup of the log restored? Bring back the newest copy of the whole directory, and publish from that. If there is none, the log is lost: begin another (docket customers init, with another origin) and publish with a restart that says why"
	last := l.lastPeriod()
	if public.Size > last.Size {
		return fmt.Errorf("%w: record %s fixes %d leaves, and the newest period here ends at %d. %s", ErrNotLedUp, id, public.Size, last.Size, remedy)
	}
	path, err := l.Consistency(ctx, public.Size, last.Size)
	if err != nil {
		return err
	}
	if err := proof.VerifyConsistency(public, proof.Tree{Size: last.Size, Root: last.Root}, path); err != nil {
		return fmt.Errorf("%w: record %s fixes the root %s at %d leaves, and this log had another. %s", ErrNotLedUp, id, public.Root, public.Size, remedy)
	}
	return nil
}

// ShortForm is the record as docket sign reads it; its subject is the checkpoint's.
func (n *NextRecord) ShortForm() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p := n.Predicate
	line("# Period %d of the private customer log, until %s.", n.Period.Number, p.PeriodUntil)
	line("kind: %s", record.KindCustomerLog)
	line("thread: %s", record.CustomerLogThread(n.party))
	line("issuer: %s", n.party)
	line("origin: %s", strconv.Quote(p.Origin))
	line("size: %d", p.Size)
	line("periodUntil: %s", p.PeriodUntil)
	if p.VKey != "" {
		line("vkey: %s", strconv.Quote(p.VKey))
	}
	if p.Restart != nil {
		line("restart:\n  reason: %s", strconv.Quote(p.Restart.Reason))
	}
	if len(p.Consistency) > 0 {
		line("consistency:")
		for _, h := range p.Consistency {
			line("  - %s", strconv.Quote(h))
		}
	}
	line("checkpoint: |")
	for text := range strings.SplitSeq(strings.TrimSuffix(p.Checkpoint, "\n"), "\n") {
		line("%s", strings.TrimRight("  "+text, " "))
	}
	return b.String()
}

// Recorded keeps the receipt of a period's public record, or the chain that ends in it, as a file in receipts/, and
// notes the period as published. Whoever calls has verified it against the public ledger; here it
// is held against the period. What is no receipt of one of them is refused.
func (l *Log) Recorded(ctx context.Context, who Who, receipt []byte) (Period, error) {
	receipts, err := proof.ParseChain(receipt)
	if err != nil {
		return Period{}, err
	}
	entry, err := record.ParseEntry(receipts[len(receipts)-1].Entry)
	if err != nil {
		return Period{}, err
	}
	st, err := record.ParseStatement(entry.Envelope.Payload)
	if err != nil {
		return Period{}, err
	}
	said, ok := st.Predicate.(*record.CustomerLog)
	if !ok || st.Thread != l.fold.scope.Thread || st.Ledger != l.config.Ledger {
		return Period{}, record.Refuse(record.Invalid, "the receipt is not of a customer-log record of %s", l.config.Party)
	}
	for _, p := range l.Periods() {
		if p.Size != uint64(said.Size) || p.Root != proof.Hash(st.Subject.SHA256) || said.Origin != l.config.Origin {
			continue
		}
		if err := l.keepReceipt(p, receipt); err != nil {
			return Period{}, err
		}
		id := record.IDOf(entry.Envelope.Payload)
		if p.Record != id {
			if err := l.Published(ctx, who, p.Number, id); err != nil {
				return Period{}, err
			}
			p.Record = id
		}
		return p, nil
	}
	return Period{}, record.Refuse(record.Conflict, "the receipt is of a log of %d leaves, and no period here ends there with its root", said.Size)
}

func (l *Log) keepReceipt(p Period, receipt []byte) error {
	files, dir := l.config.FS, l.config.FS.PathJoin(l.config.Dir, "receipts")
	if err := disk.MakeDir(files, dir, 0o700); err != nil {
		return err
	}
	return disk.WriteFile(files, files.PathJoin(dir, receiptName(p.Number)), receipt, 0o600, disk.SyncNow)
}

// Receipt is the kept receipt of a period's public record.
func (l *Log) Receipt(number uint64) ([]byte, error) {
	files := l.config.FS
	return disk.ReadFile(files, files.PathJoin(l.config.Dir, "receipts", receiptName(number)))
}

func receiptName(number uint64) string {
	return fmt.Sprintf("customer-log-%d%s", number, proof.ReceiptSuffix)
}
