package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// maxRefusalSkew is how far the time of a fresh refusal may be from the clock of who gets it.
// The ledger repeats one for a minute.
const maxRefusalSkew = 5 * time.Minute

// maxJudgmentLag is how long after the next entry was admitted a ledger may judge by the size
// before it: a register follows its log within the minute that a write may take.
const maxJudgmentLag = 5 * time.Minute

// RefusalReport is what a signed refusal proves, and whether the rules say the same.
type RefusalReport struct {
	Refusal record.VerifiedRefusal
	Charter uint64               // index of the charter whose refusalsKey signed it
	Signers []register.KeyHolder // one a key that it names; Holder is empty where unknown

	// Unnamed are keys that signed the envelope as it is here and that the refusal does not
	// name: they signed since, or the ledger has passed over them. Set where the rules were asked.
	Unnamed []string

	// NotJudged is why the rules were not asked, as a clause; "" where they were, over a
	// copy of CoveredSize entries.
	NotJudged   string
	CoveredSize uint64
	// Finding is why the ledger must not have refused the record so, as a clause; "" where it
	// refused rightly.
	Finding string
	// Refused is what the rules say; nil: the record was admissible, or NotJudged.
	Refused *record.Refusal
}

// VerifyRefusal checks a signed refusal of an envelope: that it is this ledger's, by the
// refusalsKey of the charter in force at its size; and, where the copy covers that size,
// what the rules said there of the envelope. What is signed, and not by the rules, is
// no error but a Finding. The envelope may have got more signatures since; the record
// is judged by those that the refusal names.
func (t *Trust) VerifyRefusal(file []byte, env record.Envelope) (*RefusalReport, error) {
	n, err := record.ParseRefusalNote(file)
	if err != nil {
		return nil, err
	}
	r, err := t.checkRefusal(n)
	if err != nil {
		return nil, err
	}
	if got := record.IDOf(env.Payload); got != n.Record {
		return nil, fmt.Errorf("the refusal is of record %s; the envelope holds %s", n.Record, got)
	}
	for _, k := range n.Keys {
		r.Signers = append(r.Signers, register.KeyHolder{KeyID: k})
	}
	reg, err := t.Register()
	if errors.Is(err, ErrNoCopy) {
		r.NotJudged = "the trust directory has no replayed copy"
		return r, nil
	} else if err != nil {
		return nil, err
	}
	if r.CoveredSize = reg.Size(); n.Size > r.CoveredSize {
		r.NotJudged = fmt.Sprintf("the trust directory covers %s", register.FormatEntryCount(r.CoveredSize))
		return r, nil
	}
	if err := r.judge(reg, env); register.IsDamaged(err) {
		return nil, &DamageError{Dir: t.dir, Err: err}
	} else if err != nil {
		return nil, err
	}
	return r, nil
}

// checkRefusal verifies who signed a refusal. That does not take its envelope.
func (t *Trust) checkRefusal(n record.RefusalNote) (*RefusalReport, error) {
	if n.Ledger != t.pin.Charter {
		return nil, fmt.Errorf("the refusal is of the ledger %s, not of %s", n.Ledger, t.pin.Charter)
	}
	by := t.charters.below(n.Size).newest()
	known := ""
	if n.Size > t.size() {
		known = fmt.Sprintf("; the refusal is of size %d, and the trust directory knows the charters below %d: docket sync brings it further", n.Size, t.size())
	}
	if by.content.RefusalsKey == "" {
		return nil, fmt.Errorf("the charter at index %d names no key for refusals (refusalsKey), so nobody's signature makes it one%s", by.index, known)
	}
	key, err := record.ParseRefusalsKey(by.content.RefusalsKey)
	if err != nil {
		return nil, fmt.Errorf("the charter at index %d: %w", by.index, err)
	}
	v, err := n.Verify(key)
	if err != nil {
		return nil, fmt.Errorf("the refusal: %w, as the charter at index %d names it%s", err, by.index, known)
	}
	return &RefusalReport{Refusal: v, Charter: by.index}, nil
}

