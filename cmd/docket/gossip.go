package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

func (a *app) witnessGossip() *cobra.Command {
	var (
		p  witnessFlags
		to []string
	)
	c := &cobra.Command{
		Use:   "gossip (--dir W --logs FILE | --to URL FILE…)",
		Short: "Make one round of gossip, or show witnesses what you saw",
		Long: `With --dir it makes one round of gossip for a witness that is not serving: fetches
what its peers and the logs' URLs show, compares, and passes evidence on.

With --to it hands checkpoints to witnesses, as anybody may who was shown one: a
checkpoint file, or a receipt, whose checkpoint is taken. If the log has shown you
another history than the witness, that becomes evidence. An evidence file is handed
over as it is; each witness judges it for itself.`,
		Example: `  docket witness gossip --dir w1 --logs logs.txt --peer https://w2.example
  docket witness gossip --to https://w1.example --to https://w2.example trust/checkpoint answer.tlog-proof`,
		RunE: func(c *cobra.Command, files []string) error {
			if len(to) > 0 {
				if err := idle(c, "beside --to: files are handed in, and no witness makes a round", "dir", "logs", "peer", "source", "verbose"); err != nil {
					return err
				}
			}
			switch {
			case len(to) > 0 && len(files) > 0:
				return a.sendToWitnesses(c.Context(), to, files)
			case p.dir != "" && p.logs != "" && len(files) == 0:
				return a.gossipOnce(c.Context(), p)
			}
			return usageError("want --dir W --logs FILE, or --to URL and files").hint("docket witness gossip --help")
		},
	}
	p.flags(c)
	c.Flags().StringArrayVar(&to, "to", nil, "URL of a witness to hand checkpoints to; repeat for more")
	return c
}

func (a *app) gossipOnce(ctx context.Context, p witnessFlags) error {
	w, err := a.openWitness(ctx, p, a.eventLog(p.verbose), nil)
	if err != nil {
		return err
	}
	r := w.Gossip(ctx)
	if err := w.Close(); err != nil {
		return err
	}
	a.printf("%s seen, %d on one history, %d waiting, %d new evidence, %d passed on\n", plural(r.Fetched, "checkpoint"), r.Compared, r.Waiting, r.Evidence, r.Delivered)
	if r.Evidence > 0 {
		return refusal("a log showed two histories").hint("docket witness evidence list --dir %s", p.dir)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("the round was broken off: %w", context.Cause(ctx))
	}
	return nil
}

// sendToWitnesses shows checkpoints, or evidence, to witnesses.
func (a *app) sendToWitnesses(ctx context.Context, to, files []string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, name := range files {
		data, evidence, err := a.readNoteOrEvidence(name)
		if err != nil {
			return err
		}
		for _, url := range to {
			w, err := wire.NewWitness(url, nil)
			if err != nil {
				return usageError("%w", err)
			}
			send := w.AddSeenCheckpoint
			if evidence {
				send = w.AddEvidence
			}
			if err := send(ctx, data); err != nil {
				var gone *wire.UnreachableError
				if errors.As(err, &gone) {
					return notYet("%w", err)
				}
				return refusal("%s: %w", name, err)
			}
			a.logf("%s: taken by %s", name, url)
		}
	}
	return nil
}

// readNoteOrEvidence reads a checkpoint, or takes it out of a receipt or a chain; or it reads
// evidence.
func (a *app) readNoteOrEvidence(name string) (data []byte, evidence bool, err error) {
	if data, err = a.readFile(name); err != nil {
		return nil, false, err
	}
	if _, err := proof.ParseEvidence(data); err == nil {
		return data, true, nil
	}
	if bytes.HasPrefix(data, []byte("c2sp.org/tlog-proof@")) {
		chain, err := proof.ParseChain(data)
		if err != nil {
			return nil, false, refusal("%s: %w", name, err)
		}
		data = chain[len(chain)-1].Checkpoint
	}
	if _, _, err := proof.ParseCheckpoint(data); err != nil {
		return nil, false, wrongFileError(name, data, "a checkpoint, a receipt or evidence", err)
	}
	return data, false, nil
}
