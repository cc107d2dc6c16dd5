package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// brief is what a signer is shown of a record before signing it.
type brief struct {
	app       *app
	ground    *ground
	envelope  record.Envelope
	id        record.ID
	statement *record.Statement
	signed    []*record.Key // whose signatures verify
	foreign   int           // signatures by no key that may sign this
	needs     string        // what is missing for the ledger to take it
	changes   []string
	warnings  []string
}

// brief reads the record, its signatures, and what it changes.
func (a *app) brief(ctx context.Context, g *ground, env record.Envelope) (*brief, error) {
	st, err := record.ParseStatement(env.Payload)
	if err != nil {
		return nil, refuse("%w", err)
	}
	b := &brief{app: a, ground: g, envelope: env, id: record.IDOf(env.Payload), statement: st}
	if err := b.readSignatures(env); err != nil {
		return nil, err
	}
	if b.changes, err = g.changes(ctx, st); err != nil {
		return nil, err
	}
	return b, b.warn()
}

// readSignatures finds whose signatures are there.
func (b *brief) readSignatures(env record.Envelope) error {
	if len(env.Signatures) == 0 {
		return nil
	}
	candidates := func(*record.Statement) []*record.Key { return nil }
	if b.ground.register != nil {
		candidates = b.ground.register.CandidatesOf(env)
	}
	v, err := record.Open(env, candidates)
	if err != nil {
		b.foreign = len(env.Signatures)
		return nil
	}
	for _, s := range v.Signatures() {
		b.signed = append(b.signed, s.Key)
	}
	b.foreign = v.Ignored()
	stands, err := b.ground.verdict(env)
	var f *failure
	switch {
	case errors.As(err, &f):
		b.needs = f.Error()
	case err != nil:
		return err
	case stands.complete:
		b.needs = "complete: enough have signed"
	default:
		b.needs = stands.needs
	}
	return nil
}

// warn gathers what should make a signer stop: what the ledger would refuse, a
// response about a designation as it no longer stands, a charter that leaves the log
// no key, another ledger.
func (b *brief) warn() error {
	st, g := b.statement, b.ground
	say := func(format string, args ...any) { b.warnings = append(b.warnings, fmt.Sprintf(format, args...)) }
	if !g.ledger.IsZero() && !st.Ledger.IsZero() && st.Ledger != g.ledger {
		say("it is written for another ledger, %s; this is %s", st.Ledger, g.ledger)
		return nil
	}
	if b.foreign > 0 {
		say("%s that it bears will not count: by no key that may sign this", count(b.foreign, "signature"))
	}
	head, ok, err := g.head(st.Thread)
	switch {
	case err != nil:
		return err
	case ok && head.ID == b.id:
		say("it is on the ledger already, at index %d", head.Index)
	default:
		if err := b.preflight(say); err != nil {
			return err
		}
	}
	if c, ok := st.Predicate.(*record.Charter); ok {
		kept, err := g.keepsLogKey(c)
		if err == nil && !kept {
			say("no log key of the present policy stands in this one: unless the log signs with the new ones already (docket init --next), it can publish nothing under it")
		}
		return err
	}
	if st.Kind != record.KindResponse {
		return nil
	}
	name := strings.Split(st.Thread, "/")[1]
	if head, ok, err = g.head("designation/" + name); err == nil && ok && head.ID != record.ID(st.Subject.SHA256) {
		say("designation/%s has changed since the record that this answers: %s %s at index %d, %s", name, article(head.Kind), head.Kind, head.Index, head.ID)
	}
	return err
}

// keepsLogKey tells whether a charter's policy names a log key that the present one
// names too; true where no charter is known, or this one's policy is none.
func (g *ground) keepsLogKey(c *record.Charter) (bool, error) {
	if g.register == nil || g.register.Size() == 0 {
		return true, nil
	}
	next, err := proof.ParsePolicy([]byte(c.Policy))
	if err != nil {
		return true, nil // the ledger will say so
	}
	era, err := g.register.EraAt(g.register.Size())
	if err != nil {
		return false, err
	}
	present, err := proof.ParsePolicy([]byte(era.Policy))
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(next.LogKeys(c.Origin), func(k proof.Key) bool {
		return slices.ContainsFunc(present.LogKeys(era.Origin), k.SameKey)
	}), nil
}

// preflight asks the register for what no signature could heal. What the day, or others'
// records, may heal in the meantime, or have where the copy is behind, is only warned of.
func (b *brief) preflight(warn func(format string, args ...any)) error {
	g := b.ground
	if g.register == nil || g.ledger.IsZero() && b.statement.Kind != record.KindCharter {
		return nil
	}
	err := g.register.Begin(g.now()).Preflight(b.statement)
	var r *record.Refusal
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &r):
		return err
	case g.hopeless(r):
		return refuse("the ledger would refuse this, whoever signs it: %w", r).hint("nothing was written; correct the record")
	case g.fresh:
		warn("the ledger would refuse it as it stands, whoever signs it: %v", r)
	default:
		warn("as far as is known here, the ledger would refuse it as it stands, whoever signs it: %v", r)
	}
	return nil
}

