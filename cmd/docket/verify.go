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
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

func (a *app) verify() *cobra.Command {
	v := verifyCmd{app: a}
	c := &cobra.Command{
		Use:   "verify RECEIPT…",
		Short: "Check receipts, answers and refusals offline, and say what they prove and what not",
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
the refusals key of the charter in force at its size, and the envelope beside it
(NAME.dsse.json, or NAME.refused.dsse.json) is judged again, by the rules, the register
and the signatures of then, which takes a trust directory and its copy. If the ledger has refused what the rules admit, the exit status
is 1, and the refusal is your proof.

An answer (docket show --prove) is judged by the records in the file: each is verified, the
answer is computed anew from them and printed, and one that the file states otherwise is
refused. That no other record changes it takes a replayed copy (--trust), else it is
printed as NOT CHECKED.

Several receipts get one line each, and the exit status is 1 if any fails.`,
		Example: `  docket verify --trust trust response.tlog-proof
  docket verify --policy policy.txt cip-2026.tlog-proof
  docket verify --charter 6f1c…9e response.chain.tlog-proof
  docket verify --charter 6f1c…9e 2026-014.answer
  docket verify --trust trust --document order-2026-014.pdf order.tlog-proof
  docket verify --trust trust --auditor vigil.pub order.tlog-proof
  docket verify --trust trust order.refusal
  docket verify --trust trust receipts/*.tlog-proof`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeFiles("tlog-proof", "refusal", "answer"),
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
		var answer *answerOutput
		switch {
		case err != nil:
		case client.IsAnswer(raw) && (v.document != "" || v.salts != ""):
			return usageError("--document and --salts go with a receipt; %s is an answer", file)
		case client.IsAnswer(raw):
			answer, err = v.verifyAnswer(ctx, file, raw, policies, trust)
		default:
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
		if answer != nil && err == nil {
			if err := answer.print(v, trust, len(files) > 1); err != nil {
				return err
			}
			continue
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
		return nil, wrongFileError(file, raw, "a receipt ("+receiptSuffix+"), a refusal ("+refusalSuffix+") or an answer ("+client.AnswerSuffix+")", nil)
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
