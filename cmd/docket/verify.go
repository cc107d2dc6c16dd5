package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

func (a *app) verify() *cobra.Command {
	v := verifyCmd{app: a}
	c := &cobra.Command{
		Use:   "verify RECEIPT…",
		Short: "Check receipts and refusals offline, and say what they prove and what not",
		Long: `Checks receipts, or chains, without asking anybody: that the entry is in the tree
that it claims, that the log signed that tree and the witnesses' quorum cosigned it.
It prints what is proven, by whom and when, and what is not.

Inclusion is not authorship. Who had the right to sign is checked in whole only with a
trust directory whose copy covers the entry. A chain is judged by the records that it
shows, root keys first: what they contradict is refused, whoever published it, and what
would take a record that is not shown, a later revocation above all, is printed as NOT
CHECKED. Of a single receipt with --policy only inclusion is checked.

--charter ID takes a chain and nothing else: its charters, from the one with that ID
on, say under which policies it is proven, whatever was rotated since.

A receipt of another history than the trust directory's is refused, whoever cosigned
it, and what proves the fork is kept in the trust directory.

A receipt's first version, which docket receipt --refresh keeps beside it as
NAME.first.tlog-proof, and the times that the trust directory has learnt may prove an
earlier time than the receipt itself: the earliest is printed, and by what it is proven.

--document compares a document with the digest that the record is about. --salts opens
each commitment that it has a salt for, and refuses if one of them is not the record's.

--auditor VKEY wants the checkpoint to be cosigned by that auditor too, who says by it that
it replayed and judged every entry below (docket audit --cosign); repeated, by each.
docket receipt --refresh --auditor VKEY fetches such a receipt.

A refusal that the ledger signed (docket submit keeps it as NAME.refusal) is verified by
the refusals key of the charter in force at its size, and the envelope beside it is
judged again, by the rules, the register and the signatures of then, which takes a trust
directory and its copy. If the ledger has refused what the rules admit, the exit status
is 1, and the refusal is your proof.

Several receipts get one line each, and the exit status is 1 if any fails.`,
		Example: `  docket verify --trust trust response.tlog-proof
  docket verify --policy policy.txt cip-2026.tlog-proof
  docket verify --charter 6f1c…9e answer.chain.tlog-proof
  docket verify --trust trust --document order-2026-014.pdf order.tlog-proof
  docket verify --trust trust --auditor vigil.pub order.tlog-proof
  docket verify --trust trust order.refusal
  docket verify --trust trust receipts/*.tlog-proof`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeFiles("tlog-proof", "refusal"),
		RunE:              func(c *cobra.Command, args []string) error { return v.run(c.Context(), args) },
	}
	v.trust = a.trustFlags(c).withPolicyFlag(c)
	c.Flags().StringVar(&v.charter, "charter", "", "the ledger's charter by its record ID (or its envelope or receipt): all that a chain needs")
	c.Flags().StringArrayVar(&v.auditors, "auditor", nil, "an auditor's vkey, or a file with it: it must have cosigned the checkpoint; may be repeated")
	c.Flags().StringVar(&v.document, "document", "", "the document that the record is about")
	c.Flags().StringVar(&v.salts, "salts", "", "NAME"+saltsSuffix+": opens what the record commits to, its document included")
	c.Flags().StringVar(&v.envelope, "envelope", "", "the envelope that a refusal is about, where it is not NAME"+envelopeSuffix+" beside it")
	c.Flags().BoolVar(&v.asJSON, "json", false, "print one JSON object a receipt, or refusal")
	return c
}

// verifyCmd is one run of docket verify.
type verifyCmd struct {
	app             *app
	trust           *trustFlags
	charter         string
	document, salts string
	auditors        []string
	judges          []proof.Key       // those whom --auditor names
	judged          []client.Judged   // what they say of the checkpoint
	assessed        []view.AuditorKey // those whom assessments in the copy name
	envelope        string            // that a refusal is about; "" if it lies beside
	pointer         string            // of the one commitment to open; empty for all
	openings        []record.Opening  // the salts that opened something
	asJSON          bool
}