// judge asks the rules as of the refusal's size and time. An error says that they cannot be
// asked of this envelope.
func (r *RefusalReport) judge(reg *register.Register, env record.Envelope) error {
	n := r.Refusal.Note()
	for i, s := range r.Signers {
		h, ok, err := reg.KeyHolder(s.KeyID)
		if err != nil {
			return err
		}
		if ok {
			r.Signers[i] = h
		}
	}
	newest, err := reg.Record(n.Size - 1)
	if err != nil {
		return err
	}
	if n.Time.Before(newest.Admitted) {
		r.Finding = fmt.Sprintf("its time is before %s, when entry %d was admitted", record.Instant{Time: newest.Admitted}, newest.Index)
		return nil
	}
	if n.Size < reg.Size() {
		next, err := reg.Record(n.Size)
		if err != nil {
			return err
		}
		if late := n.Time.Sub(next.Admitted); late > maxJudgmentLag {
			r.Finding = fmt.Sprintf("it is judged as of size %d, %s after entry %[1]d was admitted", n.Size, late.Round(time.Second))
			return nil
		}
	}
	if index, known, err := reg.Lookup(n.Record); err != nil {
		return err
	} else if known && index < n.Size {
		r.Finding = fmt.Sprintf("the record was on the ledger already, at index %d", index)
		return nil
	}
	ask := func(env record.Envelope) (register.Verdict, error) {
		d, err := reg.BeginAt(n.Size, n.Time)
		if err != nil {
			return register.Verdict{}, err
		}
		return d.Verdict(env)
	}
	verdict, err := ask(env)
	if err != nil {
		return err
	}
	r.Unnamed = slices.DeleteFunc(slices.Clone(verdict.Signers), func(k string) bool { return slices.Contains(n.Keys, k) })
	if !slices.Equal(verdict.Signers, n.Keys) {
		if verdict, err = verdictBySigners(ask, env, n.Keys); err != nil {
			return err
		}
	}
	r.Refused = verdict.Refused
	switch {
	case verdict.Refused == nil:
		r.Finding = fmt.Sprintf("the record was admissible at size %d", n.Size)
	case verdict.Refused.Class == record.Unsupported:
		r.Refused, r.NotJudged = nil, verdict.Refused.Error()
	case verdict.Refused.Rule() != n.Rule:
		r.Finding = fmt.Sprintf("the rules refuse it by %s", verdict.Refused.Rule())
	}
	return nil
}

// verdictBySigners judges an envelope as if it bore the signatures by these keys alone: a
// draft is sent around, and gains signatures after it was refused for want of them.
func verdictBySigners(ask func(record.Envelope) (register.Verdict, error), env record.Envelope, keys []string) (register.Verdict, error) {
	env.Signatures = slices.DeleteFunc(slices.Clone(env.Signatures), func(s record.Signature) bool { return !slices.Contains(keys, s.KeyID) })
	verdict, err := ask(env)
	if err != nil || slices.Equal(verdict.Signers, keys) {
		return verdict, err
	}
	missing := slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return slices.Contains(verdict.Signers, k) })
	if len(missing) == 0 {
		return verdict, errors.New("the refusal does not name all keys that the envelope's signatures verify with, and without them it cannot be judged")
	}
	return verdict, fmt.Errorf("the envelope does not bear what was refused: no signature verifies by %s, which an enrolled key must have made; bring the envelope that was sent", strings.Join(missing, ", "))
}

// SignedRefusal is a refusal as a server answered it, verified.
type SignedRefusal struct {
	record.VerifiedRefusal
	Text []byte // the file
}

// readRefusal verifies what came with a problem, if anything did: that this ledger has signed
// it, and that it says of this record what the problem says, now. With a policy alone it cannot
// be verified, and counts for nothing. A trust directory that may not know the charter in force yet
// asks for the charters first.
func (p *Problem) readRefusal(ctx context.Context, c *Client, id record.ID, policies Policies) {
	t, ok := policies.(*Trust)
	if p.refusal == "" || !ok {
		return
	}
	shown := t.size()
	n, err := record.ParseRefusalNote([]byte(p.refusal))
	var r *RefusalReport
	if err == nil {
		r, err = t.checkRefusal(n)
		if err != nil && n.Ledger == t.pin.Charter && n.Size > shown && t.refreshCharters(ctx, c) == nil {
			r, err = t.checkRefusal(n)
		}
	}
	if err == nil {
		err = p.checkAnswer(n, id, shown)
	}
	if err != nil {
		p.RefusalFault = fmt.Errorf("the server's signed refusal counts for nothing: %w", err)
		return
	}
	p.Refusal = &SignedRefusal{r.Refusal, []byte(p.refusal)}
}

// checkAnswer holds a refusal against what was asked, the problem that it came with, and this
// machine's clock. size is what the ledger had
// shown before.
func (p *Problem) checkAnswer(n record.RefusalNote, id record.ID, size uint64) error {
	now := time.Now()
	word, _, _ := strings.Cut(n.Rule, " ")
	switch {
	case n.Record != id:
		return fmt.Errorf("it is of record %s", n.Record)
	case "urn:docket:problem:"+word != p.Type:
		return fmt.Errorf("its rule is %s, and the answer's %s", word, p.Type)
	case n.Time.Sub(now).Abs() > maxRefusalSkew:
		return fmt.Errorf("its time is %s, and here it is %s", record.Instant{Time: n.Time}, record.Instant{Time: now.UTC().Truncate(time.Second)})
	case n.Size < size:
		return fmt.Errorf("it is judged as of size %d, and the ledger has shown %d", n.Size, size)
	}
	return nil
}
