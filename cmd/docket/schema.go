package main

import (
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
)

func (a *app) schema() *cobra.Command {
	var list, doc bool
	c := &cobra.Command{
		Use:   "schema KIND [--doc] | schema --list",
		Short: "Print the JSON Schema of a kind of record, or its documentation",
		Long: `Prints the JSON Schema (draft 2020-12) of a kind's whole statement: every field,
what it may hold, and what it is for. A ledger serves the same at /schemas/KIND/v1.
With --doc it is explained for people, in Markdown: members, who signs, threads, examples.`,
		Example: `  docket schema designation
  docket schema customer-log --doc
  docket schema --list`,
		Args: func(c *cobra.Command, args []string) error {
			if list {
				if err := idle(c, "beside --list", "doc"); err != nil {
					return err
				}
				return cobra.NoArgs(c, args)
			}
			return oneKind(c, args)
		},
		ValidArgsFunction: completeKinds,
		RunE: func(_ *cobra.Command, args []string) error {
			if list {
				return a.listKinds()
			}
			kind, err := record.ParseKind(args[0])
			if err != nil {
				return usageError("%w", err)
			}
			if doc {
				text, err := draft.Document(string(kind))
				a.printf("%s", text)
				return err
			}
			text, err := record.SchemaJSON(kind)
			if err != nil {
				return err
			}
			a.printf("%s\n", text)
			return nil
		},
	}
	c.Flags().BoolVar(&doc, "doc", false, "print documentation for people instead, in Markdown")
	c.Flags().BoolVar(&list, "list", false, "list the kinds")
	return c
}

func (a *app) listKinds() error {
	w := a.table()
	for _, k := range record.Kinds() {
		if _, err := w.Write([]byte(string(k) + "\t" + k.Doc() + "\n")); err != nil {
			return err
		}
	}
	return w.Flush()
}
