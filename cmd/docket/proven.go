package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// proven words what a verified receipt proves, and what it does not.
type proven struct {
	report   *client.Report
	trust    *client.Trust // nil with a policy alone
	document string        // compared and equal; "" if none was given
	opened   []opened      // commitments that --salts has opened
	earlier  *earliest     // a time before that of the receipt; nil if none is proven
}

// lines are all of it, a fact each.
func (p proven) lines() []string {
	r := p.report
	st := r.Statement
	cp := r.Published.Checkpoint()
	lines := []string{
		fact("record", "%s on %s", st.Kind, st.Thread),
		fact("record ID", "%s", r.ID),
		fact("says", "%s", gist(st)),
		fact("issuer", "%s", p.issuer()),
	}
	lines = append(lines, p.signers()...)
	lines = append(lines,
		fact("on ledger", "%s, index %d of %d", cp.Origin, r.Index, cp.Size),
		fact("admitted", "%s, by the ledger's clock", stamp(r.Entry.Admitted)),
		fact("existed by", "%s", p.existedBy()),
	)
	lines = append(lines, p.authorship()...)
	if p.document != "" {
		lines = append(lines, fact("document", "%s is the one that the record is about", p.document))
	}
	for _, o := range p.opened {
		lines = append(lines, fact("opened", "%s is %q", o.Pointer, o.Value))
	}
	if r.Published.PostQuantum() {
		lines = append(lines, fact("quantum", "post-quantum: ML-DSA signatures of the log and of a quorum"))
	}
	return lines
}

// issuer names the issuer, as a claim where nobody checked it.
func (p proven) issuer() string {
	if p.report.Authorship == client.NotChecked {
		return p.report.Statement.Issuer + ", as it says of itself"
	}
	return p.report.Statement.Issuer
}

func fact(name, format string, args ...any) string {
	return fmt.Sprintf("%-11s %s", name, fmt.Sprintf(format, args...))
}

// signers are one line a signature, and what became of its key since.
func (p proven) signers() []string {
	var lines []string
	for _, h := range p.report.Signers {
		lines = append(lines, fact("signed by", "%s", signerText(h)))
	}
	return lines
}

func signerText(h register.KeyHolder) string {
	if h.Holder == "" {
		return "key " + h.KeyID
	}
	return holderText(h)
}

// existedBy is the least time by which a quorum had cosigned, and who.
func (p proven) existedBy() string {
	pub, in := p.report.Published, ""
	switch {
	case p.earlier != nil && p.earlier.first == nil:
		return fmt.Sprintf("%s, as this trust directory learnt of a quorum's checkpoint", stamp(p.earlier.by))
	case p.earlier != nil:
		pub, in = p.earlier.first.Published, ", by "+p.earlier.file
	}
	by := pub.ExistedBy()
	if by.IsZero() {
		return "not proven: no witnesses in the policy"
	}
	k, n := pub.Policy().QuorumSize()
	return fmt.Sprintf("%s, said %s (%d of %d needed)%s", stamp(by), strings.Join(pub.Witnessed(by), ", "), k, n, in)
}

// authorship says how far it was checked that who signed had the right to.
func (p proven) authorship() []string {
	r := p.report
	switch r.Authorship {
	case client.ByReplay:
		return []string{fact("authorship", "checked: the entry was judged by the rules in a replayed copy of %s", register.Entries(r.Covers))}
	case client.ByChain:
		lines := []string{fmt.Sprintf("issuer: had the right by the records shown (%s); later revocation or suspension NOT CHECKED", rightBy(r.Chain))}
		return append(lines, p.chain()...)
	}
	switch {
	case r.Chain != nil:
		lines := []string{fmt.Sprintf("issuer NOT CHECKED: %s; docket receipt --chain fetches a whole chain", r.Chain.NotShown)}
		return append(lines, p.chain()...)
	case p.trust == nil:
		return []string{"issuer NOT CHECKED: inclusion alone is proven; --trust DIR, or a chain, tells who had the right to sign"}
	case p.trust.Covers() == 0:
		return []string{"issuer NOT CHECKED: the trust directory has no replayed copy; docket sync makes one"}
	}
	return []string{fmt.Sprintf("issuer NOT CHECKED: the trust directory covers the indexes below %d; docket sync brings it further", p.trust.Covers())}
}

// rightBy names the records that gave the right to sign; a charter at index 0 is signed
// by keys of its own.
func rightBy(c *client.ChainReport) string {
	if len(c.Shown) == 0 {
		return "its own keys"
	}
	return "index " + indexList(c.Shown)
}

