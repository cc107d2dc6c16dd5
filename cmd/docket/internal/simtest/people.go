package simtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// authors write records and send them: honest ones and forged ones, again when no
// answer came, again when one did. They believe nothing but a verified receipt.
type authors struct {
	*registertest.World // what they know of the ledger's threads: by receipts alone

	w           *LedgerSim
	policies    client.Policies
	submissions []*submission

	designations []string // designations that have a receipt
	suspended    []string // those of them that were suspended
	addedKeys    []string // keys that were added, by name
	revoked      []string // keys that were revoked
}

// submission is one envelope and what its sender knows of it.
type submission struct {
	number         int
	description    string
	id             record.ID
	env            record.Envelope
	whyInvalid     string   // why it must never be admitted; empty if it may be
	missingSigners []string // those who have yet to sign it
	onReceipt      func()   // what its sender learns from the receipt; may be nil

	inFlight   int  // times that it is under way
	decided    bool // refused, or there is a receipt
	hasReceipt bool
}

// submitters are those who send: each has a link of its own to the ledger.
const submitters = 4

func newAuthors(w *LedgerSim, policy string) *authors {
	parsed, err := proof.ParsePolicy([]byte(policy))
	must(err)
	return &authors{
		World: registertest.New(w.now, origin, policy), w: w,
		policies: client.SinglePolicy{Only: parsed},
	}
}

// newSubmission makes a letter of an envelope.
func (p *authors) newSubmission(what string, env record.Envelope) *submission {
	l := &submission{number: len(p.submissions), description: what, id: record.IDOf(env.Payload), env: env}
	p.submissions = append(p.submissions, l)
	return l
}

// send sends a letter, unless it is under way. The impatient send it twice at once.
func (p *authors) send(l *submission) {
	if l.inFlight > 0 {
		return
	}
	p.submit(l)
	if p.w.chance(10) {
		p.submit(l)
	}
}

func (p *authors) submit(l *submission) {
	l.inFlight++
	l.decided = false
	p.w.invariants.onSent(l.id)
	from := fmt.Sprintf("submitter-%d", p.w.rng.IntN(submitters))
	c, err := client.New(ledgerURL, p.w.net.transportOf(from))
	must(err)
	ctx := p.w.dayCtx
	p.w.tracef("%s sends letter %d, %s (record %s)%s", from, l.number, l.description, shortID(l.id), invalidNote(l))
	p.w.startTask(func() func() error {
		s, err := c.Submit(ctx, l.env.Marshal(), p.policies, client.Retry{})
		return func() error {
			l.inFlight--
			if err := p.onOutcome(l, s, err); err != nil {
				return fmt.Errorf("letter %d, %s: %w", l.number, l.description, err)
			}
			return nil
		}
	})
}

func invalidNote(l *submission) string {
	if l.whyInvalid == "" {
		return ""
	}
	return ", forged: " + l.whyInvalid
}

// onOutcome takes in what became of a letter. An error breaks a law.
func (p *authors) onOutcome(l *submission, s *client.Submission, err error) error {
	var problem *client.Problem
	switch {
	case err == nil && s.Receipt == nil:
		p.w.tracef("  letter %d is committed", l.number)
		return p.w.invariants.onCommitted(l.id)
	case err == nil:
		return p.onReceipt(l, s)
	case errors.As(err, &problem) && problem.Status == http.StatusInternalServerError:
		return fmt.Errorf("the server has no word for it: %w", err)
	case errors.As(err, &problem) && problem.Retryable():
		p.w.tracef("  letter %d later: %v", l.number, err)
		return nil
	case errors.As(err, &problem):
		p.w.tracef("  letter %d refused, %d: %v", l.number, problem.Status, err)
		l.decided = true
		p.resendCurrent(problem.Current)
		return p.w.invariants.onRefused(l.id, problem, l.inFlight == 0)
	case isTransient(err):
		p.w.tracef("  letter %d has no answer", l.number)
		return nil
	}
	return fmt.Errorf("an answer that nobody may give: %w", err)
}

func (p *authors) onReceipt(l *submission, s *client.Submission) error {
	p.w.tracef("  letter %d is at index %d, size %d, known %v", l.number, s.Receipt.Index(), s.Receipt.Published().Checkpoint().Size, s.Existed)
	if l.whyInvalid != "" {
		return fmt.Errorf("admitted at index %d although it is forged: %s", s.Receipt.Index(), l.whyInvalid)
	}
	if err := p.w.invariants.onReceipt(s.Receipt); err != nil {
		return err
	}
	if first := !l.hasReceipt; first {
		p.NoteAdmitted(l.env)
		if l.onReceipt != nil {
			l.onReceipt()
		}
	}
	l.decided, l.hasReceipt = true, true
	return nil
}

// resendCurrent sends a letter again that turns out to be on the ledger: its receipt
// tells what the next one on its thread follows.
func (p *authors) resendCurrent(current string) {
	for _, l := range p.submissions {
		if !l.hasReceipt && l.whyInvalid == "" && l.id.String() == current {
			p.send(l)
		}
	}
}

// isTransient tells whether an error says nothing but that no whole answer came.
func isTransient(err error) bool {
	var unreachable *wire.UnreachableError
	var status *wire.StatusError
	var problem *client.Problem
	return errors.As(err, &unreachable) || errors.Is(err, context.Canceled) || errors.Is(err, client.ErrUnpublished) ||
		errors.As(err, &status) && status.Code == http.StatusServiceUnavailable ||
		errors.As(err, &problem) && problem.Retryable()
}

// undecided are the letters whose fate is not known, and that are not away.
func (p *authors) undecided() (out []*submission) {
	for _, l := range p.submissions {
		if !l.decided && l.inFlight == 0 {
			out = append(out, l)
		}
	}
	return out
}

// withReceipt are the letters that have a receipt.
func (p *authors) withReceipt() []*submission {
	return slices.DeleteFunc(slices.Clone(p.submissions), func(l *submission) bool { return !l.hasReceipt })
}

// nextSubmission writes a letter: the next that the ledger needs to begin, or anything.
func (p *authors) nextSubmission() *submission {
	p.Now = time.Now().UTC().Truncate(time.Millisecond)
	if l := p.bootstrapRecord(); l != nil {
		return l
	}
	return p.randomSubmission()
}

// resendAny sends something that was sent before.
func (p *authors) resendAny() {
	all := p.undecided()
	if got := p.withReceipt(); len(all) == 0 || len(got) > 0 && p.w.chance(25) {
		all = got
	}
	if len(all) > 0 {
		p.send(all[p.w.rng.IntN(len(all))])
	}
}
