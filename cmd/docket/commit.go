package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
)

func (a *app) commit() *cobra.Command {
	m := commitCmd{app: a}
	c := &cobra.Command{
		Use:   "commit POINTER=VALUE…",
		Short: "Commit to values without telling them; open commitments",
		Long: `Makes commitments for a record that other tools write, and keeps their salts in a file
of its own (0600): whoever has the file can open them, and nobody can without it. docket
sign does the same by itself for {secret: …} and {private: true} of a short form.

A commitment holds for one ledger, one thread and one place in the record: POINTER leads
there from the predicate's root, as /counts/foreignAccounts. A VALUE that begins with @
names a file with the text (its final newline does not count), - is the standard input:
what is on a command line, others may read. --document commits to a document's SHA-256, at
/subject.

Printed is what goes into the record: {commit: …}, and of the subject about: …`,
		Example: `  docket commit --trust trust --thread cip/acme-cloud --out form.salts.json --document form.pdf /counts/foreignAccounts=@count.txt
  docket commit open --salts form.salts.json --pointer /counts/foreignAccounts --trust trust form.tlog-proof`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 && m.document == "" {
				return usageErrorOf(c, "nothing to commit to")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return m.run(args) },
	}
	m.trust = a.trustFlags(c)
	c.Flags().StringVar(&m.charter, "charter", "", "the ledger's charter by its record ID (or its envelope or receipt), instead of --trust")
	c.Flags().StringVar(&m.thread, "thread", "", "the thread on which the record will stand")
	c.Flags().StringVar(&m.document, "document", "", "a private document: commits to its SHA-256 at /subject")
	c.Flags().StringVar(&m.out, "out", "", "file of the salts, NAME"+saltsSuffix+": keep it")
	c.Flags().BoolVar(&m.asJSON, "json", false, "print JSON: one object, pointer to commitment")
	c.MarkFlagRequired("thread")
	c.MarkFlagRequired("out")
	c.MarkFlagsMutuallyExclusive("trust", "charter")
	c.AddCommand(a.commitOpen())
	return c
}

// commitCmd is one run of docket commit.
type commitCmd struct {
	app                            *app
	trust                          *trustFlags
	charter, thread, document, out string
	asJSON                         bool
}

func (m *commitCmd) run(args []string) error {
	thread, err := record.ParseThread(m.thread)
	if err != nil {
		return usageError("--thread: %w", err)
	}
	ledger, err := m.ledger()
	if err != nil {
		return err
	}
	openings, err := m.openings(thread, args)
	if err != nil {
		return err
	}
	if err := writeSalts(strings.TrimSuffix(m.out, saltsSuffix), openings); err != nil {
		return err
	}
	commits := make(map[string]string, len(openings))
	for _, o := range openings {
		commit := o.Commit(ledger, thread).Commit
		commits[o.Pointer] = commit
		switch {
		case m.asJSON:
		case o.Pointer == subjectPointer:
			m.app.printf("about: %s\n", commit)
		default:
			m.app.printf("%s: {commit: %s}\n", o.Pointer, commit)
		}
	}
	if m.asJSON {
		if err := m.app.printJSON(commits); err != nil {
			return err
		}
	}
	m.app.logf("%s opens %s; without it nobody can", m.out, joinPointers(openings))
	return nil
}

// subjectPointer is where a commitment to the document stands.
const subjectPointer = "/subject"

func joinPointers(openings []record.Opening) string {
	var all []string
	for _, o := range openings {
		all = append(all, o.Pointer)
	}
	return joinWords(all, "and")
}

// ledger is the record ID of the charter.
func (m *commitCmd) ledger() (record.ID, error) {
	if m.charter != "" {
		return m.app.charterID(m.charter)
	}
	trust, err := m.trust.open()
	if err != nil {
		return record.ID{}, err
	}
	return trust.Ledger(), trust.Close()
}

