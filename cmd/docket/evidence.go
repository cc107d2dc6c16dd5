package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/witnessnode"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness/gossip"
)

func (a *app) witnessEvidence() *cobra.Command {
	c := &cobra.Command{
		Use:   "evidence",
		Short: "Look at, verify and decide about evidence of a split view",
		Long: `Evidence is one file that proves, to anyone and offline, that a log signed two
histories. A witness that holds some cosigns nothing more of that log until a person
has acknowledged it.`,
	}
	c.AddCommand(a.evidenceList(), a.evidenceShow(), a.evidenceAcknowledge(), a.evidenceVerify())
	return c
}

// evidenceStore opens the evidence of a witness, which may be serving.
func (a *app) evidenceStore(dir string) (*gossip.EvidenceStore, error) {
	if _, err := vfs.Default.Stat(dir); err != nil {
		return nil, usageError("%s: no such witness directory", dir)
	}
	// Of any other directory "no evidence" would be true, and mislead.
	if !witnessnode.Exists(dir) {
		return nil, usageError("%s: no witness directory: neither a witness's keys nor its state are in it", dir).hint("--dir is what docket witness serve has as --dir; evidence in a file is judged by docket witness evidence verify")
	}
	return gossip.OpenEvidenceStore(vfs.Default, filepath.Join(dir, "evidence"))
}

func (a *app) evidenceList() *cobra.Command {
	var dir string
	var asJSON bool
	c := &cobra.Command{
		Use:     "list --dir W",
		Short:   "List the evidence that a witness keeps",
		Example: "  docket witness evidence list --dir w1",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			shelf, err := a.evidenceStore(dir)
			if err != nil {
				return err
			}
			ids, err := shelf.IDs()
			if err != nil {
				return err
			}
			if len(ids) == 0 {
				a.logf("no evidence: no log that this witness serves was caught with two histories")
			}
			for _, id := range ids {
				k, err := shelf.Load(id)
				if err != nil {
					return err
				}
				if asJSON {
					if err := a.printJSON(map[string]any{"id": id, "log": k.Evidence.Origin(), "acknowledged": k.Acknowledged}); err != nil {
						return err
					}
					continue
				}
				a.printf("%s  %s  %s\n", id, k.Evidence.Origin(), evidenceStateText(k.Acknowledged))
			}
			return nil
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "directory of the witness")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	c.MarkFlagRequired("dir")
	return c
}

func evidenceStateText(decided *gossip.Acknowledgement) string {
	if decided == nil {
		return "open: nothing more of this log is cosigned"
	}
	return fmt.Sprintf("acknowledged by %s on %s: %s", printable(decided.By), decided.At.Format(time.DateOnly), printable(decided.Reason))
}

func (a *app) evidenceShow() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:     "show --dir W ID",
		Short:   "Print one evidence file, to hand on",
		Example: "  docket witness evidence show --dir w1 3f…9a > fork" + proof.EvidenceSuffix,
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			shelf, err := a.evidenceStore(dir)
			if err != nil {
				return err
			}
			k, err := shelf.Load(args[0])
			if errors.Is(err, gossip.ErrNoSuchEvidence) {
				return usageError("%w", err).hint("docket witness evidence list --dir %s", dir)
			} else if err != nil {
				return err
			}
			a.logf("%s", evidenceStateText(k.Acknowledged))
			_, err = a.out.Write(k.File)
			return err
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "directory of the witness")
	c.MarkFlagRequired("dir")
	return c
}

func (a *app) evidenceAcknowledge() *cobra.Command {
	var dir string
	var ack gossip.Acknowledgement
	c := &cobra.Command{
		Use:   "acknowledge --dir W --by WHO --reason WHY ID",
		Short: "Decide, as a person, that the witness may go on with the log",
		Long: `Notes who decided what about one piece of evidence. When all that is held against a
log is acknowledged, the witness goes on with it, on the history that it cosigned
before. The evidence stays, and stays public. A serving witness takes notice by the next
request to cosign, or the next round of gossip.`,
		Example: `  docket witness evidence acknowledge --dir w1 --by "operations desk" --reason "log restored from backup; see report 7" 3f…9a`,
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			shelf, err := a.evidenceStore(dir)
			if err != nil {
				return err
			}
			err = shelf.Acknowledge(args[0], ack)
			if errors.Is(err, gossip.ErrNoSuchEvidence) {
				return usageError("%w", err).hint("docket witness evidence list --dir %s", dir)
			} else if err != nil {
				return refusal("%w", err)
			}
			a.logf("acknowledged")
			return nil
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "directory of the witness")
	c.Flags().StringVar(&ack.By, "by", "", "who decides")
	c.Flags().StringVar(&ack.Reason, "reason", "", "why")
	for _, required := range []string{"dir", "by", "reason"} {
		c.MarkFlagRequired(required)
	}
	return c
}

