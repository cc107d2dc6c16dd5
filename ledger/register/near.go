package register

import (
	"github.com/seed-53cf897a/docket/ledger/record"
)

// similarParty is `; did you mean "acme-cloud"?` for an issuer that is not
// enrolled, where one is that differs by a slip of the pen.
func (d *Draft) similarParty(issuer string) (string, error) {
	var ids []string
	err := d.parties(func(p *PartyRow) { ids = append(ids, p.ID) })
	return record.DidYouMean(issuer, ids), err
}

// parties visits every party as the draft sees it, each once, in no order that
// matters.
func (d *Draft) parties(visit func(*PartyRow)) error {
	seen := make(map[string]bool)
	drafted := func(threads map[string]*ThreadRow) {
		for name, row := range threads {
			if p, ok := row.State.(*PartyRow); ok && !seen[name] {
				seen[name] = true
				visit(p)
			}
		}
	}
	drafted(d.threads)
	for i := len(d.below) - 1; i >= 0; i-- {
		drafted(d.below[i].threads)
	}
	return d.r.threadsOf("party/", d.start, func(row *ThreadRow) bool {
		if p := row.State.(*PartyRow); !seen[row.Thread] {
			visit(p)
		}
		return true
	})
}
