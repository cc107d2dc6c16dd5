package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// verifyOutput words what a verified receipt proves, and what it does not.
type verifyOutput struct {
	report   *client.VerifyReport
	trust    *client.Trust      // nil with a policy alone
	document string             // compared and equal; "" if none was given
	opened   []openedCommitment // commitments that --salts has opened
	judged   []client.Judged    // by the auditors that were asked for
	assessed []view.AuditorKey  // those whom assessments in the copy name
	earlier  *earlierTime       // a time before that of the receipt; nil if none is proven
}

// factLines are all of it, a fact each.
func (p verifyOutput) factLines() []string {
	r := p.report
	st := r.Statement
	cp := r.Published.Checkpoint()
	lines := []string{
		factLine("record", "%s on %s", st.Kind, st.Thread),
		factLine("record ID", "%s", r.ID),
		factLine("says", "%s", view.Summary(st)),
		factLine("issuer", "%s", p.issuerText()),
	}
	lines = append(lines, p.signerLines()...)
	lines = append(lines,
		factLine("on ledger", "%s, index %d of %d", cp.Origin, r.Index, cp.Size),
		factLine("admitted", "%s, by the ledger's clock", formatTime(r.Entry.Admitted)),
		factLine("existed by", "%s", p.existedByText()),
	)
	lines = append(lines, p.authorshipLines()...)
	for _, j := range p.judged {
		lines = append(lines, factLine("judged", "every entry below %d was replayed and judged, said %s at %s", cp.Size, j.Key.Name(), formatTime(j.At)))
	}
	lines = append(lines, p.assessedLines()...)
	if p.document != "" {
		lines = append(lines, factLine("document", "%s is the one that the record is about", p.document))
	}
	for _, o := range p.opened {
		lines = append(lines, factLine("opened", "%s is %q", o.Pointer, o.Value))
	}
	if r.Published.PostQuantum() {
		lines = append(lines, factLine("quantum", "post-quantum: ML-DSA signatures of the log and of a quorum"))
	}
	return lines
}

// issuerText is the issuer, marked as a claim if authorship was not checked.
func (p verifyOutput) issuerText() string {
	if p.report.Authorship == client.AuthorshipNotChecked {
		return p.report.Statement.Issuer + ", as it says of itself"
	}
	return p.report.Statement.Issuer
}

func factLine(name, format string, args ...any) string {
	return fmt.Sprintf("%-11s %s", name, fmt.Sprintf(format, args...))
}

// signerLines are one line a signature, and what became of its key since.
func (p verifyOutput) signerLines() []string {
	var lines []string
	for _, h := range p.report.Signers {
		lines = append(lines, factLine("signed by", "%s", signerText(h)))
	}
	return lines
}

func signerText(h register.KeyHolder) string {
	if h.Holder == "" {
		return "key " + h.KeyID
	}
	return keyHolderText(h)
}

// existedByText is the least time by which a quorum had cosigned, and who.
func (p verifyOutput) existedByText() string {
	pub, in := p.report.Published, ""
	switch {
	case p.earlier != nil && p.earlier.first == nil:
		return fmt.Sprintf("%s, as this trust directory learnt of a quorum's checkpoint", formatTime(p.earlier.by))
	case p.earlier != nil:
		pub, in = p.earlier.first.Published, ", by "+p.earlier.file
	}
	by := pub.ExistedBy()
	if by.IsZero() {
		return "not proven: no witnesses in the policy"
	}
	k, n := pub.Policy().QuorumSize()
	return fmt.Sprintf("%s, said %s (%d of %d needed)%s", formatTime(by), strings.Join(pub.SatisfiedMembers(by), ", "), k, n, in)
}