func (a *app) evidenceVerify() *cobra.Command {
	v := evidenceVerifyCmd{app: a}
	c := &cobra.Command{
		Use:   "verify (--key VKEY… | --policy FILE) FILE",
		Short: "Verify evidence offline, with the log's key",
		Long: `Verifies that a log signed two histories. Nothing is needed but the log's public key,
as its policy has it: no network, no trust in whoever handed the file over.

A key convicts the log that it is named after, and no other that a policy may list.
--origin says that the keys given are those of a log with another name.`,
		Example: "  docket witness evidence verify --policy policy.txt fork" + proof.EvidenceSuffix,
		Args:    cobra.ExactArgs(1),
		RunE:    func(_ *cobra.Command, args []string) error { return v.run(args[0]) },
	}
	f := c.Flags()
	f.StringArrayVar(&v.vkeys, "key", nil, "vkey of the log; repeat for more")
	f.StringVar(&v.policy, "policy", "", "policy file whose keys of that log are taken")
	f.StringVar(&v.origin, "origin", "", "the log whose keys --key gives, where they are named otherwise")
	c.MarkFlagsMutuallyExclusive("policy", "key")
	c.MarkFlagsMutuallyExclusive("policy", "origin")
	return c
}

// evidenceVerifyCmd is one run of docket witness evidence verify.
type evidenceVerifyCmd struct {
	app            *app
	vkeys          []string
	policy, origin string
}

func (v *evidenceVerifyCmd) run(file string) error {
	data, err := v.app.readFile(file)
	if err != nil {
		return err
	}
	e, err := proof.ParseEvidence(data)
	if err != nil {
		return wrongFileError(file, data, "evidence (split-view)", err)
	}
	if err := e.CheckSameLog(); err != nil {
		return refusal("%s: %w", file, err).hint("this proves nothing against either log")
	}
	keys, err := v.logKeys(e.Origin(), file)
	if err != nil {
		return err
	}
	view, err := e.Verify(keys...)
	if err != nil {
		return refusal("%s: %w", file, err).hint("this proves nothing against the log")
	}
	v.app.printf("proven: %s\n", view)
	return nil
}

// logKeys are the keys that can convict the log of that origin. [proof.Evidence.Verify]
// takes a key of any name, and another log's would convict this one of what it never
// signed.
func (v *evidenceVerifyCmd) logKeys(origin, file string) (keys []proof.Key, err error) {
	if v.policy != "" {
		return v.policyKeys(origin, file)
	}
	if v.origin != "" && v.origin != origin {
		return nil, refusal("%s: it is about %s, not about %s", file, origin, v.origin)
	}
	for _, text := range v.vkeys {
		k, err := proof.ParseLogKey(strings.TrimSpace(text))
		if err != nil {
			return nil, usageError("--key: %w", err)
		}
		if k.Name() != origin && v.origin == "" {
			return nil, usageError("%s is about %s, and the key is named %s", file, origin, k.Name()).hint("if it is that log's all the same, say so: --origin %s", origin)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, usageError("want the log's key: --key VKEY, or --policy FILE")
	}
	return keys, nil
}

func (v *evidenceVerifyCmd) policyKeys(origin, file string) ([]proof.Key, error) {
	p, err := v.app.readPolicy(v.policy)
	if err != nil {
		return nil, err
	}
	keys := p.LogKeys(origin)
	if len(keys) == 0 {
		return nil, refusal("%s: it is about %s, and %s names no key of that log (its logs: %s)", file, origin, v.policy, strings.Join(p.Origins(), ", "))
	}
	return keys, nil
}
