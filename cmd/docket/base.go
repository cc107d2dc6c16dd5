package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// baseState is the state against which a record is filled in and checked: the ledger's
// ID and, where there is one, its register. Before a ledger exists there is only the
// charter, or nothing.
type baseState struct {
	ledger     record.ID
	trust      *client.Trust      // nil without a trust directory
	register   *register.Register // nil where only the ledger's name is known
	inMemory   bool               // the register is ours, in memory
	justSynced bool               // the register was synced just now
}

// baseState takes the trust directory, synced unless offline; or else the charter
// that --charter names by its envelope or its record ID; or else nothing, on which
// only a charter can be written.
func (t *trustFlags) baseState(c *cobra.Command, charter string, offline bool) (*baseState, error) {
	switch {
	case charter != "":
		return t.app.charterBase(charter)
	case t.dir == "":
		g := &baseState{inMemory: true}
		return g, g.openMemory()
	}
	trust, err := t.open()
	if err != nil {
		return nil, err
	}
	g := &baseState{ledger: trust.Ledger(), trust: trust}
	if !offline {
		g.justSynced, err = t.syncOrWarn(c, trust)
	}
	if err == nil {
		g.register, err = trust.Register()
	}
	if err != nil {
		return nil, errors.Join(err, trust.Close())
	}
	return g, nil
}

// charterBase is a ledger of which only the charter is known.
func (a *app) charterBase(charter string) (*baseState, error) {
	if id, err := record.ParseID(charter); err == nil {
		return &baseState{ledger: id}, nil
	}
	if err := requireFullID(charter); err != nil {
		return nil, err
	}
	raw, err := a.readFile(charter)
	if err != nil {
		return nil, err
	}
	env, err := record.ParseEnvelope(raw)
	if err != nil {
		return nil, wrongFileError(charter, raw, "the charter's envelope, or its record ID", err)
	}
	g := &baseState{ledger: record.IDOf(env.Payload), inMemory: true}
	if err := g.openMemory(); err != nil {
		return nil, err
	}
	d, err := g.check(env)
	if err == nil {
		err = g.register.Advance(d, g.ledger) // no log, no root: any name for this state will do
	}
	if err != nil {
		return nil, errors.Join(refusal("%s: %w", charter, err), g.Close())
	}
	return g, nil
}

func (g *baseState) openMemory() (err error) {
	g.register, err = register.Open(vfs.NewMem(), "register", client.RegisterOptions())
	return err
}

// Close closes what was opened.
func (g *baseState) Close() error {
	switch {
	case g.trust != nil:
		return g.trust.Close()
	case g.inMemory:
		return g.register.Close()
	}
	return nil
}

// String says on what the record was written.
func (g *baseState) String() string {
	switch {
	case g.trust != nil:
		return asOf(g.trust.Checkpoint())
	case g.ledger.IsZero():
		return "no ledger yet"
	case g.register != nil:
		return "as of the charter alone"
	}
	return "nothing but the ledger's name is known"
}

// view is the register as it stands; nil where there is none.
func (g *baseState) view() (*view.View, error) {
	if g.register == nil {
		return nil, nil
	}
	return view.Latest(g.register)
}

// head is the newest record on a thread, as far as is known.
func (g *baseState) head(thread string) (head register.RecordRow, ok bool, err error) {
	v, err := g.view()
	if err != nil || v == nil {
		return head, false, err
	}
	head, err = v.Head(thread)
	var absent *view.AbsentError
	if errors.As(err, &absent) {
		return head, false, nil
	}
	return head, err == nil, err
}

// fill completes a short form. A statement, which has all, comes back as it is.
func (g *baseState) fill(sh *draft.ShortForm, now time.Time) (payload []byte, salts []record.Opening, err error) {
	head, _, err := g.head(sh.Statement.Thread) // the zero ID where there is none
	if err != nil {
		return nil, nil, err
	}
	return g.fillAfter(sh, head.ID, now)
}

// fillAfter completes a short form as the record after follows.
func (g *baseState) fillAfter(sh *draft.ShortForm, follows record.ID, now time.Time) (payload []byte, salts []record.Opening, err error) {
	st := sh.Statement
	f := draft.FillValues{Ledger: g.ledger, IssuedAt: now, Follows: follows}
	if g.ledger.IsZero() && st.Kind != record.KindCharter && st.Ledger.IsZero() {
		return nil, nil, usageError("a record of kind %s names its ledger, and none is known", st.Kind).hint("give --trust DIR, or --charter with the charter's envelope or record ID while there is no ledger to trust yet")
	}
	if f.SubjectRecord, err = g.subjectRecord(sh.SubjectLookup); err != nil {
		return nil, nil, err
	}
	payload, salts, err = sh.Fill(f)
	if err != nil {
		return nil, nil, refusal("%w", err)
	}
	return payload, salts, nil
}

// subjectRecord finds the record that `about: latest`, or the kind itself, asks for.
func (g *baseState) subjectRecord(a draft.SubjectLookup) (record.ID, error) {
	if a.Source == draft.SubjectGiven {
		return record.ID{}, nil
	}
	v, err := g.view()
	if err != nil {
		return record.ID{}, err
	}
	if v == nil {
		return record.ID{}, usageError("which record on %s it is about, only a replayed copy tells", a.Thread).hint("give --trust DIR, or write its record ID: about: ID")
	}
	about, err := v.Head(a.Thread)
	if err == nil && a.Source == draft.SubjectEnrolmentRecord {
		err = v.Thread(a.Thread, 0, func(first register.RecordRow) bool { about = first; return false })
	}
	if err != nil {
		return record.ID{}, refusal("%w", err).hint("docket list designations, or parties, names what there is; docket sync fetches what is newer")
	}
	return about.ID, nil
}

// check applies the rules to a record against the register as it is. Nothing is
// written; the ledger may know more when it checks the record.
func (g *baseState) check(env record.Envelope) (*register.Draft, error) {
	v, err := record.Open(env, g.register.CandidateKeysFor(env))
	if err != nil {
		return nil, err
	}
	d := g.register.Begin(g.now())
	_, err = d.Judge(v)
	return d, err
}

// isPermanent reports whether a refusal holds whatever other records come and whatever
// the date is. A date that is too early counts as permanent unless the copy may lack a
// newer charter with other periods.
func (g *baseState) isPermanent(r *record.Refusal) bool {
	switch r.Class {
	case record.Conflict, record.TooEarly, record.Forbidden:
		return false
	}
	return !r.Transient || g.justSynced && r.Earliest != ""
}

// now is when a record would be admitted: never before the newest entry.
func (g *baseState) now() time.Time {
	now := time.Now()
	if last := g.register.LastAdmitted(); now.Before(last) {
		return last
	}
	return now
}

// statementAt reads a record of the copy again.
func (g *baseState) statementAt(ctx context.Context, index uint64) (*record.Statement, error) {
	if g.trust == nil {
		return nil, fmt.Errorf("index %d: %w", index, client.ErrNoCopy)
	}
	raw, err := g.trust.Entry(ctx, index)
	if err != nil {
		return nil, err
	}
	e, err := record.ParseEntry(raw)
	if err != nil {
		return nil, err
	}
	return record.ParseStatement(e.Envelope.Payload)
}