// openings draws a salt for each value.
func (m *commitCmd) openings(thread record.Thread, args []string) (all []record.Opening, err error) {
	if !strings.HasSuffix(m.out, saltsSuffix) {
		return nil, usageError("--out %s: want a name that ends in %s", m.out, saltsSuffix)
	}
	add := func(pointer, value string) error {
		if slices.ContainsFunc(all, func(o record.Opening) bool { return o.Pointer == pointer }) {
			return usageError("%s is given twice", pointer)
		}
		if fault := draft.CommitPointerFault(thread, pointer); fault != "" {
			return usageError("%s", fault).hint("docket schema KIND --doc tells every field")
		}
		all = append(all, record.NewOpening(pointer, value))
		return nil
	}
	if m.document != "" {
		data, err := m.app.readFile(m.document)
		if err != nil {
			return nil, err
		}
		digest := sha256.Sum256(data)
		if err := add(subjectPointer, hex.EncodeToString(digest[:])); err != nil {
			return nil, err
		}
	}
	for _, arg := range args {
		pointer, value, ok := strings.Cut(arg, "=")
		if !ok || !strings.HasPrefix(pointer, "/") {
			return nil, usageError("%s: want POINTER=VALUE, as /counts/foreignAccounts=12, or docket commit open", arg)
		}
		if file, named := strings.CutPrefix(value, "@"); named || value == "-" {
			if !named {
				file = "-"
			}
			text, err := m.app.readFile(file)
			if err != nil {
				return nil, err
			}
			value = string(bytes.TrimSuffix(text, []byte("\n")))
		}
		if value == "" {
			return nil, usageError("%s: commits to nothing", pointer)
		}
		if err := add(pointer, value); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (a *app) commitOpen() *cobra.Command {
	o := commitOpenCmd{verifyCmd: verifyCmd{app: a}}
	c := &cobra.Command{
		Use:   "open RECEIPT|ENVELOPE",
		Short: "Show what a record commits to, and prove it, offline",
		Long: `Opens the commitments of a record by their salts, and refuses salts that are not the
record's. Of a receipt it also checks, as docket verify does, that the record is on the
ledger; of an envelope, only that it commits to this.

--pointer opens one alone, and --out writes its salt to a file of its own, for whom it is
disclosed to: they open it by the same command, and learn of the others nothing.`,
		Example: `  docket commit open --trust trust --salts form.salts.json form.tlog-proof
  docket commit open --trust trust --salts form.salts.json --pointer /counts/foreignAccounts --out count.salts.json form.tlog-proof
  docket commit open --policy policy.txt --salts count.salts.json form.tlog-proof`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0]) },
	}
	o.trust = a.trustFlags(c).withPolicyFlag(c)
	c.Flags().StringVar(&o.salts, "salts", "", "NAME"+saltsSuffix+" of the record, or what was disclosed of it")
	c.Flags().StringVar(&o.pointer, "pointer", "", "open this one alone, as /counts/foreignAccounts")
	c.Flags().StringVar(&o.out, "out", "", "with --pointer: write its salt to this file, to be handed on")
	c.Flags().BoolVar(&o.asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("salts")
	return c
}

// commitOpenCmd is one run of docket commit open.
type commitOpenCmd struct {
	verifyCmd
	out string
}

func (o *commitOpenCmd) run(c *cobra.Command, file string) error {
	if o.out != "" && (o.pointer == "" || !strings.HasSuffix(o.out, saltsSuffix)) {
		return usageError("--out takes the salt that --pointer names, to a file whose name ends in %s", saltsSuffix)
	}
	raw, err := o.app.readFile(file)
	if err != nil {
		return err
	}
	if isReceipt(raw) {
		err = o.verifyCmd.run(c.Context(), []string{file})
	} else {
		err = o.openEnvelope(c, file)
	}
	if err != nil || o.out == "" {
		return err
	}
	return writeSalts(strings.TrimSuffix(o.out, saltsSuffix), o.openings)
}

// openEnvelope opens the commitments of a record that is not shown to be on the ledger.
func (o *commitOpenCmd) openEnvelope(c *cobra.Command, file string) error {
	if err := idle(c, "with an envelope, which nobody is believed about: name its receipt", "trust", "policy"); err != nil {
		return err
	}
	m, err := o.app.readInput(c.Context(), file)
	if err != nil {
		return err
	}
	if m.envelope == nil {
		return usageError("%s is no envelope: nothing is committed to before a record is signed", file)
	}
	st, err := record.ParseStatement(m.envelope.Payload)
	if err != nil {
		return refusal("%s: %w", file, err)
	}
	if err := o.openCommitments(st); err != nil {
		return err
	}
	if o.asJSON {
		return o.app.printJSON(o.opened())
	}
	for _, opened := range o.opened() {
		o.app.printf("%s\n", printable(fmt.Sprintf("%s is %q", opened.Pointer, opened.Value)))
	}
	o.app.logf("that this %s is on the ledger, its receipt would show", st.Kind)
	return nil
}
