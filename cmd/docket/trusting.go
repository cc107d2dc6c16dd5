package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// The environment variables that stand in for --trust and --ledger.
const (
	trustEnv  = "DOCKET_TRUST"
	ledgerEnv = "DOCKET_LEDGER"
)

// trustFlags are the flags that say whom a verb believes, and where the ledger is.
type trustFlags struct {
	app                 *app
	given               func(flag string) bool // on the command line, not by the environment
	dir, ledger, policy string
	maxAge              time.Duration
}

// trustFlags adds --trust to a verb.
func (a *app) trustFlags(c *cobra.Command) *trustFlags {
	t := &trustFlags{app: a, given: c.Flags().Changed}
	c.Flags().StringVar(&t.dir, "trust", a.getenv(trustEnv), "trust directory (or $"+trustEnv+")")
	c.MarkFlagDirname("trust")
	return t
}

// asking adds --ledger to a verb that asks the server.
func (t *trustFlags) asking(c *cobra.Command) *trustFlags {
	c.Flags().StringVar(&t.ledger, "ledger", t.app.getenv(ledgerEnv), "URL of the ledger, where it is not the trust directory's (or $"+ledgerEnv+")")
	return t
}

// withPolicyFlag adds --policy to a verb for which inclusion alone can be enough.
func (t *trustFlags) withPolicyFlag(c *cobra.Command) *trustFlags {
	c.Flags().StringVar(&t.policy, "policy", "", "tlog-policy file, instead of --trust where only inclusion matters")
	c.MarkFlagFilename("policy", "txt")
	return t
}

// withMaxAgeFlag adds --max-age to a verb that fetches the newest checkpoint.
func (t *trustFlags) withMaxAgeFlag(c *cobra.Command) *trustFlags {
	maxAgeFlag(c, &t.maxAge)
	return t
}

func maxAgeFlag(c *cobra.Command, age *time.Duration) {
	c.Flags().DurationVar(age, "max-age", time.Hour, "how old the ledger's newest checkpoint may be, by its witnesses' clocks; 0: any")
}

// checkAge is exit 3 for a newest checkpoint that is older than it may be: what it
// proves was taken in.
func checkAge(newest *proof.Published, maxAge time.Duration) error {
	if err := client.CheckAge(newest, maxAge, time.Now()); err != nil {
		return notYet("not yet: %w", err).hint("its witnesses are out of its reach, or newer checkpoints are kept from you: ask its operator and another reader, or run the same command later; --max-age 0 takes it as it is")
	}
	return nil
}

// open opens the trust directory; the caller closes it.
func (t *trustFlags) open() (*client.Trust, error) {
	if t.dir == "" {
		return nil, usageError("no trust directory").hint("name one with --trust DIR or $%s; docket trust URL --charter ID --to DIR makes one", trustEnv)
	}
	trust, err := client.OpenTrust(vfs.Default, t.dir)
	if errors.Is(err, client.ErrNoTrust) {
		return nil, usageError("%w", err).hint("docket trust URL --charter ID --to %s makes it one", t.dir)
	} else if why := (*fs.PathError)(nil); err != nil && (errors.Is(err, fs.ErrNotExist) || !errors.As(err, &why)) {
		return nil, refusal("%w", err).hint("if the clock here is right, what is pinned in %s is damaged, which says nothing about the ledger: move it away, keep its folder evidence if it has one, and pin the ledger again with docket trust", t.dir)
	} else if err != nil {
		return nil, err
	}
	newest, err := trust.Policy(math.MaxUint64)
	if err != nil {
		return nil, errors.Join(err, trust.Close())
	}
	t.app.warnPolicy(newest)
	return trust, nil
}

// policies says whom to believe: the trust directory, or else the one policy. trust
// is nil with a policy; whoever gets one closes it.
func (t *trustFlags) policies() (p client.Policies, trust *client.Trust, err error) {
	switch {
	case t.policy == "":
		if trust, err = t.open(); err != nil {
			return nil, nil, err
		}
		return trust, trust, nil
	case t.given("trust"):
		return nil, nil, usageError("--trust and --policy exclude each other").hint("--policy is enough for inclusion; --trust also tells who had the right to sign")
	}
	policy, err := t.app.readPolicy(t.policy)
	if err != nil {
		return nil, nil, err
	}
	t.app.logf("policy %s", policy.Fingerprint())
	return client.SinglePolicy{Only: policy}, nil, nil
}

