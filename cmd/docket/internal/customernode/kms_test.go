package customernode

import (
	"crypto/ed25519"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft/drafttest"
)

// kmsScheme is that of the KMS which TestMain makes of this very binary.
const (
	kmsScheme       = "keeper"
	kmsPluginKeyEnv = "DOCKET_TEST_KEEPER_KEY"
)

func TestMain(m *testing.M) { drafttest.Main(m, kmsScheme, kmsPluginKeyEnv) }

// A log's key may be kept by a KMS: a period's checkpoint is signed by it, and no key lies in the
// directory. While the KMS is out of reach nothing is acknowledged that it has not signed, and the
// period is ended once it answers.
func TestKeyInKMS(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	dir, file := drafttest.Keep(t, kmsScheme, kmsPluginKeyEnv, private)

	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	recipients, err := vault.ParseRecipients([]byte(id.Recipient().String()), nil)
	if err != nil {
		t.Fatal(err)
	}
	c := filepath.Join(dir, "C")
	s := Settings{Party: "acme-cloud", Ledger: record.ID{1}, Origin: "log.example/customers", Zone: "UTC", LogKey: "keeper://key"}
	today := record.DateOf(time.Now(), time.UTC)
	vkey, err := Create(t.Context(), vfs.Default, c, s, recipients, today)
	if err != nil {
		t.Fatal(err)
	}
	if key, err := proof.ParseLogKey(vkey); err != nil || !public.Equal(key.Public()) || key.Name() != s.Origin {
		t.Errorf("the log's key is %s, want the kept one under the log's name (%v)", vkey, err)
	}
	if _, err := os.Stat(filepath.Join(c, KeyFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key lies in the directory: %v", err)
	}
	if s, err = ReadSettings(vfs.Default, c); err != nil {
		t.Fatal(err)
	}
	n, err := Lock(Config{Dir: c, Settings: s})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	log, err := n.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(kmsPluginKeyEnv, filepath.Join(dir, "gone.pem"))
	if p, err := log.ClosePeriod(t.Context(), today.AddDays(-1)); !errors.Is(err, customers.ErrUnpublished) || p.Checkpoint != nil {
		t.Fatalf("the KMS is out of reach: %v, and a checkpoint of %d bytes", err, len(p.Checkpoint))
	}
	t.Setenv(kmsPluginKeyEnv, file)
	p, err := log.ClosePeriod(t.Context(), today.AddDays(-1))
	if err != nil {
		t.Fatal(err)
	}
	policy, err := proof.ParsePolicy([]byte("log " + vkey + "\nquorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := policy.Verify(p.Checkpoint, time.Now()); err != nil {
		t.Errorf("the period's checkpoint: %v", err)
	}
}
