package client

import (
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// A server may give a trust directory any charter as the successor of the one that it
// pins: with log keys and witnesses of its own it can publish whatever it likes under it.
// Only what the old root keys signed, and no link left out, replaces a policy.
func TestTrustRefusesSuccessors(t *testing.T) {
	admit := func(o *testOperator, change func(*record.Charter), keys ...string) uint64 {
		o.epochs = append(o.epochs, newPolicyEpoch(o.t, "next"))
		c := o.CharterPredicate
		c.Policy = o.epochs[len(o.epochs)-1].policy
		change(&c)
		return o.admitPredicate("charter", "authority", &c, keys...)
	}
	own := func(*record.Charter) {}
	for _, c := range []struct {
		name string
		grow func(*testOperator) []proof.Receipt // the chain that the server gives out
		good bool                                // the successor is to be believed
		all  bool                                // it is by its entries, whatever the chain says
	}{
		{"signed by the root keys", func(o *testOperator) []proof.Receipt {
			return o.chain(0, admit(o, own, "root/root-1", "root/root-2"))
		}, true, true},
		{"with root keys of the server's", func(o *testOperator) []proof.Receipt {
			return o.chain(0, admit(o, func(c *record.Charter) {
				c.RootKeys = []record.RootKey{o.RootKey("mallory"), o.RootKey("mallet")}
			}, "root/mallory", "root/mallet"))
		}, false, false},
		{"with root keys of the server's, which one of the old ones signed", func(o *testOperator) []proof.Receipt {
			return o.chain(0, admit(o, func(c *record.Charter) {
				c.RootKeys = []record.RootKey{o.RootKey("root-1"), o.RootKey("mallory")}
			}, "root/root-1", "root/mallory"))
		}, false, false},
		{"with a root key more, which did not sign", func(o *testOperator) []proof.Receipt {
			return o.chain(0, admit(o, func(c *record.Charter) {
				c.RootKeys = append(slices.Clone(c.RootKeys), o.RootKey("root-4"))
			}, "root/root-1", "root/root-2"))
		}, false, false},
		{"with fewer signatures than it asks for itself", func(o *testOperator) []proof.Receipt {
			return o.chain(0, admit(o, func(c *record.Charter) { c.Thresholds.Root = 3 }, "root/root-1", "root/root-2"))
		}, false, false},
		{"after one that is left out", func(o *testOperator) []proof.Receipt {
			admit(o, own, "root/root-1", "root/root-2")
			return o.chain(0, admit(o, own, "root/root-1", "root/root-2"))
		}, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newTestOperator(t)
			files := vfs.NewMem()
			trust, err := CreateTrust(t.Context(), files, "trust", o.serve(o.chain(0)), o.Ledger)
			must(t, err)
			must(t, trust.Refresh(t.Context(), o.serve(o.chain(0))))
			pinned := trust.Checkpoint().Checkpoint()

			server := o.serve(c.grow(o))
			err = trust.Refresh(t.Context(), server)
			last := uint64(len(o.entries) - 1)
			if c.good {
				must(t, err)
				if _, index := trust.Charter(); index != last || trust.Checkpoint().Checkpoint().Size != last+1 {
					t.Errorf("trusts the charter at %d, size %d", index, trust.Checkpoint().Checkpoint().Size)
				}
				return
			}
			wantRefused(t, err, "error")
			if c.all {
				must(t, trust.Sync(t.Context(), server, nil))
				if _, index := trust.Charter(); index != last || trust.Checkpoint().Checkpoint().Size != last+1 {
					t.Errorf("by the entries: trusts the charter at %d, size %d", index, trust.Checkpoint().Checkpoint().Size)
				}
				return
			}
			if err := trust.Sync(t.Context(), server, nil); err == nil {
				t.Error("sync follows it")
			}
			must(t, trust.Close())
			again, err := OpenTrust(files, "trust")
			must(t, err)
			for name, trust := range map[string]*Trust{"the directory": trust, "opened again": again} {
				if _, index := trust.Charter(); index != 0 || trust.Checkpoint().Checkpoint() != pinned {
					t.Errorf("%s: trusts the charter at %d, %v", name, index, trust.Checkpoint().Checkpoint())
				}
			}
			// Whoever begins with what this server gives out is not deceived either.
			late, err := CreateTrust(t.Context(), vfs.NewMem(), "late", server, o.Ledger)
			must(t, err)
			wantRefused(t, late.Refresh(t.Context(), server), "error")
			if err := late.Sync(t.Context(), server, nil); err == nil || late.Checkpoint() != nil {
				t.Errorf("the first sync follows it: %v", err)
			}
		})
	}
}
