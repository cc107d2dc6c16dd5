package register_test

import (
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// TestRowsPerRecord: five rows say what a record is and did (record, ID, thread,
// kind, issuer), and what a party or a designation is then is a sixth; keys and
// identifiers add theirs. The bulk of a ledger, responses, must not cost more than six.
func TestRowsPerRecord(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	rows := func() int { return strings.Count(dump(t, b.Register), "\n") }
	for _, c := range []struct {
		say  func() record.Envelope
		want int
	}{
		{func() record.Envelope { return b.Provider("borealis") }, 6 + 3 + 2},                                      // three keys, a name, one more provider
		{func() record.Envelope { return b.Designate("1", b.NewDesignation("Kestrel")) }, 6 + 3},                   // a name, a domain, an ASN
		{func() record.Envelope { return b.ImportListed("36", b.NewListedDesignation("36", "AEROCARIBBEAN")) }, 7}, // a name
		{func() record.Envelope { return b.Respond("1", "acme-cloud", acknowledged) }, 5},
		{func() record.Envelope { return b.Respond("1", "acme-cloud", noRelationship) }, 5},
		{func() record.Envelope { return b.ImportListed("36", revocation(b, "delisted")) }, 6},
	} {
		before := rows()
		e := b.Must(c.say())
		if got := rows() - before; got != c.want {
			t.Errorf("%s: %d rows, want %d", mustParse(t, e.Envelope).Kind, got, c.want)
		}
	}
}