// authorshipLines says how far it was checked that who signed had the right to.
func (p verifyOutput) authorshipLines() []string {
	r := p.report
	switch r.Authorship {
	case client.AuthorshipByReplay:
		return []string{factLine("authorship", "checked: the entry was judged by the rules in a replayed copy of %s", register.FormatEntryCount(r.CoveredSize))}
	case client.AuthorshipByChain:
		lines := []string{fmt.Sprintf("issuer: had the right by the records shown (%s); later revocation or suspension NOT CHECKED", signingRecordsText(r.Chain))}
		return append(lines, p.chainLines()...)
	}
	switch {
	case r.Chain != nil:
		lines := []string{fmt.Sprintf("issuer NOT CHECKED: %s; docket receipt --chain fetches a whole chain", r.Chain.NotShown)}
		return append(lines, p.chainLines()...)
	case p.trust == nil:
		return []string{"issuer NOT CHECKED: inclusion alone is proven; --trust DIR, or a chain, tells who had the right to sign"}
	}
	var damage *client.DamageError
	switch _, err := p.trust.Register(); {
	case errors.As(err, &damage):
		first, _, _ := strings.Cut(damage.Error(), "\n")
		return []string{"issuer NOT CHECKED: " + first}
	case p.trust.CoveredSize() == 0:
		return []string{"issuer NOT CHECKED: the trust directory has no replayed copy; docket sync makes one"}
	}
	if withheld := p.trust.Withheld(); withheld != nil {
		return []string{fmt.Sprintf("issuer NOT CHECKED from index %d on, since entry %[1]d is withheld by %s: %s (docket sync --with URL-or-DIR completes the copy)", withheld.Index, withheld.URL, withheld.Reason)}
	}
	return []string{fmt.Sprintf("issuer NOT CHECKED: the trust directory covers the indexes below %d; docket sync brings it further", p.trust.CoveredSize())}
}

// signingRecordsText names the records that gave the right to sign; a charter at index 0 is signed
// by keys of its own.
func signingRecordsText(c *client.ChainReport) string {
	if len(c.Shown) == 0 {
		return "its own keys"
	}
	return "index " + abbreviateNumbers(c.Shown)
}

// chainLines says by which charter a chain is proven, and what it cannot show.
func (p verifyOutput) chainLines() []string {
	c := p.report.Chain
	var lines []string
	if !c.Ledger.IsZero() {
		known := "; whether a later one replaced it NOT CHECKED"
		switch {
		case p.trust == nil:
		case c.NewestCharter < c.KnownCharter:
			known = fmt.Sprintf("; the trust directory knows a newer one, charter %d", c.KnownCharter)
		case c.NewestCharter == c.KnownCharter:
			known = ", the newest that the trust directory knows" + known
		default:
			known = ", which the trust directory does not know yet" + known
		}
		lines = append(lines, factLine("charter", "under the policy of charter %d%s", c.NewestCharter, known))
		if p.trust == nil {
			lines = append(lines, factLine("ledger", "%s: compare it with the ID that the authority gives out", c.Ledger))
		}
	}
	for _, clause := range c.Unchecked {
		lines = append(lines, factLine("not shown", "%s NOT CHECKED", clause))
	}
	if p.report.Authorship == client.AuthorshipByChain {
		lines = append(lines, factLine("not shown", "that no key was another's before it was listed here NOT CHECKED"))
	}
	return append(lines, treeLines(c.Trees)...)
}

// treeLines says how the checkpoints of a chain go together, if there are several.
func treeLines(t proof.TreeComparison) (lines []string) {
	if n := len(t.Extended); n > 0 {
		lines = append(lines, factLine("one log", "the checkpoint of size %d continues that of size %s", t.Newest.Size, abbreviateNumbers(treeSizes(t.Extended))))
	}
	if n := len(t.Unproven); n > 0 {
		lines = append(lines, factLine("one log", "that the checkpoint of size %d continues that of size %s NOT CHECKED: the receipts do not show it", t.Newest.Size, abbreviateNumbers(treeSizes(t.Unproven))))
	}
	return lines
}

func treeSizes(trees []proof.Tree) (all []uint64) {
	for _, t := range trees {
		all = append(all, t.Size)
	}
	return all
}