// show prints all of it to stderr.
func (b *brief) show() {
	a := b.app
	showStatement(a.err, b.id, b.statement)
	if b.statement.Kind == record.KindResponse {
		b.showSubject()
	}
	if len(b.changes) > 0 {
		a.say("  changes")
		for _, line := range b.changes {
			a.say("    %s", printable(line))
		}
	}
	if len(b.signed) == 0 && b.foreign == 0 {
		a.say("  signed by    nobody yet")
	}
	for _, k := range b.signed {
		a.say("  signed by    %s", b.who(k.ID()))
	}
	if b.needs != "" {
		a.say("  stands at    %s", printable(b.needs))
	}
	a.say("  read         %s", b.ground)
	for _, w := range b.warnings {
		a.say("docket: warning: %s", printable(w))
	}
}

// showSubject says which record a response answers, as the copy proves it.
func (b *brief) showSubject() {
	v, err := b.ground.view()
	if err != nil || v == nil {
		return
	}
	r, err := v.Record(record.ID(b.statement.Subject.SHA256))
	if err != nil {
		b.warnings = append(b.warnings, fmt.Sprintf("what it is about is not known here: %v", err))
		return
	}
	text := fmt.Sprintf("%s at index %d, admitted %s", r.Kind, r.Index, stamp(r.Admitted))
	if d, err := v.Designation(r.Thread, time.Now()); err == nil {
		text += ": " + d.Name
	}
	b.app.say("  answers      %s (%s)", printable(text), r.Thread)
}

// who says whose key it is.
func (b *brief) who(keyid string) string {
	if b.ground.register != nil {
		if h, ok, err := b.ground.register.KeyHolder(keyid); err == nil && ok {
			return holderText(h)
		}
	}
	for _, k := range listedKeys(b.statement) {
		if key, err := k.Key.Key(); err == nil && key.ID() == keyid {
			return fmt.Sprintf("%s, holder %s (key %s, listed here)", b.statement.Party(), k.Holder, keyid)
		}
	}
	if b.ground.register == nil {
		return "key " + keyid
	}
	return "key " + keyid + ", which is not enrolled"
}

// holderText names a key's holder as people say it, and the key's marks.
func holderText(h register.KeyHolder) string {
	party := h.Party
	if party == "" {
		party = "root"
	}
	text := fmt.Sprintf("%s, holder %s (key %s, enrolled at #%d)", party, h.Holder, h.KeyID, h.Added)
	return strings.Join(append([]string{text}, h.Marks()...), "; ")
}

// listedKeys are the keys that a statement itself introduces, with their holders.
func listedKeys(st *record.Statement) []record.PartyKey {
	switch p := st.Predicate.(type) {
	case *record.Charter:
		keys := make([]record.PartyKey, len(p.RootKeys))
		for i, k := range p.RootKeys {
			keys[i] = record.PartyKey{Key: k.Key, Holder: k.Holder}
		}
		return keys
	case *record.Enrolment:
		return p.Keys
	case *record.Keys:
		return p.Add
	}
	return nil
}

// verdict is what the register as it is known here would make of an envelope.
type verdict struct {
	complete bool
	next     string   // what to do with a complete one
	needs    string   // what is missing, where it is not complete
	effects  []string // of a complete one
}

// verdict tries an envelope on the register. What nothing can heal is an error; too few
// signatures are not, nor what the day or others may still change.
func (g *ground) verdict(env record.Envelope) (verdict, error) {
	st, err := record.ParseStatement(env.Payload)
	if err != nil {
		return verdict{}, refuse("%w", err)
	}
	if g.register == nil || g.ledger.IsZero() && st.Kind != record.KindCharter {
		return verdict{}, nil
	}
	d, err := g.judge(env)
	var r *record.Refusal
	switch {
	case err == nil:
		effects, err := d.Effects()
		next := "docket submit sends it"
		if g.ledger.IsZero() {
			next = "docket init --dir D --charter begins the ledger with it"
		}
		return verdict{complete: true, next: next, effects: effects}, err
	case !errors.As(err, &r):
		return verdict{}, err
	case r.Class == record.Forbidden:
		return verdict{needs: r.Error()}, nil
	case !g.hopeless(r):
		return verdict{}, nil // the brief has warned of it
	}
	return verdict{}, refuse("the ledger would refuse this, however many sign: %w", r).hint("nothing was written; correct the record and sign it again")
}

// say tells the signer what comes next.
func (v verdict) say(a *app) {
	switch {
	case v.complete:
		a.say("complete: enough have signed; %s", v.next)
		for _, e := range v.effects {
			a.say("  %s", printable(e))
		}
	case v.needs != "":
		a.say("not complete yet: %s", printable(v.needs))
	}
}