// readPolicy reads a policy file, and says what it is not worth.
func (a *app) readPolicy(name string) (*proof.Policy, error) {
	text, err := a.readFile(name)
	if err != nil {
		return nil, err
	}
	policy, err := proof.ParsePolicy(text)
	if err != nil {
		return nil, wrongFileError(name, text, "a tlog-policy", err)
	}
	a.warnPolicy(policy)
	return policy, nil
}

// warnPolicy says what a policy that is relied on is not worth (DESIGN.md section 3), once in
// a run: many receipts may stand under it.
func (a *app) warnPolicy(p *proof.Policy) {
	for _, w := range p.Warnings() {
		if !slices.Contains(a.warnedPolicies, w) {
			a.warnedPolicies = append(a.warnedPolicies, w)
			a.logf("docket: warning: %s", w)
		}
	}
}

// connect is the server: --ledger, or else where the trust directory has it from.
func (t *trustFlags) connect(trust *client.Trust) (*client.Client, error) {
	url := t.ledger
	if url == "" && trust != nil {
		url = trust.URL()
	}
	if url == "" {
		return nil, usageError("which ledger?").hint("name its URL with --ledger or $%s", ledgerEnv)
	}
	c, err := client.New(url, nil)
	if err != nil {
		return nil, usageError("%w", err)
	}
	return c, nil
}

// syncOrWarn brings the copy to the newest checkpoint. Where the ledger is out of
// reach the copy stays as it is, not fresh, and that is said: what has no copy at all
// fails.
func (t *trustFlags) syncOrWarn(c *cobra.Command, trust *client.Trust) (fresh bool, err error) {
	server, err := t.connect(trust)
	if err != nil {
		return false, err
	}
	if err = t.app.syncTrust(c.Context(), trust, server); err == nil {
		err = checkAge(trust.Checkpoint(), t.maxAge)
	}
	if status, _ := exitStatusOf(err); err == nil || status != exitNotYet || c.Context().Err() != nil || trust.CoveredSize() == 0 {
		return err == nil, err
	}
	t.app.logf("docket: warning: %v; going on with the copy as it is", err)
	return false, nil
}

// asOf says how far, and by whose word, answers from a copy go.
func asOf(p *proof.Published) string { return "as of " + sizeOf(p) }

func sizeOf(p *proof.Published) string {
	size := p.Checkpoint().Size
	if p.Policy().QuorumIsNone() {
		return fmt.Sprintf("size %d, signed by the log alone: no witnesses in the policy", size)
	}
	return fmt.Sprintf("size %d, cosigned %s", size, formatTime(p.LastCosignedAt()))
}

// formatTime writes an instant for people: UTC, whole seconds.
func formatTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// wrongFileError refuses a file that was read and is not what the verb takes: that is misuse,
// unless it looks like what was wanted, or like nothing at all. Then it is damaged.
func wrongFileError(name string, raw []byte, wanted string, err error) *failure {
	what, class := record.DescribeInput(raw), usageError
	if damaged(what, wanted) {
		class = refusal
	}
	if err == nil || strings.HasPrefix(err.Error(), "this is ") {
		return class("%s is %s; wanted %s", name, what, wanted) // a parser that says no more
	}
	return class("%s is %s; wanted %s: %w", name, what, wanted, err)
}

// damaged says of a file that cannot be read as what was wanted whether it was that once,
// by what it is described as.
func damaged(what, wanted string) bool {
	if what == "an empty file" || what == "JSON that breaks the rules" || strings.HasPrefix(what, "a damaged ") {
		return true
	}
	noun, _, _ := strings.Cut(what, " (")
	for _, article := range []string{"a DSSE ", "a Sigstore ", "an ", "a ", ""} {
		if bare, ok := strings.CutPrefix(noun, article); ok {
			return strings.Contains(wanted, bare)
		}
	}
	return false
}
