package demo

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
)

// keyring holds the keys of all parties of the demo, by party-holder, as it also writes
// them, unencrypted, into one directory.
type keyring struct {
	dir     string
	signers map[string]*draft.Signer
}

// partyHolders are the holders of each party, in order.
var partyHolders = []struct {
	party   string
	holders []string
}{
	{"root", []string{"root-1", "root-2", "root-3"}},
	{"authority", []string{"officer-1", "officer-2", "officer-3", "nightly-import"}},
	{"acme-cloud", []string{"compliance", "ci", "discloser-1", "discloser-2"}},
	{"borealis-compute", []string{"compliance", "ci"}},
	{"cirrus-hosting", []string{"compliance"}},
	{"delta-racks", []string{"compliance"}},
	{"juniper-resale", []string{"compliance"}},
}

func newKeyring(dir string) (*keyring, error) {
	c := &keyring{dir: dir, signers: make(map[string]*draft.Signer)}
	for _, p := range partyHolders {
		for _, holder := range p.holders {
			if err := c.add(p.party + "-" + holder); err != nil {
				return nil, err
			}
		}
	}
	return c, nil
}

func (c *keyring) add(name string) error {
	private, public, err := draft.GenerateKey(record.AlgEd25519, nil)
	if err != nil {
		return err
	}
	file := filepath.Join(c.dir, name+".pem")
	if err := os.WriteFile(file, private, 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(file+".pub", public, 0o644); err != nil {
		return err
	}
	c.signers[name], err = draft.LoadSigner(private, nil)
	return err
}

// signer is the key of a party's holder: "authority-officer-1".
func (c *keyring) signer(name string) (*draft.Signer, error) {
	s := c.signers[name]
	if s == nil {
		return nil, fmt.Errorf("nobody in the story is called %s", name)
	}
	return s, nil
}

func (c *keyring) pem(name string) record.PEM { return c.signers[name].Key().PEM() }

func (c *keyring) officer(party, holder string, functions ...record.KeyFunction) record.PartyKey {
	return record.PartyKey{Key: c.pem(party + "-" + holder), Use: record.UseOfficer, Holder: holder, Functions: functions}
}

func (c *keyring) automation(party, holder string, functions ...record.KeyFunction) record.PartyKey {
	return record.PartyKey{Key: c.pem(party + "-" + holder), Use: record.UseAutomation, Holder: holder, Functions: functions}
}
