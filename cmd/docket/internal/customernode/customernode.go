// Package customernode puts one private customer log together: its settings, its signing key,
// its vault and its stores, in one directory. It promises that at most one process has the
// directory open, and that nothing in it is for others than its owner.
//
//	C/customers.json   whose log it is, and how it is run
//	C/log.key          signs the log's checkpoints, unless a KMS keeps that key
//	C/vault.age        the secrets, encrypted to whoever may unlock them
//	C/programme/       the provider's programme, a YAML file a version
//	C/log/             leaves, tiles, head, checkpoints: says nothing of anybody
//	C/data/, C/map/    sealed events and what is derived of them
//	C/keys/            the customers' sealed keys, and the rows that find them
//	C/serve.sock       where whoever has it open answers
//	C/log.signed       says that the log's key has signed leaves
package customernode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"filippo.io/age"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/keydir"
	"github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/programme"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// What lies in a log's directory.
const (
	SettingsFile = "customers.json"
	KeyFile      = "log.key"
	VaultFile    = "vault.age"
	KeysDir      = "keys"
	SocketFile   = "serve.sock"
	ProgrammeDir = "programme"

	markFile = "log.signed"
	lockFile = "lock"
)

var (
	// ErrNoLog: the directory holds no customer log.
	ErrNoLog = errors.New("no customer log is there")

	// ErrInUse: another process has the directory open.
	ErrInUse = errors.New("the customer log is open in another process")
)

// Config says which log is opened.
type Config struct {
	Files    vfs.FS // the disk; vfs.Default
	Dir      string
	Settings Settings
	Log      *slog.Logger // nil discards
	// Fatal ends the process when the state of the disk is unknown; if it returns, or is nil,
	// a panic does.
	Fatal func(reason string)
}

// Node is a log's directory that this process alone has open. Its log is opened by
// [Node.Open], once the vault's key is there.
type Node struct {
	config Config
	lock   io.Closer
	health *disk.Health

	store *pebblestore.Store
	keys  *vault.Store
	log   *customers.Log
}

