package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

func (a *app) receipt() *cobra.Command {
	r := receiptCmd{app: a}
	c := &cobra.Command{
		Use:   "receipt ID | FILE",
		Short: "Fetch a record's receipt, a chain, or a newer one",
		Long: `Fetches the receipt of a record and verifies it. The record is named by its ID, by
its envelope, or by an older receipt of it.

Named by its ID, the receipt goes to stdout; by a file, to NAME.tlog-proof beside
it, a chain to NAME.chain.tlog-proof. --out names another file.

--chain brings everything that also shows who signed: the charters, the records
that enrolled the signers' keys, the record. --refresh brings the trust directory up
to date and replaces an older receipt by one against today's checkpoint, under today's
policy, a chain by a chain: do it before a witness or a log key retires. The first one
proves the earliest time, and stays beside as NAME.first.tlog-proof, which docket verify
heeds. One that proves more, or that is of another history, is not replaced. Out of reach
of the ledger, and with a mirror of tiles alone, a receipt is made from the replayed copy
if that covers it; a chain is not.

--auditor VKEY brings one against the newest checkpoint that this auditor has cosigned
(docket audit --cosign), as far as the ledger has that: whoever believes the auditor
knows by it that every entry below was judged. docket verify --auditor wants it.`,
		Example: `  docket receipt --trust trust response.dsse.json
  docket receipt --trust trust --chain --out evidence.tlog-proof 6f1c…
  docket receipt --trust trust --refresh response.tlog-proof`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeFiles("json", "tlog-proof"),
		PreRunE: func(c *cobra.Command, args []string) error {
			if r.auditor != "" {
				if err := idle(c, "beside --auditor, whose checkpoint is as old as it is", "chain", "max-age"); err != nil {
					return err
				}
			}
			if _, err := record.ParseID(args[0]); err == nil && r.out == "" {
				return idle(c, "on a record ID: there is no file to replace; name one with --out", "refresh")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return r.run(c.Context(), args[0]) },
	}
	r.trust = a.trustFlags(c).addLedgerFlag(c).withPolicyFlag(c).withMaxAgeFlag(c)
	f := c.Flags()
	f.BoolVar(&r.chain, "chain", false, "a chain, which also shows whose keys signed")
	f.BoolVar(&r.refresh, "refresh", false, "replace the receipt that is there by a newer one of the same record")
	f.StringVar(&r.auditor, "auditor", "", "an auditor's vkey, or a file with it: against what that has cosigned")
	f.StringVar(&r.out, "out", "", "file to write")
	return c
}

// chainInfix tells the file of a chain from that of a receipt of the same record.
const chainInfix = ".chain"

// firstInfix tells the file of a record's first receipt from that of its newest.
const firstInfix = ".first"

// firstReceiptPath is where the first receipt is kept when a newer one takes its place.
func firstReceiptPath(file string) string {
	return strings.TrimSuffix(file, receiptSuffix) + firstInfix + receiptSuffix
}

// receiptCmd is one run of docket receipt.
type receiptCmd struct {
	app            *app
	trust          *trustFlags
	chain, refresh bool
	out            string
	auditor        string
	judge          []proof.Key // the auditor's
}

func (r *receiptCmd) run(ctx context.Context, what string) error {
	id, file, err := r.app.resolveRecord(what)
	if err != nil {
		return err
	}
	if r.auditor != "" {
		if r.judge, err = r.app.auditorKeys([]string{r.auditor}); err != nil {
			return err
		}
	}
	policies, trust, err := r.trust.policies()
	if err != nil {
		return err
	}
	if trust != nil {
		defer trust.Close()
	}
	switch {
	case r.out != "":
		file = r.out
	case file != "" && r.chain && !r.refresh:
		file = strings.TrimSuffix(stemOf(file), chainInfix) + chainInfix + receiptSuffix
	}
	r.chain = r.chain || r.refresh && isChain(file) // a bare receipt would not show who signed
	if r.chain && r.auditor != "" {
		return refusal("%s is a chain, and --auditor brings a single receipt", file).hint("--out FILE writes it beside")
	}
	text, err := r.fetch(ctx, id, policies, trust)
	if err != nil {
		return err
	}
	if file == "" {
		_, err := r.app.out.Write(text)
		return err
	}
	if err := r.writeFile(ctx, file, text, id, policies); err != nil {
		return r.app.saveEvidence(trust, err)
	}
	r.app.printf("%s\n", file)
	return nil
}

// isChain tells whether a file holds more than one receipt.
func isChain(file string) bool {
	text, err := os.ReadFile(file)
	if err != nil {
		return false // nothing is there to be replaced
	}
	chain, err := proof.ParseChain(text)
	return err == nil && len(chain) > 1
}

// resolveRecord finds which record is meant, and the file that its receipt goes to;
// none where it is named by its ID.
func (a *app) resolveRecord(what string) (id record.ID, file string, err error) {
	if id, err := record.ParseID(what); err == nil {
		return id, "", nil
	}
	raw, err := a.readFile(what)
	if _, ok := parseIndex(what); ok && err != nil {
		return id, "", usageError("%w", err).hint("docket show %q prints the record ID of that index", what)
	} else if err != nil {
		return id, "", err
	}
	if id = recordOfReceipt(raw); !id.IsZero() {
		return id, what, nil
	}
	if _, err := proof.ParseChain(raw); record.DescribeInput(raw) == "a receipt (tlog-proof)" && err != nil {
		return id, "", refusal("%s: %w", what, err)
	}
	env, err := record.ParseEnvelope(raw)
	if err != nil {
		return id, "", wrongFileError(what, raw, "a record ID, an envelope or a receipt", err)
	}
	return record.IDOf(env.Payload), stemOf(what) + receiptSuffix, nil
}

// fetch asks the ledger, and makes the receipt from the copy where that gives none now.
func (r *receiptCmd) fetch(ctx context.Context, id record.ID, policies client.Policies, trust *client.Trust) ([]byte, error) {
	server, err := r.trust.connect(trust)
	if err != nil {
		return nil, err
	}
	if r.refresh && trust != nil {
		err = r.app.renewTrust(ctx, trust, server)
	}
	var text []byte
	if err == nil {
		text, err = withRenewal(ctx, r.app, trust, server, func() ([]byte, error) { return r.request(ctx, server, id, policies) })
	}
	if err == nil || r.chain || r.auditor != "" {
		return text, err
	}
	refused := (*client.Problem)(nil)
	withheld := errors.As(err, &refused) && refused.Status == http.StatusUnavailableForLegalReasons
	if status, _ := exitStatusOf(err); trust == nil || status != exitNotYet && !client.TilesAlone(err) && !withheld || ctx.Err() != nil {
		return nil, err
	}
	own, bad := trust.Receipt(ctx, id)
	if bad != nil {
		return nil, err
	}
	r.app.logf("docket: warning: %v; made from the copy, %s", err, asOf(trust.Checkpoint()))
	return own.Format()
}

// request fetches what was asked for, verified.
func (r *receiptCmd) request(ctx context.Context, server *client.Client, id record.ID, policies client.Policies) ([]byte, error) {
	var text []byte
	var published *proof.Published
	switch {
	case r.auditor != "":
		receipt, err := server.AuditedReceipt(ctx, id, r.judge[0], policies)
		var behind *client.NotJudgedError
		if errors.As(err, &behind) {
			return nil, notYet("%w", err).hint("the auditor goes at its own pace: run the same command again later")
		} else if err != nil {
			return nil, err
		}
		return receipt.Text, nil
	case r.chain:
		chain, report, err := fetchChain(ctx, server, policies, id)
		if err != nil {
			return nil, err
		}
		text, published = chain, report.Published
	default:
		receipt, err := server.Receipt(ctx, id, policies)
		if err != nil {
			return nil, err
		}
		text, published = receipt.Text, receipt.Published()
	}
	if old := client.CheckAge(published, r.trust.maxAge, time.Now()); old != nil {
		r.app.logf("docket: warning: %v", old) // the receipt is as good as any
	}
	return text, nil
}

// fetchChain fetches a chain and verifies it to the end.
func fetchChain(ctx context.Context, server *client.Client, policies client.Policies, id record.ID) ([]byte, *client.VerifyReport, error) {
	text, err := server.ChainUnverified(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	report, err := client.Verify(ctx, text, policies, time.Now())
	if err != nil {
		return nil, nil, refusal("the server's chain: %w", err)
	}
	if report.ID != id {
		return nil, nil, refusal("the server's chain is of record %s, not %s", report.ID, id)
	}
	if trust, ok := policies.(*client.Trust); ok {
		if err := trust.CheckNewest(ctx, report.Published); err != nil {
			return nil, nil, fmt.Errorf("the server's chain: %w", err)
		}
	}
	return text, report, nil
}

// writeFile keeps the receipt; with --refresh it takes the place of an older one.
func (r *receiptCmd) writeFile(ctx context.Context, file string, text []byte, id record.ID, policies client.Policies) error {
	old, err := os.ReadFile(file)
	if err == nil && !r.refresh && recordOfReceipt(old) == id && r.chain == isChain(file) {
		what := "receipt"
		if r.chain {
			what = "chain"
		}
		r.app.logf("%s is a %s of this record already; --refresh replaces it by one against the newest checkpoint", file, what)
		return nil
	}
	if err != nil || !r.refresh || recordOfReceipt(old) != id {
		return writeNew(file, text, 0o644)
	}
	before, err := r.checkReplaces(ctx, file, old, text, policies)
	if err != nil {
		return err
	}
	if err := r.saveFirst(file, old, before); err != nil {
		return err
	}
	return replaceFile(file, text, 0o644)
}

// saveFirst keeps the receipt that is replaced, unless an earlier one is kept: a newer
// one says less about when the record was there.
func (r *receiptCmd) saveFirst(file string, old []byte, before *client.VerifyReport) error {
	if before == nil || before.Published.ExistedBy().IsZero() {
		return nil // it proves no time
	}
	first := firstReceiptPath(file)
	if _, err := os.Lstat(first); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeNew(first, old, 0o644); err != nil {
		return err
	}
	r.app.logf("kept %s: it proves that the record existed by %s", first, formatTime(before.Published.ExistedBy()))
	return nil
}

// checkReplaces refuses to put a receipt in the place of one that proves more: of a larger
// tree, or of another history. It returns what the older one proves; nil if it does not
// verify any more, and so proves nothing.
func (r *receiptCmd) checkReplaces(ctx context.Context, file string, old, text []byte, policies client.Policies) (*client.VerifyReport, error) {
	before, err := client.Verify(ctx, old, policies, time.Now())
	var fork *client.InconsistencyError
	if errors.As(err, &fork) {
		return nil, fmt.Errorf("%s: %w", file, err)
	} else if err != nil {
		return nil, nil
	}
	after, err := client.Verify(ctx, text, policies, time.Now())
	if err != nil {
		return nil, err
	}
	had, shown := before.Published.Checkpoint().Tree(), after.Published.Checkpoint().Tree()
	if shown.Size > had.Size || shown == had {
		return before, nil
	}
	if r.auditor != "" && shown.Size < had.Size {
		return nil, notYet("%s is of size %d, and %s has cosigned size %d", file, had.Size, r.judge[0].Name(), shown.Size).
			hint("it stays as it is; --out FILE writes the other beside, or run the same command again when the auditor has gone on")
	}
	return nil, refusal("%s is of size %d, and the newest receipt to be had is of size %d with root %s, which does not continue it", file, had.Size, shown.Size, shown.Root).
		hint("it stays as it is; show it to the witnesses: docket witness gossip --to URL %s", file)
}

// checkReceiptPath refuses to send a record whose receipt could not be written: a
// submission cannot be undone.
func checkReceiptPath(file string, id record.ID) error {
	old, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return refusal("the receipt would go to %s: %w", file, err).hint("nothing was sent; move it away and run the same command again")
	case recordOfReceipt(old) != id:
		return refusal("the receipt would go to %s, which exists with other content", file).hint("nothing was sent; move it away and run the same command again")
	}
	return nil
}

// writeReceipt writes a receipt. One of the same record that is there already is as
// good: it stays. One that can be made again from a copy is synced later, if ever.
func writeReceipt(file string, text []byte, id record.ID, sync disk.Sync) error {
	if old, err := os.ReadFile(file); err == nil && recordOfReceipt(old) == id {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return neverOverwritten(disk.WriteNew(vfs.Default, file, text, 0o644, sync))
}

// recordOfReceipt is the record that a receipt, or a chain, is of; zero if it is neither.
func recordOfReceipt(text []byte) record.ID {
	chain, err := proof.ParseChain(text)
	if err != nil {
		return record.ID{}
	}
	e, err := record.ParseEntry(chain[len(chain)-1].Entry)
	if err != nil {
		return record.ID{}
	}
	return record.IDOf(e.Envelope.Payload)
}
