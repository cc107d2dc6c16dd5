package simtest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"testing/synctest"

	"filippo.io/age"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// provider is whose private customer log it is.
const provider = "acme-cloud"

// customerNode is the machine that a provider's private customer log runs on: one disk under
// the leaves, the sealed events, the map, the key store and the vault, so that all of them
// crash at once; and what the provider's own systems know to be logged.
type customerNode struct {
	sim       *simulation
	origin    string
	signer    *proof.Signer
	identity  []age.Identity // opens the vault
	authority []age.Identity // opens what is disclosed
	recipient string         // of the authority
	holders   []holder       // of the role discloser

	disk  *vfs.MemFS
	log   *customers.Log // nil while the process is down
	keys  *vault.Store
	store *pebblestore.Store
	fault diskFault

	accounts []*account
	unknown  []event.Input      // sent, in this order, and not answered
	periods  []customers.Period // that were said to be closed
	backup   *vfs.MemFS         // of the whole disk
	backedUp uint64             // leaves in the periods that were closed by then
	erased   [][]byte           // what must lie in no file any more
	demands  int
	ids      int    // of events, given out so far
	lost     string // why the log before it was lost; empty if there was none
}

// account is what the provider's systems know of one customer.
type account struct {
	name    string
	handle  event.Handle
	events  []loggedInput // acknowledged
	held    bool
	closed  bool
	erasing [][]byte // its traces on the disk, once an erasure was begun
	erased  bool
}

// loggedInput is an event and the leaf that the log said stands for it.
type loggedInput struct {
	event.Input
	index uint64
}

// holder is who approves what leaves the house.
type holder struct {
	key     *record.Key
	private ed25519.PrivateKey
}

func newCustomerNode(sim *simulation) *customerNode {
	n := &customerNode{sim: sim, disk: vfs.NewCrashableMem()}
	n.begin("log.example/" + provider + "/customers")
	for range customers.Approvals {
		public, private, err := ed25519.GenerateKey(nil)
		must(err)
		key, err := record.NewKey(public)
		must(err)
		n.holders = append(n.holders, holder{key, private})
	}
	n.authority, n.recipient = newIdentity()
	return n
}

func newIdentity() ([]age.Identity, string) {
	file, recipient, err := vault.NewIdentity()
	must(err)
	ids, err := vault.ParseIdentities(file, nil)
	must(err)
	return ids, recipient
}

// begin makes an empty log of a name, with keys of its own, on the disk that is there.
func (n *customerNode) begin(origin string) {
	secret, _, err := proof.GenerateKey(proof.Ed25519, origin)
	must(err)
	n.origin = origin
	n.signer, err = proof.ParseSigner(secret)
	must(err)
	identity, recipient := newIdentity()
	n.identity = identity
	recipients, err := vault.ParseRecipients([]byte(recipient), nil)
	must(err)
	_, err = vault.Create(n.disk, "vault.age", recipients)
	must(err)
}

// start starts the process, which recovers from whatever became of its disk. It is false if the
// power failed once more meanwhile.
func (n *customerNode) start(ctx context.Context) (bool, error) {
	err := n.open(ctx)
	if n.fault.failed() {
		n.end()
		return false, nil
	}
	if err != nil {
		n.end()
		return false, fmt.Errorf("opening the customer log: %w", err)
	}
	return true, nil
}

func (n *customerNode) open(ctx context.Context) (err error) {
	on := n.disk // of a process that is dead the writes go nowhere
	fs := errorfs.Wrap(on, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		if comes, err := n.fault.countOp(true); !comes {
			return err
		}
		return n.fault.trigger(on)
	}))
	health := disk.NewHealth(disk.Config{Fatal: func(reason string) { panic(processExit{reason}) }})
	if n.store, err = pebblestore.Open(fs, "log", pebblestore.Options{CacheBytes: 1 << 20, MemTableBytes: 1 << 20, Health: health}); err != nil {
		return err
	}
	v, err := vault.Open(fs, "vault.age", n.identity...)
	if err != nil {
		return err
	}
	if n.keys, err = vault.OpenStore(ctx, vault.StoreOptions{FS: fs, Dir: "keys", CacheBytes: 1 << 20, Health: health}, v); err != nil {
		return err
	}
	disclosers := func() (keys []*record.Key, err error) {
		for _, h := range n.holders {
			keys = append(keys, h.key)
		}
		return keys, nil
	}
	n.log, err = customers.Open(ctx, customers.Config{
		FS: fs, Party: provider, Ledger: n.sim.authors.Ledger, Origin: n.origin, Signers: []*proof.Signer{n.signer},
		Store: n.store, Keys: n.keys, Vault: v, Disclosers: disclosers, Retention: record.Period{Days: 2}, Health: health,
		Log: slog.New(slog.DiscardHandler),
	})
	return err
}

// end ends the process and leaves the disk as the trouble left it, if any came.
func (n *customerNode) end() error {
	left := n.fault.disarm()
	err := n.close()
	if left != nil {
		n.disk = left
		return nil
	}
	return err
}

func (n *customerNode) close() (err error) {
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

// crash ends the process where it stands, and the machine too if not all is kept. In the midst of
// a write ([diskFault]) it leaves all or what was synced alone: the disk is mixed from several
// copies ([crashMixer]), between which four stores would go on.
func (n *customerNode) crash(keep int, seed uint64) {
	synctest.Wait()
	left := crashedDisk(n.disk, keep, seed)
	n.end()
	n.disk = left
}

// failed tells whether the power has failed.
func (t *diskFault) failed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.diskAfter != nil
}

// run does one thing with the log, in the midst of which its power may fail: then it is not
// known what came of it, and done is false.
func (n *customerNode) run(do func(l *customers.Log) error) (done bool, err error) {
	err = do(n.log)
	if !n.fault.failed() {
		return err == nil, err
	}
	n.sim.tracef("  the power of the customer log fails meanwhile")
	n.sim.countEvent("customer log loses power")
	n.end()
	return false, nil
}

// files are the bytes of every file below a directory of a disk.
func files(fs vfs.FS, dir string, each func(name string, data []byte) error) error {
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		path := fs.PathJoin(dir, name)
		info, err := fs.Stat(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // Pebble cleans up in the background
		} else if err != nil {
			return err
		}
		if info.IsDir() {
			err = files(fs, path, each)
		} else {
			err = eachFile(fs, path, each)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func eachFile(fs vfs.FS, path string, each func(name string, data []byte) error) error {
	f, err := fs.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	data, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return each(path, data)
}

// holdsAny finds traces in the files of a disk: it returns how many of them lie in some file.
func holdsAny(fs vfs.FS, traces [][]byte) (found map[string]string, err error) {
	found = make(map[string]string)
	err = files(fs, "/", func(name string, data []byte) error {
		for _, t := range traces {
			if bytes.Contains(data, t) {
				found[string(t)] = name
			}
		}
		return nil
	})
	return found, err
}
