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
	"github.com/seed-53cf897a/docket/ledger/register"
)

// ground is what a record is written and judged on: the ledger's name and, where
// there is one, its register. An authority that is about to begin a ledger has no
// more than the charter, or nothing.
type ground struct {
	ledger   record.ID
	trust    *client.Trust      // nil without a trust directory
	register *register.Register // nil where only the ledger's name is known
	own      bool               // the register is ours, in memory
	fresh    bool               // the register was synced just now
}

// ground takes the trust directory, synced unless offline; or else the charter
// that --charter names by its envelope or its record ID; or else nothing, on which
// only a charter can be written.
func (t *trusting) ground(c *cobra.Command, charter string, offline bool) (*ground, error) {
	switch {
	case charter != "":
		return t.app.charterGround(charter)
	case t.dir == "":
		g := &ground{own: true}
		return g, g.openMemory()
	}
	trust, err := t.open()
	if err != nil {
		return nil, err
	}
	g := &ground{ledger: trust.Ledger(), trust: trust}
	if !offline {
		g.fresh, err = t.synced(c, trust)
	}
	if err == nil {
		g.register, err = trust.Copy()
	}
	if err != nil {
		return nil, errors.Join(err, trust.Close())
	}
	return g, nil
}

// charterGround is a ledger of which only the charter is known.
func (a *app) charterGround(charter string) (*ground, error) {
	if id, err := record.ParseID(charter); err == nil {
		return &ground{ledger: id}, nil
	}
	if err := whole(charter); err != nil {
		return nil, err
	}
	raw, err := a.readFile(charter)
	if err != nil {
		return nil, err
	}
	env, err := record.ParseEnvelope(raw)
	if err != nil {
		return nil, wrongFile(charter, raw, "the charter's envelope, or its record ID", err)
	}
	g := &ground{ledger: record.IDOf(env.Payload), own: true}
	if err := g.openMemory(); err != nil {
		return nil, err
	}
	d, err := g.judge(env)
	if err == nil {
		err = g.register.Advance(d, g.ledger) // no log, no root: any name for this state will do
	}
	if err != nil {
		return nil, errors.Join(refuse("%s: %w", charter, err), g.Close())
	}
	return g, nil
}

func (g *ground) openMemory() (err error) {
	g.register, err = register.Open(vfs.NewMem(), "register", client.RegisterOptions())
	return err
}

// Close closes what was opened.
func (g *ground) Close() error {
	switch {
	case g.trust != nil:
		return g.trust.Close()
	case g.own:
		return g.register.Close()
	}
	return nil
}

// String says on what the record was written.
func (g *ground) String() string {
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
func (g *ground) view() (*register.View, error) {
	if g.register == nil {
		return nil, nil
	}
	return g.register.Now()
}

// head is the newest record on a thread, as far as is known.
func (g *ground) head(thread string) (head register.Record, ok bool, err error) {
	v, err := g.view()
	if err != nil || v == nil {
		return head, false, err
	}
	head, err = v.Head(thread)
	var absent *register.AbsentError
	if errors.As(err, &absent) {
		return head, false, nil
	}
	return head, err == nil, err
}

// fill completes a short form. A statement, which has all, comes back as it is.
func (g *ground) fill(sh *record.Short, now time.Time) (payload []byte, salts []record.Salt, err error) {
	head, _, err := g.head(sh.Statement.Thread) // the zero ID where there is none
	if err != nil {
		return nil, nil, err
	}
	return g.fillAfter(sh, head.ID, now)
}

// fillAfter completes a short form as the record after follows.
func (g *ground) fillAfter(sh *record.Short, follows record.ID, now time.Time) (payload []byte, salts []record.Salt, err error) {
	st := sh.Statement
	f := record.Filling{Ledger: g.ledger, IssuedAt: now, Follows: follows}
	if g.ledger.IsZero() && st.Kind != record.KindCharter && st.Ledger.IsZero() {
		return nil, nil, misuse("a record of kind %s names its ledger, and none is known", st.Kind).hint("give --trust DIR, or --charter with the charter's envelope or record ID while there is no ledger to trust yet")
	}
	if f.About, err = g.about(sh.About); err != nil {
		return nil, nil, err
	}
	payload, salts, err = sh.Fill(f)
	if err != nil {
		return nil, nil, refuse("%w", err)
	}
	return payload, salts, nil
}

// about finds the record that `about: latest`, or the kind itself, asks for.
func (g *ground) about(a record.About) (record.ID, error) {
	if a.Need == record.NeedNothing {
		return record.ID{}, nil
	}
	v, err := g.view()
	if err != nil {
		return record.ID{}, err
	}
	if v == nil {
		return record.ID{}, misuse("which record on %s it is about, only a replayed copy tells", a.Thread).hint("give --trust DIR, or write its record ID: about: ID")
	}
	about, err := v.Head(a.Thread)
	if err == nil && a.Need == record.NeedEnrolment {
		err = v.Thread(a.Thread, 0, func(first register.Record) bool { about = first; return false })
	}
	if err != nil {
		return record.ID{}, refuse("%w", err).hint("docket list designations, or parties, names what there is; docket sync fetches what is newer")
	}
	return about.ID, nil
}

// judge tries a record on the register as it stands now. Nothing is written; the
// ledger may know more by the time it judges.
func (g *ground) judge(env record.Envelope) (*register.Draft, error) {
	v, err := record.Open(env, g.register.CandidatesOf(env))
	if err != nil {
		return nil, err
	}
	d := g.register.Begin(g.now())
	_, err = d.Judge(v)
	return d, err
}

// hopeless says that a refusal stands whatever others record and whatever day comes:
// only the record itself can be another. A date that is too early counts as such unless
// the copy may lack a newer charter, with other periods.
func (g *ground) hopeless(r *record.Refusal) bool {
	switch r.Class {
	case record.Conflict, record.TooEarly, record.Forbidden:
		return false
	}
	return !r.Passing || g.fresh && r.Earliest != ""
}

// now is when a record would be admitted: never before the newest entry.
func (g *ground) now() time.Time {
	now := time.Now()
	if last := g.register.LastAdmitted(); now.Before(last) {
		return last
	}
	return now
}

// statement reads a record of the copy again.
func (g *ground) statement(ctx context.Context, index uint64) (*record.Statement, error) {
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
