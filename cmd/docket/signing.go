package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// The way of a record from a person's file to its envelope, which sign and submit share:
// envelope fills it in, preview shows it, sign asks and signs, saveEnvelope keeps it.

// baseState is the state against which a record is filled in and checked: the ledger's
// ID and, where there is one, its register. Before a ledger exists there is only the
// charter, or nothing.
type baseState struct {
	ledger     record.ID
	trust      *client.Trust      // nil without a trust directory
	register   *register.Register // nil where only the ledger's name is known
	inMemory   bool               // the register is ours, in memory
	justSynced bool               // the register was synced just now

	sendsAtOnce bool // what is signed is sent: nothing is signed that would be refused
}

// baseState takes the trust directory, synced unless offline; or else the charter
// that --charter names by its envelope or its record ID; or else nothing, which is all
// that a charter needs and tells nothing about other kinds.
func (t *trustFlags) baseState(c *cobra.Command, kind record.Kind, charter string, offline bool) (*baseState, error) {
	switch {
	case charter != "":
		return t.app.charterBase(charter)
	case t.dir == "" && kind != record.KindCharter:
		return &baseState{}, nil
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
	case g.ledger.IsZero() && g.register == nil:
		return "this file alone, without a trust directory"
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
func (g *baseState) head(thread record.Thread) (head register.RecordRow, ok bool, err error) {
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
	if f.Request, err = g.newestRequest(sh.RequestThread); err != nil {
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

// newestRequest finds the record that `request: latest` asks for.
func (g *baseState) newestRequest(thread record.Thread) (record.ID, error) {
	if thread == "" {
		return record.ID{}, nil
	}
	if g.register == nil {
		return record.ID{}, usageError("which record on %s it answers, only a replayed copy tells", thread).hint("give --trust DIR, or write its record ID: request: ID")
	}
	head, ok, err := g.head(thread)
	if err == nil && !ok {
		err = refusal("there is no request on %s", thread).hint("docket list requests names what there is; docket sync fetches what is newer")
	}
	return head.ID, err
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

// envelope is what is there to sign: a short form filled in, anything else as it is.
func (g *baseState) envelope(m inputFile, now time.Time) (record.Envelope, []record.Opening, error) {
	if m.envelope != nil {
		return *m.envelope, nil, nil
	}
	payload, salts, err := g.fill(m.short, now)
	if err != nil {
		return record.Envelope{}, nil, err
	}
	return record.Envelope{PayloadType: record.PayloadType, Payload: payload}, salts, nil
}

// sign loads the keys, asks, and adds a signature by each key that has not signed yet.
func (b *preview) sign(c *cobra.Command, keys []string, yes bool, question string) (record.Envelope, error) {
	signers, err := b.loadSigners(c, keys)
	if err != nil || len(signers) == 0 {
		return b.envelope, err
	}
	if err := b.app.confirmSigning(c.Context(), yes, question); err != nil {
		return b.envelope, err
	}
	env, err := signAll(c.Context(), b.envelope, signers)
	if err != nil {
		return env, refusal("signing: %w", err)
	}
	return env, nil
}

func signAll(ctx context.Context, env record.Envelope, signers []*draft.Signer) (_ record.Envelope, err error) {
	for _, s := range signers {
		if env, err = s.Sign(ctx, env); err != nil {
			return env, err
		}
	}
	return env, nil
}

// confirmSigning asks before something is signed.
func (a *app) confirmSigning(ctx context.Context, yes bool, question string) error {
	if yes {
		return nil
	}
	ok, err := a.confirm(ctx, question)
	if err != nil {
		return err
	}
	if !ok {
		return refusal("not signed; nothing was written")
	}
	return nil
}

// loadSigners opens the private keys and prints their owners, before the user is asked
// and before anything is signed. Keys that have already signed are left out.
func (b *preview) loadSigners(c *cobra.Command, names []string) ([]*draft.Signer, error) {
	var signers []*draft.Signer
	for _, name := range names {
		s, err := b.app.signerFor(c, name)
		if err != nil {
			return nil, err
		}
		wanted, err := b.needsSignature(s.Key())
		if err != nil {
			return nil, err
		}
		if wanted {
			signers = append(signers, s)
		}
	}
	return signers, nil
}

// needsSignature tells whether a signature by that key would be a new one, and refuses one that
// the ledger would drop. Of a copy that may be behind, that is only a warning.
func (b *preview) needsSignature(key *record.Key) (bool, error) {
	if signedBy(b.envelope, key) {
		b.app.logf("docket: %s has signed already", b.keyOwnerText(key.ID()))
		return false, nil
	}
	b.app.logf("signing as %s", b.keyOwnerText(key.ID()))
	g := b.base
	if g.register == nil || g.ledger.IsZero() && b.statement.Kind != record.KindCharter {
		return true, nil
	}
	err := g.register.Begin(g.now()).MaySign(b.statement, key)
	var r *record.Refusal
	switch {
	case !errors.As(err, &r):
		return err == nil, err
	case g.justSynced && r.Class == record.Forbidden:
		return false, refusal("not signed: %w", r).hint("nothing was written; docket show %s lists who signs for %[1]s", b.statement.Issuer)
	}
	b.app.logf("docket: warning: %v, as far as is known here: the ledger would drop the signature", r)
	return true, nil
}

// signedBy tells whether an envelope bears a signature by that key, whatever its key
// IDs say.
func signedBy(env record.Envelope, key *record.Key) bool {
	message := record.PAE(env.Payload)
	return slices.ContainsFunc(env.Signatures, func(s record.Signature) bool { return key.Verify(message, s.Sig) == nil })
}

// changedUnder is the key of a signature that does not verify over the envelope's text,
// among those that may sign it: nil if there is none. The text was changed, or another signed.
func changedUnder(env record.Envelope, reg *register.Register) *record.Key {
	st, err := record.ParseStatement(env.Payload)
	if err != nil {
		return nil
	}
	keys := reg.CandidateKeysFor(env)(st)
	message := record.PAE(env.Payload)
	for _, s := range env.Signatures {
		for _, key := range keys {
			if key.ID() == s.KeyID && key.Verify(message, s.Sig) != nil {
				return key
			}
		}
	}
	return nil
}

// saveEnvelope keeps an envelope, the salts of its commitments first: without them a
// commitment can never be opened. An envelope of the same payload that is there gains the
// signatures, in one step.
func saveEnvelope(file, stem string, env record.Envelope, salts []record.Opening) error {
	if err := writeSalts(stem, salts); err != nil {
		return err
	}
	old, err := os.ReadFile(file)
	had, bad := record.ParseEnvelope(old)
	if err != nil || bad != nil {
		return writeNew(file, append(env.Marshal(), '\n'), 0o644)
	}
	both, err := record.Merge(had, env)
	if err != nil {
		return refusal("%s holds another record, %s", file, record.IDOf(had.Payload)).hint("files are never overwritten: move it away or name another with --out")
	}
	return replaceFile(file, append(both.Marshal(), '\n'), 0o644)
}

// readSalts reads NAME.salts.json; there may be none.
func (a *app) readSalts(stem string) []record.Opening {
	salts, err := a.loadSalts(stem + saltsSuffix)
	if err != nil {
		return nil
	}
	return salts
}

// loadSalts reads a file of salts.
func (a *app) loadSalts(name string) (salts []record.Opening, err error) {
	raw, err := a.readFile(name)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &salts); err != nil {
		return nil, fmt.Errorf("%s is no file of salts: %w", name, err)
	}
	return salts, nil
}

// writeSalts stores the salts of a record's commitments.
func writeSalts(stem string, salts []record.Opening) error {
	if len(salts) == 0 {
		return nil
	}
	text, err := json.MarshalIndent(salts, "", "  ")
	if err != nil {
		return err
	}
	return writeNew(stem+saltsSuffix, append(text, '\n'), 0o600)
}