// chain says by which charter a chain is proven, and what it cannot show.
func (p proven) chain() []string {
	c := p.report.Chain
	var lines []string
	if !c.Ledger.IsZero() {
		known := "; whether a later one replaced it NOT CHECKED"
		switch {
		case p.trust == nil:
		case c.Charter < c.Known:
			known = fmt.Sprintf("; the trust directory knows a newer one, charter %d", c.Known)
		case c.Charter == c.Known:
			known = ", the newest that the trust directory knows" + known
		default:
			known = ", which the trust directory does not know yet" + known
		}
		lines = append(lines, fact("charter", "under the policy of charter %d%s", c.Charter, known))
		if p.trust == nil {
			lines = append(lines, fact("ledger", "%s: compare it with the ID that the authority gives out", c.Ledger))
		}
	}
	for _, clause := range c.Unchecked {
		lines = append(lines, fact("not shown", "%s NOT CHECKED", clause))
	}
	if p.report.Authorship == client.ByChain {
		lines = append(lines, fact("not shown", "that no key was another's before it was listed here NOT CHECKED"))
	}
	return append(lines, trees(c.Trees)...)
}

// trees says how the checkpoints of a chain go together, if there are several.
func trees(t proof.Trees) (lines []string) {
	if n := len(t.Continued); n > 0 {
		lines = append(lines, fact("one log", "the checkpoint of size %d continues that of size %s", t.Newest.Size, indexList(sizes(t.Continued))))
	}
	if n := len(t.Unproven); n > 0 {
		lines = append(lines, fact("one log", "that the checkpoint of size %d continues that of size %s NOT CHECKED: the receipts do not show it", t.Newest.Size, indexList(sizes(t.Unproven))))
	}
	return lines
}

func sizes(trees []proof.Tree) (all []uint64) {
	for _, t := range trees {
		all = append(all, t.Size)
	}
	return all
}

// indexList names a few numbers, and of many the first, the last and how many.
func indexList(all []uint64) string {
	const most = 12
	var words []string
	for _, n := range all {
		words = append(words, fmt.Sprint(n))
	}
	if n := len(words); n > most {
		return fmt.Sprintf("%s … %s, %d in all", strings.Join(words[:most-2], ", "), words[n-1], n)
	}
	return strings.Join(words, ", ")
}

// line is all of it on one line.
func (p proven) line() string {
	r := p.report
	checked := "issuer NOT CHECKED"
	switch r.Authorship {
	case client.ByReplay:
		checked = "issuer " + r.Statement.Issuer
	case client.ByChain:
		checked = "issuer " + r.Statement.Issuer + ", later revocation or suspension NOT CHECKED"
	}
	return fmt.Sprintf("verified: %s on %s, index %d, %s", r.Statement.Kind, printable(r.Statement.Thread), r.Index, checked)
}

// gist is a statement in a few words.
func gist(st *record.Statement) string {
	switch p := st.Predicate.(type) {
	case *record.Charter:
		return fmt.Sprintf("%s; rules %d, %d root keys of which %d holders sign", p.Name, p.Rules, len(p.RootKeys), p.Thresholds.Root)
	case *record.Enrolment:
		return fmt.Sprintf("%s (%s)", p.LegalName, p.Country)
	case *record.Standing:
		return fmt.Sprintf("%s from %s: %s", p.Status, p.EffectiveOn, p.Reason)
	case *record.Keys:
		return fmt.Sprintf("%s added, %d revoked", count(len(p.Add), "key"), len(p.Revoke))
	case *record.Designation:
		return fmt.Sprintf("%s: %s%s%s", p.Target.Name, p.Action, dated(" from ", p.EffectiveFrom), dated(" until ", p.EffectiveUntil))
	case *record.Amendment:
		return fmt.Sprintf("%s: %s", p.Type, p.Reason)
	case *record.Suspension:
		return fmt.Sprintf("suspended from %s%s: %s", p.EffectiveOn, dated(" until ", p.Until), p.Reason)
	case *record.Reinstatement:
		return fmt.Sprintf("reinstated from %s%s: %s", p.EffectiveOn, dated(" until ", p.Until), p.Reason)
	case *record.Revocation:
		if p.Cause == "error" {
			return fmt.Sprintf("published in error; lifted from %s: %s", p.EffectiveOn, p.Reason)
		}
		return fmt.Sprintf("revoked (%s) from %s: %s", p.Cause, p.EffectiveOn, p.Reason)
	case *record.Response:
		return p.Status + dated(" by ", p.WindDownBy)
	case *record.CIPCertification:
		return fmt.Sprintf("certifies %s until %s", p.PeriodFrom, p.PeriodUntil)
	}
	return string(st.Kind)
}

