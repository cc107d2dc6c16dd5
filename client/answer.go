package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// AnswerSuffix is what the names of answer files end in.
const AnswerSuffix = ".answer"

// answerHeader is the first line of an answer file.
const answerHeader = "docket-answer/v1"

// Answer is one answer together with what proves it, in one text file (DESIGN.md section
// 4, "Answer"): what was asked, as of which instant, what was said, and a chain of all
// records that it rests on. A parsed one is untrusted until [VerifyAnswer] accepts it and
// the caller has computed the answer anew from the records.
type Answer struct {
	Question string          // a thread, a record ID, or SCHEME:VALUE
	At       time.Time       // UTC, whole milliseconds
	JSON     json.RawMessage // the answer, on one line
	Chain    []proof.Receipt // in the order of the log
}

const answerTime = "2006-01-02T15:04:05.000Z"

// IsAnswer says of a file that it is meant to be an [Answer].
func IsAnswer(file []byte) bool { return bytes.HasPrefix(file, []byte("docket-answer/")) }

// ParseAnswer reads an answer file strictly: Format gives the same bytes.
func ParseAnswer(file []byte) (a Answer, err error) {
	if len(file) > proof.MaxChainBytes {
		return a, fmt.Errorf("answer: %d bytes, the limit is %d", len(file), proof.MaxChainBytes)
	}
	head, chain, ok := bytes.Cut(file, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if lines[0] != answerHeader {
		return a, fmt.Errorf("answer: the first line is not %s: this is something else, or of a later version of docket", answerHeader)
	}
	if !ok {
		return a, errors.New("answer: no empty line before the receipts: is the file whole?")
	}
	if len(lines) != 4 {
		return a, fmt.Errorf("answer: %d lines before the receipts, want 4", len(lines))
	}
	var values [3]string
	for i, name := range []string{"question", "at", "answer"} {
		value, ok := strings.CutPrefix(lines[i+1], name+" ")
		if !ok || value == "" || strings.HasSuffix(value, "\r") {
			return a, fmt.Errorf("answer: line %d is not %q and a value", i+2, name)
		}
		values[i] = value
	}
	if a.At, err = time.Parse(answerTime, values[1]); err != nil || a.At.Format(answerTime) != values[1] {
		return a, fmt.Errorf("answer: at %q: want an instant like 2026-12-02T09:30:01.250Z", values[1])
	}
	if !json.Valid([]byte(values[2])) {
		return a, errors.New("answer: what it says is no JSON")
	}
	a.Question, a.JSON = values[0], json.RawMessage(values[2])
	if a.Chain, err = proof.ParseChain(chain); err != nil {
		return a, fmt.Errorf("answer: %w", err)
	}
	return a, nil
}

// Format writes the file. It refuses what [ParseAnswer] would not read.
func (a Answer) Format() ([]byte, error) {
	chain, err := proof.FormatChain(a.Chain)
	if err != nil {
		return nil, fmt.Errorf("writing an answer: %w", err)
	}
	file := fmt.Appendf(nil, "%s\nquestion %s\nat %s\nanswer %s\n\n%s", answerHeader, a.Question, a.At.Format(answerTime), a.JSON, chain)
	if _, err := ParseAnswer(file); err != nil {
		return nil, fmt.Errorf("writing an answer: %w", err)
	}
	return file, nil
}

// AnswerReport is what the records of an answer file make up, each judged, to be asked the
// question anew. Close it.
type AnswerReport struct {
	View      *view.View // of the records shown, as of the checkpoint's size
	Records   int        // how many are shown
	Published *proof.Published
	Chain     *ChainReport

	register *register.Register
	replay   *register.SparseReplay
	entries  map[uint64]record.Entry
}

// Close frees what the report held.
func (r *AnswerReport) Close() error { return r.replay.Close() }

// Entry is the entry at an index, if it is shown.
func (r *AnswerReport) Entry(index uint64) (record.Entry, error) {
	e, ok := r.entries[index]
	if !ok {
		return e, fmt.Errorf("the file leaves out the record at index %d", index)
	}
	return e, nil
}

// KeyHolder finds the holder of a key among the records shown.
func (r *AnswerReport) KeyHolder(keyid string) (register.KeyHolder, bool, error) {
	return r.register.KeyHolder(keyid)
}

// KnowableAt says how much was knowable at an instant, as far as the file tells: all of it
// once the quorum had cosigned, and before that by the admission times of the records shown.
func (r *AnswerReport) KnowableAt(at time.Time) (view.Knowable, error) {
	if by := r.Published.ExistedBy(); !by.IsZero() && !by.After(at) {
		return view.Knowable{Size: r.Published.Checkpoint().Size, Cosigned: by, Counted: true}, nil
	}
	k := view.Knowable{Counted: true}
	for index, e := range r.entries {
		if !e.Admitted.After(at) {
			k.Size = max(k.Size, index+1)
		}
	}
	return k, nil
}

// VerifyAnswer verifies the receipts of an answer file under the policies given, as [Verify]
// does those of a chain, and replays the records. It refuses receipts of more than one
// checkpoint, superseded charters apart; a thread of which a record is left out before
// another; and a record whose signers are not shown. That a thread has no later record than
// those shown, no file can show.
func VerifyAnswer(ctx context.Context, a Answer, p Policies, now time.Time) (*AnswerReport, error) {
	c, err := verifyChain(ctx, a.Chain, p, now)
	if err != nil {
		return nil, err
	}
	if c.charters == nil {
		return nil, errors.New("the file does not show the charter at index 0, and the records signed under it")
	}
	if err := c.checkAnswerRecords(); err != nil {
		return nil, err
	}
	r := &AnswerReport{Records: len(c.links), Published: c.newestLink().verified.Published(), Chain: c.report(), entries: make(map[uint64]record.Entry)}
	if index, ok := c.unprovenCharter(); ok {
		r.Chain.Unchecked = append(r.Chain.Unchecked, fmt.Sprintf("that the charter at index %d is in the log of this policy", index))
	}
	if r.replay, err = register.NewSparseReplay(RegisterOptions()); err != nil {
		return nil, err
	}
	if err := r.replayRecords(c); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// newestLink is the record that is certainly proven against the newest checkpoint.
func (c *chain) newestLink() link { return c.links[len(c.links)-1] }

// checkAnswerRecords checks the order, the one checkpoint, and that threads are shown from
// their first record on without a gap.
func (c *chain) checkAnswerRecords() error {
	for i := range c.links[1:] {
		if before, index := c.links[i].verified.Index(), c.links[i+1].verified.Index(); index <= before {
			return fmt.Errorf("receipt %d is of index %d, and the one before it of %d: an answer shows each record once, in the order of the log", i+2, index, before)
		}
	}
	heads := make(map[record.Thread]link)
	newest := c.newestLink().verified.Published().Note()
	for i, l := range c.links {
		index := l.verified.Index()
		superseded := c.charters.atIndex(index) != nil && index != c.charters.newest().index
		if !superseded && !bytes.Equal(l.receipt.Checkpoint, newest) {
			return fmt.Errorf("receipt %d is of another checkpoint than the others: an answer is as of one", i+1)
		}
		st := l.statement
		var before record.ID
		if head, ok := heads[st.Thread]; ok {
			before = record.IDOf(head.entry.Envelope.Payload)
		}
		if st.Follows != before {
			return fmt.Errorf("a record is left out: the %s on %s (index %d) follows %s, which is not shown before it", st.Kind, st.Thread, index, st.Follows)
		}
		heads[st.Thread] = l
	}
	return nil
}

// replayRecords judges the records shown, and makes the view of them.
func (r *AnswerReport) replayRecords(c *chain) (err error) {
	r.replay.WholeThreads()
	for _, l := range c.links {
		index := l.verified.Index()
		unchecked, err := r.replay.Apply(index, l.entry)
		if bad := (*register.EntryError)(nil); errors.As(err, &bad) {
			err = bad.Err
		}
		if err != nil {
			return fmt.Errorf("by the records shown, the %s on %s (index %d): %w", l.statement.Kind, l.statement.Thread, index, err)
		}
		for _, clause := range unchecked {
			r.Chain.Unchecked = append(r.Chain.Unchecked, fmt.Sprintf("index %d: %s", index, clause))
		}
		r.Chain.Shown = append(r.Chain.Shown, index)
		r.entries[index] = l.entry
	}
	size := r.Published.Checkpoint().Size
	if r.register, err = r.replay.Register(size); err != nil {
		return err
	}
	if r.View, err = view.At(r.register, size); err != nil {
		return err
	}
	r.View = r.View.WithCheckpointTimes(r.KnowableAt)
	return nil
}

// TooManyRecordsError says that an answer rests on more records than one file may hold.
type TooManyRecordsError struct{ Records int }

func (e *TooManyRecordsError) Error() string {
	return fmt.Sprintf("the answer rests on at least %d records, and a file holds at most %d", e.Records, proof.MaxChainReceipts)
}

// AnswerChain makes the receipts of the records at the indexes, from the copy alone and
// against the trusted checkpoint, and of all that shows who had the right to sign them:
// all charters, the threads on which they stand, or which they are about, and those of the
// parties whose keys signed one of these, or who sponsored such a party.
func (t *Trust) AnswerChain(ctx context.Context, indexes []uint64) ([]proof.Receipt, error) {
	reg, err := t.Register()
	if err != nil {
		return nil, err
	}
	all, err := t.recordsBehind(ctx, reg, indexes)
	if err != nil {
		return nil, err
	}
	source, charters := t.Reader(), t.charters.below(t.size())
	var chain []proof.Receipt
	size := 0
	for _, index := range all {
		var r proof.Receipt
		if k := charters.atIndex(index); k != nil && index != charters.newest().index {
			r = k.receipt // under its own policy
		} else if r, err = source.Receipt(ctx, index); err != nil {
			return nil, t.damageAt(index, err)
		}
		if size += len(r.Entry); size > proof.MaxChainBytes {
			return nil, &TooManyRecordsError{Records: len(all)}
		}
		chain = append(chain, r)
	}
	return chain, nil
}

// RecordChain makes the chain of the record at an index, from the copy alone: it is the last
// receipt, and the others are what [Trust.AnswerChain] has of before it, and all charters.
func (t *Trust) RecordChain(ctx context.Context, index uint64) ([]byte, error) {
	all, err := t.AnswerChain(ctx, []uint64{index})
	if err != nil {
		return nil, err
	}
	var chain []proof.Receipt
	var last proof.Receipt
	for _, r := range all {
		switch {
		case r.Index == index:
			last = r
		case r.Index < index || t.charters.atIndex(r.Index) != nil:
			chain = append(chain, r)
		}
	}
	return proof.FormatChain(append(chain, last))
}

// recordsBehind lists them in the order of the log.
func (t *Trust) recordsBehind(ctx context.Context, reg *register.Register, indexes []uint64) ([]uint64, error) {
	v, err := view.Latest(reg)
	if err != nil {
		return nil, err
	}
	threads := []record.Thread{record.CharterThread, record.PartyThread(record.Authority)}
	add := func(thread record.Thread) {
		if !slices.Contains(threads, thread) {
			threads = append(threads, thread)
		}
	}
	for _, index := range indexes {
		row, err := v.RecordAt(index)
		if err != nil {
			return nil, err
		}
		add(row.Thread)
		if len(threads) > proof.MaxChainReceipts {
			return nil, &TooManyRecordsError{Records: len(threads)}
		}
	}
	var all []uint64
	for i := 0; i < len(threads); i++ {
		add(threads[i].About())
		var rows []register.RecordRow
		err := v.Records(view.RecordFilter{Thread: threads[i]}, func(row register.RecordRow) bool {
			rows = append(rows, row)
			return len(all)+len(rows) <= proof.MaxChainReceipts
		})
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if all = append(all, row.Index); len(all) > proof.MaxChainReceipts {
				return nil, &TooManyRecordsError{Records: len(all)}
			}
			if err := t.addSigners(ctx, reg, row.Index, add); err != nil {
				return nil, err
			}
		}
	}
	slices.Sort(all)
	return all, nil
}

// addSigners adds the threads of the parties whose keys signed an entry, and of their sponsors.
func (t *Trust) addSigners(ctx context.Context, reg *register.Register, index uint64, add func(record.Thread)) error {
	raw, err := t.readEntry(ctx, index)
	if err != nil {
		return err
	}
	e, err := record.ParseEntry(raw)
	if err != nil {
		return err
	}
	for _, sig := range e.Envelope.Signatures {
		h, known, err := reg.KeyHolder(sig.KeyID)
		if err != nil {
			return err
		}
		if !known || h.Party == "" {
			continue // a root key's: all charters are shown
		}
		add(record.PartyThread(h.Party))
		sponsor, err := reg.Sponsor(h.Party)
		if err != nil {
			return err
		}
		if sponsor != "" {
			add(record.PartyThread(sponsor))
		}
	}
	return nil
}
