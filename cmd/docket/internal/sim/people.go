package sim

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

// people write records and send them: honest ones and forged ones, again when no
// answer came, again when one did. They believe nothing but a verified receipt.
type people struct {
	*registertest.World // what they know of the ledger's threads: by receipts alone

	w        *World
	policies client.Policies
	letters  []*letter

	orders  []string // designations that have a receipt
	paused  []string // those of them that were suspended
	spare   []string // keys that were added, by name
	revoked []string // keys that were revoked
}

// letter is one envelope and what its sender knows of it.
type letter struct {
	number int
	what   string
	id     record.ID
	env    record.Envelope
	forged string   // why it must never be admitted; empty if it may be
	lacks  []string // those who have yet to sign it
	noted  func()   // what its sender learns from the receipt; may be nil

	away    int  // times that it is under way
	settled bool // refused, or there is a receipt
	receipt bool
}

// submitters are those who send: each has a link of its own to the ledger.
const submitters = 4

func newPeople(w *World, policy string) *people {
	parsed, err := proof.ParsePolicy([]byte(policy))
	must(err)
	return &people{
		World: registertest.New(w.now, origin, policy), w: w,
		policies: client.Fixed{Only: parsed},
	}
}

// write makes a letter of an envelope.
func (p *people) write(what string, env record.Envelope) *letter {
	l := &letter{number: len(p.letters), what: what, id: record.IDOf(env.Payload), env: env}
	p.letters = append(p.letters, l)
	return l
}

// send sends a letter, unless it is under way. The impatient send it twice at once.
func (p *people) send(l *letter) {
	if l.away > 0 {
		return
	}
	p.post(l)
	if p.w.chance(10) {
		p.post(l)
	}
}

func (p *people) post(l *letter) {
	l.away++
	l.settled = false
	p.w.laws.sent(l.id)
	from := fmt.Sprintf("submitter-%d", p.w.rng.IntN(submitters))
	c, err := client.New(ledgerURL, p.w.net.from(from))
	must(err)
	ctx := p.w.ctx
	p.w.note("%s sends letter %d, %s (record %s)%s", from, l.number, l.what, short(l.id), forgery(l))
	p.w.start(func() func() error {
		s, err := c.Submit(ctx, l.env.Marshal(), p.policies, client.Patience{})
		return func() error {
			l.away--
			if err := p.hear(l, s, err); err != nil {
				return fmt.Errorf("letter %d, %s: %w", l.number, l.what, err)
			}
			return nil
		}
	})
}

func forgery(l *letter) string {
	if l.forged == "" {
		return ""
	}
	return ", forged: " + l.forged
}

// hear takes in what became of a letter. An error breaks a law.
func (p *people) hear(l *letter, s *client.Submission, err error) error {
	var problem *client.Problem
	switch {
	case err == nil && s.Receipt == nil:
		p.w.note("  letter %d is committed", l.number)
		return p.w.laws.promised(l.id)
	case err == nil:
		return p.received(l, s)
	case errors.As(err, &problem) && problem.Status == http.StatusInternalServerError:
		return fmt.Errorf("the server has no word for it: %w", err)
	case errors.As(err, &problem) && problem.Later():
		p.w.note("  letter %d later: %v", l.number, err)
		return nil
	case errors.As(err, &problem):
		p.w.note("  letter %d refused, %d: %v", l.number, problem.Status, err)
		l.settled = true
		p.remember(problem.Current)
		return p.w.laws.refused(l.id, problem, l.away == 0)
	case passes(err):
		p.w.note("  letter %d has no answer", l.number)
		return nil
	}
	return fmt.Errorf("an answer that nobody may give: %w", err)
}

func (p *people) received(l *letter, s *client.Submission) error {
	p.w.note("  letter %d is at index %d, size %d, known %v", l.number, s.Receipt.Index(), s.Receipt.Published().Checkpoint().Size, s.Known)
	if l.forged != "" {
		return fmt.Errorf("admitted at index %d although it is forged: %s", s.Receipt.Index(), l.forged)
	}
	if err := p.w.laws.told(s.Receipt); err != nil {
		return err
	}
	if first := !l.receipt; first {
		p.Note(l.env)
		if l.noted != nil {
			l.noted()
		}
	}
	l.settled, l.receipt = true, true
	return nil
}

// remember sends a letter again that turns out to be on the ledger: its receipt
// tells what the next one on its thread follows.
func (p *people) remember(current string) {
	for _, l := range p.letters {
		if !l.receipt && l.forged == "" && l.id.String() == current {
			p.send(l)
		}
	}
}

// passes tells whether an error says nothing but that no whole answer came.
func passes(err error) bool {
	var unreachable *wire.Unreachable
	var status *wire.Status
	var problem *client.Problem
	return errors.As(err, &unreachable) || errors.Is(err, context.Canceled) || errors.Is(err, client.ErrUnpublished) ||
		errors.As(err, &status) && status.Code == http.StatusServiceUnavailable ||
		errors.As(err, &problem) && problem.Later()
}

// unsettled are the letters whose fate is not known, and that are not away.
func (p *people) unsettled() (out []*letter) {
	for _, l := range p.letters {
		if !l.settled && l.away == 0 {
			out = append(out, l)
		}
	}
	return out
}

// receipted are the letters that have a receipt.
func (p *people) receipted() []*letter {
	return slices.DeleteFunc(slices.Clone(p.letters), func(l *letter) bool { return !l.receipt })
}

// compose writes a letter: the next that the ledger needs to begin, or anything.
func (p *people) compose() *letter {
	p.Now = time.Now().UTC().Truncate(time.Millisecond)
	if l := p.begin(); l != nil {
		return l
	}
	return p.anything()
}

// again sends something that was sent before.
func (p *people) again() {
	all := p.unsettled()
	if got := p.receipted(); len(all) == 0 || len(got) > 0 && p.w.chance(25) {
		all = got
	}
	if len(all) > 0 {
		p.send(all[p.w.rng.IntN(len(all))])
	}
}