func (v *verifyCmd) run(ctx context.Context, files []string) error {
	if (v.document != "" || v.salts != "") && len(files) > 1 {
		return usageError("--document and --salts go with one receipt, not %d", len(files))
	}
	if v.envelope != "" && len(files) > 1 {
		return usageError("--envelope goes with one refusal, not with %d files", len(files))
	}
	judges, err := v.app.auditorKeys(v.auditors)
	if err != nil {
		return err
	}
	v.judges = judges
	policies, trust, err := v.policies()
	if err != nil {
		return err
	}
	if trust != nil {
		defer trust.Close()
	}
	if v.assessed, err = assessedAuditors(ctx, trust); err != nil {
		v.app.logf("docket: warning: which auditors the copy's assessments name is not known: %v", err)
	}
	bad, next := 0, ""
	for _, file := range files {
		raw, err := v.app.readFile(file)
		if err == nil && record.IsRefusalNote(raw) {
			if len(v.auditors) > 0 {
				return usageError("--auditor goes with receipts; %s is a refusal", file)
			}
			ok, err := v.checkRefusal(file, raw, trust, len(files) > 1)
			if err != nil {
				return err
			}
			if !ok {
				bad++
			}
			continue
		}
		if v.envelope != "" {
			return usageError("--envelope goes with a refusal; %s is none", file)
		}
		var r *client.VerifyReport
		if err == nil {
			r, err = v.verifyFile(ctx, file, raw, policies)
		}
		err = v.app.saveEvidence(trust, err)
		status, hint := exitStatusOf(err)
		damage := (*client.DamageError)(nil)
		if err != nil && (len(files) == 1 || status != exitRefused || errors.As(err, &damage)) {
			return v.refusedError(file, err)
		}
		if err != nil {
			bad, next = bad+1, cmp.Or(hint, next)
		}
		var earlier *earlierTime
		if err == nil {
			earlier, err = v.findEarlier(ctx, file, r, policies, trust)
			if err = v.app.saveEvidence(trust, err); err != nil {
				return v.refusedError(firstReceiptPath(file), err)
			}
		}
		if err := v.printResult(file, r, earlier, err, trust, len(files) > 1); err != nil {
			return err
		}
	}
	if len(files) == 1 {
		return nil
	}
	v.app.logf("%d of %d verified", len(files)-bad, len(files))
	if bad > 0 {
		return refusal("%d of %d refused", bad, len(files)).hint("%s", next)
	}
	return nil
}

// policies says whom to believe: --charter, or else as every verb does.
func (v *verifyCmd) policies() (client.Policies, *client.Trust, error) {
	if v.charter == "" {
		return v.trust.policies()
	}
	if v.trust.policy != "" || v.trust.given("trust") {
		return nil, nil, usageError("--charter stands alone").hint("a trust directory pins a charter already; a policy is what --charter takes from the chain")
	}
	id, err := v.app.charterID(v.charter)
	return client.PinnedCharter{ID: id}, nil, err
}

// refusedError words the failure of a single file.
func (v *verifyCmd) refusedError(file string, err error) error {
	status, next := exitStatusOf(err)
	if damage := (*client.DamageError)(nil); status != exitRefused || errors.As(err, &damage) {
		return err // which refuses nothing
	}
	var short *proof.QuorumError
	if errors.As(err, &short) {
		next = "what a quorum did not cosign is not accepted: if others have taken the witnesses' place, docket sync learns of it; docket receipt --refresh asks for a newer receipt"
	}
	if v.asJSON {
		if err := v.app.printJSON(verifyJSON{File: file, Refused: err.Error()}); err != nil {
			return err
		}
	}
	return refusal("%s: refused: %w", file, err).hint("%s", next)
}

// verifyFile verifies one file.
func (v *verifyCmd) verifyFile(ctx context.Context, file string, raw []byte, policies client.Policies) (*client.VerifyReport, error) {
	if !isReceipt(raw) {
		return nil, wrongFileError(file, raw, "a receipt ("+receiptSuffix+") or a refusal ("+refusalSuffix+")", nil)
	}
	r, err := client.Verify(ctx, raw, policies, time.Now())
	if err == nil {
		v.judged, err = requireAuditors(r.Published, v.judges)
	}
	if err == nil && v.salts != "" {
		err = v.openCommitments(r.Statement)
	}
	if err == nil && v.document != "" {
		err = v.checkDocument(r)
	}
	return r, err
}

func isReceipt(raw []byte) bool { return bytes.HasPrefix(raw, []byte("c2sp.org/tlog-proof@")) }

// earlierTime is an earlier time by which the record existed than its receipt proves, and who
// says so: the first receipt that is kept beside, or else the trust directory.
type earlierTime struct {
	by    time.Time
	file  string               // of the first receipt; empty if the trust directory says so
	first *client.VerifyReport // what that proves; nil likewise
}

