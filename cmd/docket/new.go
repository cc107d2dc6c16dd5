package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
)

func (a *app) new() *cobra.Command {
	return &cobra.Command{
		Use:   "new KIND",
		Short: "Print a commented record template to fill in",
		Long: `Prints the short form of a kind of record, each field with a line of explanation.
Fill it in, then sign it with docket sign, or sign and send it with docket submit.

Kinds:
` + kindsHelp(),
		Example: `  docket new designation > order.yaml
  docket new response > response.yaml`,
		Args:              oneKind,
		ValidArgsFunction: completeKinds,
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := draft.Template(args[0])
			if err != nil {
				return usageError("%w", err)
			}
			a.printf("%s", text)
			return nil
		},
	}
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
