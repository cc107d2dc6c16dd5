package main

import (
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
	"github.com/seed-53cf897a/docket/ledger/register"
)

func (a *app) new() *cobra.Command {
	n := newCmd{app: a}
	c := &cobra.Command{
		Use:   "new KIND",
		Short: "Print a commented record template to fill in",
		Long: `Prints the short form of a kind of record, each field with a line of explanation.
Fill it in, then sign it with docket sign, or sign and send it with docket submit.

A charter and an enrolment fill themselves in from files: a policy's (its log's name
becomes the origin) and those of public keys, whose names without .pub become their
holders. The files are named, and read when the record is signed: keep it in the folder
from which they were named.

Kinds:
` + kindsHelp(),
		Example: `  docket new designation > order.yaml
  docket new charter --policy policy.txt --root root-1.pub --root root-2.pub > charter.yaml
  docket new enrolment --party authority --officer officer-1.pub=designator,registrar > authority.yaml
  docket new enrolment --party acme-cloud --officer compliance.pub --recovery safe.pub > enrolment.yaml`,
		Args:              oneKind,
		ValidArgsFunction: completeKinds,
		PreRunE: func(c *cobra.Command, args []string) error {
			charter, enrolment := []string{"policy", "root"}, []string{"party", "officer", "automation", "recovery"}
			switch args[0] {
			case string(record.KindCharter):
				return idle(c, "on a charter; it goes with docket new enrolment", enrolment...)
			case string(record.KindEnrolment):
				return idle(c, "on an enrolment; it goes with docket new charter", charter...)
			}
			return idle(c, "on this kind of record", append(append(charter, enrolment...), "document")...)
		},
		RunE: func(_ *cobra.Command, args []string) error {
			given, err := n.given(args[0])
			if err != nil {
				return err
			}
			text, err := draft.Template(args[0], given)
			if err != nil {
				return usageError("%w", err)
			}
			a.printf("%s", text)
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&n.document, "document", "", "file of the charter's or the enrolment's document")
	f.StringVar(&n.policy, "policy", "", "of a charter: file of its tlog-policy")
	f.StringArrayVar(&n.root, "root", nil, "of a charter: file of a root key's public half; repeat it")
	f.StringVar(&n.party, "party", "", "of an enrolment: the party's ID, like acme-cloud")
	f.StringArrayVar(&n.officer, "officer", nil, "of an enrolment: file of an officer's public key, of the authority's with =FUNCTION,…; repeat it")
	f.StringArrayVar(&n.automation, "automation", nil, "of an enrolment: file of a machine's public key, likewise")
	f.StringArrayVar(&n.recovery, "recovery", nil, "of an enrolment: file of a recovery key's public half")
	return c
}

// newCmd has what a template is filled in from.
type newCmd struct {
	app                           *app
	document, policy, party       string
	root                          []string
	officer, automation, recovery []string // FILE or FILE=FUNCTION,…
}

// given is what the flags fill in, every file read and found to be what it should be.
func (n newCmd) given(kind string) (draft.TemplateValues, error) {
	given := draft.TemplateValues{}
	if n.document != "" {
		if _, err := n.app.readFile(n.document); err != nil {
			return nil, err
		}
		given["document"] = []string{fileReference(n.document)}
	}
	if n.policy != "" {
		_, policy, err := n.app.readPolicyText(n.policy)
		if err != nil {
			return nil, err
		}
		given["policy"] = []string{fileReference(n.policy)}
		if names := policy.Origins(); len(names) == 1 {
			given["origin"] = []string{yamlText(names[0])}
		}
	}
	if len(n.root) > 0 {
		given["thresholds.root"] = []string{strconv.Itoa(len(n.root)/2 + 1)}
	}
	if kind == string(record.KindCharter) && len(n.root)+len(n.policy) > 0 {
		given["rules"], given["imports"] = []string{strconv.Itoa(register.RulesVersion)}, []string{"[]"}
	}
	if n.party != "" {
		given["thread"], given["issuer"] = []string{string(record.PartyThread(n.party))}, []string{n.party}
		if fault := schema.FormatSegment.Fault(n.party); fault != "" {
			return nil, usageError("--party: %s", fault)
		}
	}
	holders := map[string]string{}
	for _, keys := range []struct {
		list, use string
		files     []string
	}{{"rootKeys", "", n.root}, {"keys", "officer", n.officer}, {"keys", "automation", n.automation}, {"keys", "recovery", n.recovery}} {
		for _, file := range keys.files {
			file, functions, _ := strings.Cut(file, "=")
			key, err := n.app.readPublicKey(file)
			if err != nil {
				return nil, err
			}
			if other, twice := holders[key.ID()]; twice {
				return nil, usageError("%s is the same key as %s", file, other)
			}
			holders[key.ID()] = file
			item := "{key: " + fileReference(file)
			if keys.use != "" {
				item += ", use: " + keys.use
			}
			item += ", holder: " + yamlText(holderOf(file))
			if functions != "" {
				item += ", functions: [" + strings.ReplaceAll(functions, ",", ", ") + "]"
			}
			given[keys.list] = append(given[keys.list], item+"}")
		}
	}
	return given, nil
}

// holderOf is the post that a key's file is named after.
func holderOf(file string) string {
	name := filepath.Base(file)
	for _, suffix := range []string{".pub", ".pem", ".key"} {
		name = strings.TrimSuffix(name, suffix)
	}
	return name
}

// fileReference is how a short form names a file.
func fileReference(name string) string { return "{file: " + yamlText(name) + "}" }

// plainYAML is text that YAML takes as it stands, in flow style too.
var plainYAML = regexp.MustCompile(`^[A-Za-z./][A-Za-z0-9./_-]*$`)

func yamlText(s string) string {
	if plainYAML.MatchString(s) {
		return s
	}
	return strconv.Quote(s)
}

// kindsHelp lists the kinds with a line each.
func kindsHelp() string {
	var b strings.Builder
	for _, k := range record.Kinds() {
		b.WriteString("  " + string(k) + strings.Repeat(" ", 19-len(k)) + k.Doc() + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// oneKind takes exactly one kind.
func oneKind(c *cobra.Command, args []string) error {
	if len(args) == 1 {
		return nil
	}
	var names []string
	for _, k := range record.Kinds() {
		names = append(names, string(k))
	}
	return usageError("want one kind of record").hint("one of %s", strings.Join(names, ", "))
}

// completeKinds offers the kinds to the shell.
func completeKinds(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var kinds []string
	for _, k := range record.Kinds() {
		if len(args) == 0 {
			kinds = append(kinds, string(k)+"\t"+k.Doc())
		}
	}
	return kinds, cobra.ShellCompDirectiveNoFileComp
}

// completeFiles offers files with one of these endings to the shell.
func completeFiles(endings ...string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return endings, cobra.ShellCompDirectiveFilterFileExt
	}
}
