package main

import (
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"filippo.io/age"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/customernode"
	"github.com/seed-53cf897a/docket/ledger"
	private "github.com/seed-53cf897a/docket/ledger/customers"
)

func (a *app) customersRestoreKeys() *cobra.Command {
	c := &cobra.Command{
		Use:   "restore-keys --dir C FILE",
		Short: "Bring a backup of the customers' keys back",
		Long: `Makes the key store anew of a file of docket customers backup-keys, where the keys were lost,
and then opens the log once: what finds customers is made anew from it, and who was erased
since the backup is erased again. Nobody may serve the directory meanwhile. Keys that are
there are newer than the backup, and stay: move C/keys away if they are damaged. A backup
that lacks a customer who came later is not brought back, since what was logged of them
could be read no more: it says how many there are, and in which period the first came.

The vault file of then is in the backup; where the vault was rotated since, --identity
names a file with the secret keys of then and of now, one a line.`,
		Example: `  docket customers restore-keys --dir C key-backups/customer-keys-20270131T020000Z.backup`,
		Args:    cobra.ExactArgs(1),
	}
	f := a.customersFlags(c).withIdentity(c).withJSON(c)
	c.RunE = func(c *cobra.Command, args []string) error { return f.restoreKeys(c, args[0]) }
	return c
}

func (f *customersFlags) restoreKeys(c *cobra.Command, backup string) (err error) {
	s, err := f.settings()
	if err != nil {
		return err
	}
	if f.identity == "" {
		return usageError("which key?").hint("name the vault's secret key with --identity FILE or $%s", identityEnv)
	}
	n, err := customernode.Lock(customernode.Config{Dir: f.dir, Settings: s, Fatal: f.app.diskFailed})
	if errors.Is(err, customernode.ErrInUse) {
		return notYet("%w", err).hint("end it first: keys are brought back while nobody has the log open")
	} else if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	ids, err := f.app.identities(c.Context(), f.identity)
	if err != nil {
		return err
	}
	held, err := n.RestoreKeys(c.Context(), backup, ids...)
	switch {
	case errors.Is(err, fs.ErrExist):
		return refusal("%w", err).hint("docket customers stats --dir %s reads them; if they are damaged, move %s away, and delete it once the backup is back: no erasure reaches it there", f.dir, filepath.Join(f.dir, customernode.KeysDir))
	case err != nil:
		return f.vaultError(refusal("%w", err))
	}
	left, err := f.openRestored(c, n, s, ids)
	if err != nil {
		return errors.Join(err, n.Close(), vfs.Default.RemoveAll(filepath.Join(f.dir, customernode.KeysDir)))
	}
	if f.asJSON {
		return f.app.printJSON(map[string]uint64{"customers": left, "erasedAgain": held - left})
	}
	f.app.printf("%s brought back, %d of them erased again\n", plural(int(held), "key"), held-left)
	f.app.logf("back up the keys anew: docket customers backup-keys")
	return nil
}

// openRestored opens the log, which replays what finds customers and erases again, and counts
// the keys that are left.
func (f *customersFlags) openRestored(c *cobra.Command, n *customernode.Node, s customernode.Settings, ids []age.Identity) (uint64, error) {
	server, err := f.newServer(f.app, n, s, nil, nil)
	if err != nil {
		return 0, err
	}
	who := unlockedHere
	who.Reason = "the keys were brought back from a backup, " + time.Now().UTC().Format(time.DateOnly)
	if err := server.Unlock(c.Context(), who, ids...); errors.Is(err, private.ErrLost) {
		return 0, refusal("the backup is older than some customers, and nothing was brought back: %w", err).
			hint("take a newer backup; where there is none, bring back a backup of the whole directory that is as old as this one, then this one, and send again what was logged since. If a period was published since, begin anew: docket customers init elsewhere, and docket customers publish --restart says why")
	} else if errors.Is(err, ledger.ErrCorrupt) {
		return 0, refusal("the backup does not fit the log: %w", err).hint("take a newer one")
	} else if err != nil {
		return 0, f.vaultError(err)
	}
	stats, err := n.Keys().Stats()
	return stats.Customers, err
}