// abbreviateNumbers names a few numbers, and of many the first, the last and how many.
func abbreviateNumbers(all []uint64) string {
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

// summaryLine is all of it on one line.
func (p verifyOutput) summaryLine() string {
	r := p.report
	checked := "issuer NOT CHECKED"
	switch r.Authorship {
	case client.AuthorshipByReplay:
		checked = "issuer " + r.Statement.Issuer
	case client.AuthorshipByChain:
		checked = fmt.Sprintf("issuer %s of ledger %s, later revocation or suspension NOT CHECKED", r.Statement.Issuer, r.Chain.Ledger)
	}
	for _, j := range p.judged {
		checked += ", all below judged by " + j.Key.Name()
	}
	return fmt.Sprintf("verified: %s on %s, index %d, %s", r.Statement.Kind, printable(string(r.Statement.Thread)), r.Index, checked)
}

// verifyJSON is what verify prints as JSON.
type verifyJSON struct {
	File        string               `json:"file"`
	Verified    bool                 `json:"verified"`
	Refused     string               `json:"refused,omitempty"`
	Record      *record.ID           `json:"record,omitempty"`
	Kind        record.Kind          `json:"kind,omitempty"`
	Thread      record.Thread        `json:"thread,omitempty"`
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
	Opened      []openedCommitment   `json:"opened,omitempty"`
	PostQuantum bool                 `json:"postQuantum,omitempty"`
	Judged      []judgedJSON         `json:"judged,omitempty"` // by the auditors that were asked for
	Policy      string               `json:"policy,omitempty"`
	Warnings    []string             `json:"warnings,omitempty"`
	Chain       *chainJSON           `json:"chain,omitempty"`
}

// judgedJSON is an auditor's word that every entry below the receipt's size was judged.
type judgedJSON struct {
	Auditor string    `json:"auditor"` // vkey
	At      time.Time `json:"at"`
}

// chainJSON is what verify prints as JSON of a chain. What is in printCut, unchecked and
// unproven is NOT CHECKED.
type chainJSON struct {
	Ledger    *record.ID `json:"ledger,omitempty"`    // the charter at index 0, if it is shown
	Charter   uint64     `json:"charter"`             // index of the newest one shown
	Known     uint64     `json:"charterKnown"`        // of the newest one that the trust directory knows
	Shown     []uint64   `json:"shown,omitempty"`     // indexes of the records that gave the right to sign
	Unchecked []string   `json:"unchecked"`           // rules that take a record which is not shown
	NotShown  string     `json:"notShown,omitempty"`  // why the right to sign could not be judged
	Continued []uint64   `json:"continued,omitempty"` // sizes of checkpoints that the newest one continues
	Unproven  []uint64   `json:"unproven,omitempty"`  // sizes of those of which that is not shown
}

func (p verifyOutput) chainToJSON() *chainJSON {
	c := p.report.Chain
	if c == nil {
		return nil
	}
	f := &chainJSON{Charter: c.NewestCharter, Known: c.KnownCharter, Shown: c.Shown, Unchecked: append([]string{}, c.Unchecked...), NotShown: c.NotShown, Continued: treeSizes(c.Trees.Extended), Unproven: treeSizes(c.Trees.Unproven)}
	if !c.Ledger.IsZero() {
		f.Ledger = &c.Ledger
	}
	return f
}

func (p verifyOutput) toJSON(file string) verifyJSON {
	r := p.report
	cp := r.Published.Checkpoint()
	v := verifyJSON{
		File: file, Verified: true, Record: &r.ID, Kind: r.Statement.Kind, Thread: r.Statement.Thread, Issuer: r.Statement.Issuer,
		Says: view.Summary(r.Statement), Origin: cp.Origin, Index: &r.Index, Size: cp.Size, Admitted: &r.Entry.Admitted,
		Authorship: [...]string{"not-checked", "by-chain", "by-replay"}[r.Authorship], Covers: r.CoveredSize, Signers: r.Signers,
		Document: p.document, Opened: p.opened, PostQuantum: r.Published.PostQuantum(), Policy: r.Policy.Fingerprint(), Warnings: r.Policy.Warnings(),
		Chain: p.chainToJSON(),
	}
	for _, j := range p.judged {
		v.Judged = append(v.Judged, judgedJSON{j.Key.String(), j.At})
	}
	if by := r.Published.ExistedBy(); !by.IsZero() {
		v.ExistedBy, v.Witnesses = &by, p.report.Published.SatisfiedMembers(by)
	}
	switch e := p.earlier; {
	case e != nil && e.first != nil:
		v.ExistedBy, v.Witnesses, v.ProvenBy = &e.by, e.first.Published.SatisfiedMembers(e.by), e.file
	case e != nil:
		v.ExistedBy, v.Witnesses, v.ProvenBy = &e.by, nil, "trust directory"
	}
	return v
}