// Lock takes the directory for this process; it opens nothing in it yet. The caller closes the
// node. [ErrInUse] if another process has it.
func Lock(c Config) (*Node, error) {
	if c.Files == nil {
		c.Files = vfs.Default
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	lock, err := disk.Lock(c.Files, c.Files.PathJoin(c.Dir, lockFile))
	if errors.Is(err, disk.ErrLocked) {
		return nil, fmt.Errorf("%s: %w", c.Dir, ErrInUse)
	} else if err != nil {
		return nil, err
	}
	return &Node{config: c, lock: lock, health: disk.NewHealth(disk.Config{Log: c.Log, WaitForSpace: true, Fatal: c.Fatal})}, nil
}

// Open unlocks the vault and opens the log. After an error nothing is open, and it may be
// called again with another key.
func (n *Node) Open(ctx context.Context, identities ...age.Identity) (_ *customers.Log, err error) {
	c := n.config
	at := func(name string) string { return c.Files.PathJoin(c.Dir, name) }
	signer, err := LoadKey(ctx, c.Files, c.Dir, c.Settings)
	if err != nil {
		return nil, err
	}
	v, err := vault.Open(c.Files, at(VaultFile), identities...)
	if err != nil {
		return nil, err
	}
	_, markErr := c.Files.Stat(at(markFile))
	marked := markErr == nil
	if err := n.checkWhole(marked); err != nil {
		v.Lock()
		return nil, err
	}
	defer func() {
		if err != nil {
			v.Lock()
			err = errors.Join(err, n.closeStores())
		}
	}()
	if n.store, err = pebblestore.Open(c.Files, at("log"), pebblestore.Options{Health: n.health}); err != nil {
		return nil, err
	}
	if head, err := n.store.Head(ctx); err != nil {
		return nil, err
	} else if head.Size > 0 {
		if err := n.checkWhole(true); err != nil {
			return nil, err
		}
	}
	if n.keys, err = vault.OpenStore(ctx, vault.StoreOptions{FS: c.Files, Dir: at(KeysDir), Health: n.health}, v); err != nil {
		return nil, err
	}
	n.log, err = customers.Open(ctx, customers.Config{
		FS: c.Files, Dir: c.Dir, Party: c.Settings.Party, Ledger: c.Settings.Ledger, Origin: c.Settings.Origin,
		Signers: []*proof.Signer{signer}, Store: n.store, Keys: n.keys, Vault: v, Retention: c.Settings.Retention,
		KeysMarked: marked, MarkKeys: func() error { return n.mark() }, Log: c.Log, Health: n.health,
		Disclosers: func() ([]*record.Key, error) { return Disclosers(c.Files, c.Dir) },
	})
	return n.log, err
}

// stores are the directories of databases, as the first opening makes them one after the
// other, and what brings one back that is lost.
var stores = []struct{ name, remedy string }{
	{"log", wholeBackup},
	{"keys", "docket customers restore-keys makes it of the newest backup of the keys (where it is there and empty, move it away first)"},
	{"data", wholeBackup},
	{"map", wholeBackup},
}

const wholeBackup = "bring back the backup of the whole directory, and the keys' newest backup with docket customers restore-keys"

// checkWhole refuses a directory of which a store is missing, before another is made in its
// place: one behind which there are later ones, or any at all once the log has leaves.
func (n *Node) checkWhole(leaves bool) error {
	c, there := n.config, leaves
	for _, s := range slices.Backward(stores) {
		dir := c.Files.PathJoin(c.Dir, s.name)
		exists, err := disk.Exists(c.Files, dir)
		if err != nil {
			return err
		}
		if there && !exists {
			return fmt.Errorf("%w: %s is missing or empty: %s; docket has made and changed nothing there", customers.ErrLost, dir, s.remedy)
		}
		there = there || exists
	}
	return nil
}

func (n *Node) mark() error {
	text := "The log's key has signed leaves of " + n.config.Settings.Origin + ".\nIf log/ beside it is gone, it was lost: bring back the backup, and do not remove this file.\n"
	return disk.WriteNew(n.config.Files, n.config.Files.PathJoin(n.config.Dir, markFile), []byte(text), 0o600, disk.SyncNow)
}

// Keys is the store of the customers' keys; nil before [Node.Open].
func (n *Node) Keys() *vault.Store { return n.keys }

// RestoreKeys makes the store of the customers' keys of a backup, before [Node.Open], which then
// makes the rest of it anew. A store without a customer, which an opening without keys leaves,
// makes way; one with customers stays: fs.ErrExist. It returns how many keys there are.
func (n *Node) RestoreKeys(ctx context.Context, backup string, identities ...age.Identity) (uint64, error) {
	c := n.config
	vaultName := c.Files.PathJoin(c.Dir, VaultFile)
	o := vault.StoreOptions{FS: c.Files, Dir: c.Files.PathJoin(c.Dir, KeysDir), Health: n.health}
	if _, err := c.Files.Stat(o.Dir); err == nil {
		if err := removeEmptyKeys(ctx, o, vaultName, identities); err != nil {
			return 0, err
		}
	}
	return vault.Restore(ctx, o, vaultName, backup, identities...)
}

func removeEmptyKeys(ctx context.Context, o vault.StoreOptions, vaultName string, identities []age.Identity) error {
	v, err := vault.Open(o.FS, vaultName, identities...)
	if err != nil {
		return err
	}
	defer v.Lock()
	keys, err := vault.OpenStore(ctx, o, v)
	if err != nil {
		return fmt.Errorf("%s: %w, and cannot be read: %w", o.Dir, fs.ErrExist, err)
	}
	stats, err := keys.Stats()
	if err = errors.Join(err, keys.Close()); err != nil {
		return err
	}
	if stats.Customers > 0 {
		return fmt.Errorf("%s: %w, with the keys of %d customers", o.Dir, fs.ErrExist, stats.Customers)
	}
	return o.FS.RemoveAll(o.Dir)
}

// closeStores closes what [Node.Open] opened.
func (n *Node) closeStores() (err error) {
	if n.log != nil {
		err = n.log.Close()
	}
	if n.keys != nil {
		err = errors.Join(err, n.keys.Close())
	}
	if n.store != nil {
		err = errors.Join(err, n.store.Close())
	}
	n.log, n.keys, n.store = nil, nil, nil
	return err
}

// Close closes what is open and releases the directory. Closing twice is closing once.
func (n *Node) Close() error {
	if n.lock == nil {
		return nil
	}
	n.health.GiveUp()
	err := errors.Join(n.closeStores(), n.lock.Close())
	n.lock = nil
	return err
}

// LoadKey reads the log's signing key, or reaches the one that a KMS keeps.
func LoadKey(ctx context.Context, files vfs.FS, dir string, s Settings) (*proof.Signer, error) {
	if s.LogKey != "" {
		public, sign, err := keydir.OpenKMS(ctx, s.LogKey)
		if err != nil {
			return nil, fmt.Errorf("the log's key: %w", err)
		}
		return proof.NewSigner(s.Origin, public, sign)
	}
	name := files.PathJoin(dir, KeyFile)
	raw, err := readFile(files, name)
	if err != nil {
		return nil, err
	}
	signer, err := proof.ParseSigner(strings.TrimSuffix(string(raw), "\n"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if signer.Key().Name() != s.Origin {
		return nil, fmt.Errorf("%s is the key of %s, and the log's name is %s", name, signer.Key().Name(), s.Origin)
	}
	return signer, nil
}

// Programme reads the versions of the provider's programme. Whoever changes the files needs
// not tell anybody: they are read when they are asked about. A file is named after the first
// day on which its version is in force.
func Programme(files vfs.FS, dir string) (*programme.History, error) {
	at := files.PathJoin(dir, ProgrammeDir)
	names, err := files.List(at)
	if errors.Is(err, fs.ErrNotExist) {
		return programme.NewHistory()
	} else if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var all []*programme.Programme
	for _, name := range names {
		if ext := filepath.Ext(name); ext != ".yaml" && ext != ".yml" || strings.HasPrefix(name, ".") {
			continue
		}
		raw, err := readFile(files, files.PathJoin(at, name))
		if err != nil {
			return nil, err
		}
		p, err := programme.Parse(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", files.PathJoin(at, name), err)
		}
		if base := strings.TrimSuffix(name, filepath.Ext(name)); base != p.From.String() {
			return nil, fmt.Errorf("%s says from: %s, and its name another day: name it %[2]s.yaml, or mend from", files.PathJoin(at, name), p.From)
		}
		all = append(all, p)
	}
	return programme.NewHistory(all...)
}

// maxFile bounds what is read of a file of the directory.
const maxFile = 1 << 20

func readFile(files vfs.FS, name string) ([]byte, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(raw) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", name, maxFile)
	}
	return raw, err
}