// findEarlier looks for one. A first receipt that does not verify proves nothing, which is
// said; one of another history is evidence.
func (v *verifyCmd) findEarlier(ctx context.Context, file string, r *client.VerifyReport, policies client.Policies, trust *client.Trust) (*earlierTime, error) {
	best := earlierTime{by: r.Published.ExistedBy()}
	sooner := func(by time.Time) bool { return !by.IsZero() && (best.by.IsZero() || by.Before(best.by)) }
	name := firstReceiptPath(file)
	raw, err := os.ReadFile(name)
	if err == nil && strings.HasSuffix(file, receiptSuffix) {
		first, err := client.Verify(ctx, raw, policies, time.Now())
		var fork *client.InconsistencyError
		switch {
		case errors.As(err, &fork):
			return nil, err
		case err != nil:
			v.app.logf("docket: warning: %s, which is kept beside, does not verify here: %v", name, err)
		case first.ID != r.ID || first.Index != r.Index:
			v.app.logf("docket: warning: %s, which is kept beside, is of another record", name)
		case sooner(first.Published.ExistedBy()):
			best = earlierTime{by: first.Published.ExistedBy(), file: name, first: first}
		}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if trust != nil {
		by, err := trust.ExistedBy(r.Index)
		if err != nil {
			return nil, err
		}
		if sooner(by) {
			best = earlierTime{by: by}
		}
	}
	if best.by.Equal(r.Published.ExistedBy()) {
		return nil, nil
	}
	return &best, nil
}

// openedCommitment is a commitment that --salts opens.
type openedCommitment struct {
	Pointer string `json:"pointer"`
	Value   string `json:"value"`
}

// opened are the commitments that the salts have opened.
func (v *verifyCmd) opened() (all []openedCommitment) {
	for _, s := range v.openings {
		all = append(all, openedCommitment{s.Pointer, s.Value})
	}
	return all
}

// openCommitments opens every commitment that there is a salt for, or the one that was asked
// for. A salt that opens none refuses the file: it is of another record, or was changed.
func (v *verifyCmd) openCommitments(st *record.Statement) error {
	raw, err := v.app.readFile(v.salts)
	if err != nil {
		return err
	}
	var salts []record.Opening
	if err := json.Unmarshal(raw, &salts); err != nil || len(salts) == 0 {
		return wrongFileError(v.salts, raw, "the salts of a record (NAME"+saltsSuffix+")", cmp.Or(err, errors.New("it holds none")))
	}
	for _, s := range salts {
		if v.pointer != "" && v.pointer != s.Pointer {
			continue
		}
		c, ok := st.Commitment(s.Pointer)
		if !ok {
			return refusal("%s: the record commits to nothing at %s", v.salts, s.Pointer).hint("it may be of another record")
		}
		if err := c.Verify(st.Ledger, st.Thread, s); err != nil {
			return refusal("%s: %w", v.salts, err).hint("it may be of another record")
		}
		v.openings = append(v.openings, s)
	}
	if v.openings == nil {
		return refusal("%s has no salt for %s: it opens %s", v.salts, v.pointer, joinPointers(salts))
	}
	return nil
}

// checkDocument compares the document with the record's subject: its digest, or the
// commitment to it, which the salts have opened.
func (v *verifyCmd) checkDocument(r *client.VerifyReport) error {
	data, err := v.app.readFile(v.document)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(data)
	if digest == r.Statement.Subject.SHA256 || slices.Contains(v.opened(), openedCommitment{subjectPointer, hex.EncodeToString(digest[:])}) {
		return nil
	}
	if v.salts == "" {
		return fmt.Errorf("%s is not the document: its SHA-256 is %x, the record is about %x (if it only commits to its document: --salts NAME%s)", v.document, digest, r.Statement.Subject.SHA256, saltsSuffix)
	}
	return fmt.Errorf("%s is not the document: %s has no salt for its SHA-256, %x", v.document, v.salts, digest)
}

// printResult prints one result: a line where there are several, else all of it.
func (v *verifyCmd) printResult(file string, r *client.VerifyReport, earlier *earlierTime, err error, trust *client.Trust, brief bool) error {
	switch {
	case err != nil && v.asJSON:
		return v.app.printJSON(verifyJSON{File: file, Refused: err.Error()})
	case err != nil:
		v.app.printf("%s: refused: %v\n", file, err)
		return nil
	}
	if v.charter != "" && !brief {
		v.app.logf("policy %s: quorum %s; a fork needs %s", r.Policy.Fingerprint(), quorumText(r.Policy), forkText(r.Policy))
	}
	v.app.warnPolicy(r.Policy) // it may be that of an older charter
	p := verifyOutput{report: r, trust: trust, document: v.document, earlier: earlier, opened: v.opened(), judged: v.judged, assessed: v.assessed}
	switch {
	case v.asJSON:
		return v.app.printJSON(p.toJSON(file))
	case brief:
		v.app.printf("%s: %s\n", file, p.summaryLine())
	default:
		v.app.printf("%s: verified offline\n", file)
		for _, l := range p.factLines() {
			v.app.printf("  %s\n", printable(l))
		}
	}
	return nil
}

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

func withDate(word string, d *record.Date) string {
	if d == nil {
		return ""
	}
	return word + d.String()
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
