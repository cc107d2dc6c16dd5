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
)

func (a *app) verify() *cobra.Command {
	v := verifying{app: a}
	c := &cobra.Command{
		Use:   "verify RECEIPT…",
		Short: "Check receipts offline, and say what they prove and what not",
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

Several receipts get one line each, and the exit status is 1 if any fails.`,
		Example: `  docket verify --trust trust response.tlog-proof
  docket verify --policy policy.txt cip-2026.tlog-proof
  docket verify --charter 6f1c…9e answer.chain.tlog-proof
  docket verify --trust trust --document order-2026-014.pdf order.tlog-proof
  docket verify --trust trust receipts/*.tlog-proof`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeFiles("tlog-proof"),
		RunE:              func(c *cobra.Command, args []string) error { return v.run(c.Context(), args) },
	}
	v.trust = a.trusting(c).orPolicy(c)
	c.Flags().StringVar(&v.charter, "charter", "", "the ledger's charter by its record ID (or its envelope or receipt): all that a chain needs")
	c.Flags().StringVar(&v.document, "document", "", "the document that the record is about")
	c.Flags().StringVar(&v.salts, "salts", "", "NAME"+saltsSuffix+": opens what the record commits to, its document included")
	c.Flags().BoolVar(&v.asJSON, "json", false, "print one JSON object a receipt")
	return c
}

// verifying is one run of docket verify.
type verifying struct {
	app             *app
	trust           *trusting
	charter         string
	document, salts string
	opened          []opened // by the salts
	asJSON          bool
}

func (v *verifying) run(ctx context.Context, files []string) error {
	if (v.document != "" || v.salts != "") && len(files) > 1 {
		return misuse("--document and --salts go with one receipt, not %d", len(files))
	}
	policies, trust, err := v.policies()
	if err != nil {
		return err
	}
	if trust != nil {
		defer trust.Close()
	}
	bad, next := 0, ""
	for _, file := range files {
		r, err := v.one(ctx, file, policies)
		err = v.app.keepEvidence(trust, err)
		status, hint := statusOf(err)
		damage := (*client.DamageError)(nil)
		if err != nil && (len(files) == 1 || status != statusRefused || errors.As(err, &damage)) {
			return v.refused(file, err)
		}
		if err != nil {
			bad, next = bad+1, cmp.Or(hint, next)
		}
		var earlier *earliest
		if err == nil {
			earlier, err = v.earlier(ctx, file, r, policies, trust)
			if err = v.app.keepEvidence(trust, err); err != nil {
				return v.refused(firstOf(file), err)
			}
		}
		if err := v.print(file, r, earlier, err, trust, len(files) > 1); err != nil {
			return err
		}
	}
	if len(files) == 1 {
		return nil
	}
	v.app.say("%d of %d verified", len(files)-bad, len(files))
	if bad > 0 {
		return refuse("%d of %d refused", bad, len(files)).hint("%s", next)
	}
	return nil
}

// policies says whom to believe: --charter, or else as every verb does.
func (v *verifying) policies() (client.Policies, *client.Trust, error) {
	if v.charter == "" {
		return v.trust.policies()
	}
	if v.trust.policy != "" || v.trust.given("trust") {
		return nil, nil, misuse("--charter stands alone").hint("a trust directory pins a charter already; a policy is what --charter takes from the chain")
	}
	id, err := v.app.charterID(v.charter)
	return client.Pinned{Charter: id}, nil, err
}

// refused words the failure of a single file.
func (v *verifying) refused(file string, err error) error {
	status, next := statusOf(err)
	if damage := (*client.DamageError)(nil); status != statusRefused || errors.As(err, &damage) {
		return err // which refuses nothing
	}
	var short *proof.QuorumError
	if errors.As(err, &short) {
		next = "what a quorum did not cosign is not accepted: if others have taken the witnesses' place, docket sync learns of it; docket receipt --refresh asks for a newer receipt"
	}
	if v.asJSON {
		if err := v.app.printJSON(verified{File: file, Refused: err.Error()}); err != nil {
			return err
		}
	}
	return refuse("%s: refused: %w", file, err).hint("%s", next)
}

// one verifies one file.
func (v *verifying) one(ctx context.Context, file string, policies client.Policies) (*client.Report, error) {
	raw, err := v.app.readFile(file)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(raw, []byte("c2sp.org/tlog-proof@")) {
		return nil, wrongFile(file, raw, "a receipt ("+receiptSuffix+")", nil)
	}
	r, err := client.Verify(ctx, raw, policies, time.Now())
	if err == nil && v.salts != "" {
		v.opened, err = v.open(r)
	}
	if err == nil && v.document != "" {
		err = v.checkDocument(r, v.opened)
	}
	return r, err
}

// earliest is an earlier time by which the record existed than its receipt proves, and who
// says so: the first receipt that is kept beside, or else the trust directory.
type earliest struct {
	by    time.Time
	file  string         // of the first receipt; empty if the trust directory says so
	first *client.Report // what that proves; nil likewise
}

// earlier looks for one. A first receipt that does not verify proves nothing, which is
// said; one of another history is evidence.
func (v *verifying) earlier(ctx context.Context, file string, r *client.Report, policies client.Policies, trust *client.Trust) (*earliest, error) {
	best := earliest{by: r.Published.ExistedBy()}
	sooner := func(by time.Time) bool { return !by.IsZero() && (best.by.IsZero() || by.Before(best.by)) }
	name := firstOf(file)
	raw, err := os.ReadFile(name)
	if err == nil && strings.HasSuffix(file, receiptSuffix) {
		first, err := client.Verify(ctx, raw, policies, time.Now())
		var fork *client.ForkError
		switch {
		case errors.As(err, &fork):
			return nil, err
		case err != nil:
			v.app.say("docket: warning: %s, which is kept beside, does not verify here: %v", name, err)
		case first.ID != r.ID || first.Index != r.Index:
			v.app.say("docket: warning: %s, which is kept beside, is of another record", name)
		case sooner(first.Published.ExistedBy()):
			best = earliest{by: first.Published.ExistedBy(), file: name, first: first}
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
			best = earliest{by: by}
		}
	}
	if best.by.Equal(r.Published.ExistedBy()) {
		return nil, nil
	}
	return &best, nil
}

// opened is a commitment that --salts opens.
type opened struct {
	Pointer string `json:"pointer"`
	Value   string `json:"value"`
}

// open opens every commitment that there is a salt for. A salt that opens none refuses
// the file: it is of another record, or was changed.
func (v *verifying) open(r *client.Report) (all []opened, err error) {
	raw, err := v.app.readFile(v.salts)
	if err != nil {
		return nil, err
	}
	var salts []record.Salt
	if err := json.Unmarshal(raw, &salts); err != nil || len(salts) == 0 {
		return nil, wrongFile(v.salts, raw, "the salts of a record (NAME"+saltsSuffix+")", cmp.Or(err, errors.New("it holds none")))
	}
	for _, s := range salts {
		c, ok := r.Statement.Commitment(s.Pointer)
		if !ok {
			return nil, refuse("%s: the record commits to nothing at %s", v.salts, s.Pointer).hint("it may be of another record")
		}
		if err := c.Open(r.Statement.Ledger, r.Statement.Thread, s); err != nil {
			return nil, refuse("%s: %w", v.salts, err).hint("it may be of another record")
		}
		all = append(all, opened{s.Pointer, s.Value})
	}
	return all, nil
}

// checkDocument compares the document with the record's subject: its digest, or the
// commitment to it, which the salts have opened.
func (v *verifying) checkDocument(r *client.Report, salts []opened) error {
	data, err := v.app.readFile(v.document)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(data)
	if digest == r.Statement.Subject.SHA256 || slices.Contains(salts, opened{"/subject", hex.EncodeToString(digest[:])}) {
		return nil
	}
	if v.salts == "" {
		return fmt.Errorf("%s is not the document: its SHA-256 is %x, the record is about %x (if it only commits to its document: --salts NAME%s)", v.document, digest, r.Statement.Subject.SHA256, saltsSuffix)
	}
	return fmt.Errorf("%s is not the document: %s has no salt for its SHA-256, %x", v.document, v.salts, digest)
}

// print prints one result: a line where there are several, else all of it.
func (v *verifying) print(file string, r *client.Report, earlier *earliest, err error, trust *client.Trust, brief bool) error {
	switch {
	case err != nil && v.asJSON:
		return v.app.printJSON(verified{File: file, Refused: err.Error()})
	case err != nil:
		v.app.printf("%s: refused: %v\n", file, err)
		return nil
	}
	if v.charter != "" && !brief {
		v.app.say("policy %s: quorum %s; a fork needs %s", r.Policy.Fingerprint(), quorumText(r.Policy), forkText(r.Policy))
	}
	v.app.warn(r.Policy) // it may be that of an older charter
	p := proven{report: r, trust: trust, document: v.document, earlier: earlier, opened: v.opened}
	switch {
	case v.asJSON:
		return v.app.printJSON(p.facts(file))
	case brief:
		v.app.printf("%s: %s\n", file, p.line())
	default:
		v.app.printf("%s: verified offline\n", file)
		for _, l := range p.lines() {
			v.app.printf("  %s\n", printable(l))
		}
	}
	return nil
}
