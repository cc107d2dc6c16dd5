package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/ledger/record"
)

func (a *app) merge() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "merge A B…",
		Short: "Join the signatures of envelopes that hold the same record",
		Long: `Joins what several people signed apart: every file must hold the same payload, byte
for byte. The first envelope gains the signatures of the others, unless --out names
another. No signature is checked here: docket sign shows whose they are, and the
ledger judges them.`,
		Example: `  docket merge order.dsse.json from-officer-2/order.dsse.json
  docket merge --out order.dsse.json a.dsse.json b.dsse.json`,
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: completeFiles("json"),
		RunE: func(_ *cobra.Command, args []string) error {
			first, err := a.readEnvelope(args[0])
			if err != nil {
				return err
			}
			joined := *first.envelope
			before := len(joined.Signatures)
			for _, name := range args[1:] {
				next, err := a.readEnvelope(name)
				if err != nil {
					return err
				}
				both, err := record.Merge(joined, *next.envelope)
				if errors.Is(err, record.ErrOtherPayload) {
					return refusal("%s holds record %s, %s holds %s: they were not made from the same signed draft", args[0], record.IDOf(joined.Payload), name, record.IDOf(next.envelope.Payload)).hint("one person signs the short form, the others sign the envelope that this gave")
				} else if err != nil {
					return refusal("%w", err)
				}
				joined = both
			}
			data := append(joined.Marshal(), '\n')
			if out == "" {
				out = first.envelopePath()
			}
			write := writeNew
			if out == args[0] {
				write = replaceFile
			}
			if err := write(out, data, 0o644); err != nil {
				return err
			}
			a.logf("%s: %s, %d of them new", out, plural(len(joined.Signatures), "signature"), len(joined.Signatures)-before)
			a.printf("%s\n", out)
			return nil
		},
	}
	c.Flags().StringVar(&out, "out", "", "file of the joined envelope (default the first one named)")
	return c
}

// readEnvelope reads an envelope or a bundle.
func (a *app) readEnvelope(name string) (inputFile, error) {
	m := inputFile{name: name, stem: stemOf(name)}
	raw, err := a.readFile(name)
	if err != nil {
		return m, err
	}
	env, err := record.ParseEnvelope(raw)
	if err != nil {
		return m, wrongFileError(name, raw, "an envelope or a bundle", err)
	}
	m.envelope, m.isBundle = &env, record.DescribeInput(raw) == "a Sigstore bundle"
	return m, nil
}