func dated(word string, d *record.Date) string {
	if d == nil {
		return ""
	}
	return word + d.String()
}

// verified is what verify prints as JSON.
type verified struct {
	File        string               `json:"file"`
	Verified    bool                 `json:"verified"`
	Refused     string               `json:"refused,omitempty"`
	Record      *record.ID           `json:"record,omitempty"`
	Kind        record.Kind          `json:"kind,omitempty"`
	Thread      string               `json:"thread,omitempty"`
	Issuer      string               `json:"issuer,omitempty"`
	Says        string               `json:"says,omitempty"`
	Origin      string               `json:"origin,omitempty"`
	Index       *uint64              `json:"index,omitempty"`
	Size        uint64               `json:"size,omitempty"`
	Admitted    *time.Time           `json:"admitted,omitempty"`
	ExistedBy   *time.Time           `json:"existedBy,omitempty"` // absent: not proven
	Witnesses   []string             `json:"witnesses,omitempty"`
	ProvenBy    string               `json:"existedByFrom,omitempty"` // file of the first receipt, or "trust directory"; absent: this receipt
	Authorship  string               `json:"authorship,omitempty"`    // not-checked, by-chain, by-replay
	Covers      uint64               `json:"covers,omitempty"`
	Signers     []register.KeyHolder `json:"signers,omitempty"`
	Document    string               `json:"document,omitempty"`
	Opened      []opened             `json:"opened,omitempty"`
	PostQuantum bool                 `json:"postQuantum,omitempty"`
	Policy      string               `json:"policy,omitempty"`
	Warnings    []string             `json:"warnings,omitempty"`
	Chain       *chainFacts          `json:"chain,omitempty"`
}

// chainFacts is what verify prints as JSON of a chain. What is in notShown, unchecked and
// unproven is NOT CHECKED.
type chainFacts struct {
	Ledger    *record.ID `json:"ledger,omitempty"`    // the charter at index 0, if it is shown
	Charter   uint64     `json:"charter"`             // index of the newest one shown
	Known     uint64     `json:"charterKnown"`        // of the newest one that the trust directory knows
	Shown     []uint64   `json:"shown,omitempty"`     // indexes of the records that gave the right to sign
	Unchecked []string   `json:"unchecked"`           // rules that take a record which is not shown
	NotShown  string     `json:"notShown,omitempty"`  // why the right to sign could not be judged
	Continued []uint64   `json:"continued,omitempty"` // sizes of checkpoints that the newest one continues
	Unproven  []uint64   `json:"unproven,omitempty"`  // sizes of those of which that is not shown
}

func (p proven) chainFacts() *chainFacts {
	c := p.report.Chain
	if c == nil {
		return nil
	}
	f := &chainFacts{Charter: c.Charter, Known: c.Known, Shown: c.Shown, Unchecked: append([]string{}, c.Unchecked...), NotShown: c.NotShown, Continued: sizes(c.Trees.Continued), Unproven: sizes(c.Trees.Unproven)}
	if !c.Ledger.IsZero() {
		f.Ledger = &c.Ledger
	}
	return f
}

func (p proven) facts(file string) verified {
	r := p.report
	cp := r.Published.Checkpoint()
	v := verified{
		File: file, Verified: true, Record: &r.ID, Kind: r.Statement.Kind, Thread: r.Statement.Thread, Issuer: r.Statement.Issuer,
		Says: gist(r.Statement), Origin: cp.Origin, Index: &r.Index, Size: cp.Size, Admitted: &r.Entry.Admitted,
		Authorship: [...]string{"not-checked", "by-chain", "by-replay"}[r.Authorship], Covers: r.Covers, Signers: r.Signers,
		Document: p.document, Opened: p.opened, PostQuantum: r.Published.PostQuantum(), Policy: r.Policy.Fingerprint(), Warnings: r.Policy.Warnings(),
		Chain: p.chainFacts(),
	}
	if by := r.Published.ExistedBy(); !by.IsZero() {
		v.ExistedBy, v.Witnesses = &by, p.report.Published.Witnessed(by)
	}
	switch e := p.earlier; {
	case e != nil && e.first != nil:
		v.ExistedBy, v.Witnesses, v.ProvenBy = &e.by, e.first.Published.Witnessed(e.by), e.file
	case e != nil:
		v.ExistedBy, v.Witnesses, v.ProvenBy = &e.by, nil, "trust directory"
	}
	return v
}
