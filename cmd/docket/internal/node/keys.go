package node

import (
	"fmt"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/skeys"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// Keys are a log's signing keys, one of each algorithm, all named by its origin.
// They sign checkpoints and nothing else.
type Keys struct {
	Origin  string
	Signers []*proof.Signer
}

var keyFiles = []skeys.File{
	{Name: "log-ed25519.key", Algorithm: proof.Ed25519},
	{Name: "log-mldsa44.key", Algorithm: proof.MLDSA44},
}

// ErrNoKeys: the directory holds no log keys; [CreateKeys] makes them.
var ErrNoKeys = skeys.ErrNone

// CreateKeys makes the log's keys in dir, or keeps those that are there already
// if they have the same origin.
func CreateKeys(dir, origin string) (Keys, error) {
	if err := skeys.Create(dir, origin, keyFiles); err != nil {
		return Keys{}, err
	}
	return LoadKeys(dir)
}

// LoadKeys reads the log's keys; [ErrNoKeys] if there are none.
func LoadKeys(dir string) (Keys, error) {
	texts, err := skeys.Load(dir, keyFiles)
	if err != nil {
		return Keys{}, err
	}
	var k Keys
	for i, text := range texts {
		s, err := proof.ParseSigner(text)
		if err != nil {
			return Keys{}, fmt.Errorf("%s: %w", keyFiles[i].Name, err)
		}
		k.Origin, k.Signers = s.Key().Name(), append(k.Signers, s)
	}
	return k, nil
}

// CheckPolicy refuses a charter whose policy lacks one of the directory's keys:
// nobody could verify what the ledger signs.
func (k Keys) CheckPolicy(c *record.Charter) error {
	policy, err := proof.ParsePolicy([]byte(c.Policy))
	if err != nil {
		return fmt.Errorf("the charter's policy: %w", err)
	}
	if c.Origin != k.Origin {
		return fmt.Errorf("the charter's origin is %s, this directory's keys are named %s", c.Origin, k.Origin)
	}
	for _, s := range k.Signers {
		found := false
		for _, key := range policy.LogKeys(c.Origin) {
			found = found || key.SameKey(s.Key())
		}
		if !found {
			return fmt.Errorf("the charter's policy lacks this directory's log key %s (docket init prints both)", s.Key())
		}
	}
	return nil
}
