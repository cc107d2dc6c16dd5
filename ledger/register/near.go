package register

import (
	"maps"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// similarParty is `; did you mean "acme-cloud"?` for an issuer that is not
// enrolled, where one is that differs by a slip of the pen.
func (d *Draft) similarParty(issuer string) (string, error) {
	threads, err := d.partyThreads()
	return similar("party/", issuer, threads), err
}

// unknown says that the view has no such party or designation, and which one of
// nearly that name it has.
func (v *View) unknown(family, name string) error {
	threads, err := v.r.threadNames(family+"/", v.size)
	if err != nil {
		return err
	}
	return &AbsentError{What: family + " " + name, Size: v.size, Hint: similar(family+"/", name, threads)}
}

// similar is [record.DidYouMean] of the threads that begin with family.
func similar(family, written string, threads []string) string {
	names := make([]string, len(threads))
	for i, t := range threads {
		names[i] = strings.TrimPrefix(t, family)
	}
	return record.DidYouMean(written, names)
}

// partyThreads are the threads of all parties that the draft sees, in order. It
// decodes none: an unknown issuer, which costs nobody a key, must be cheap.
func (d *Draft) partyThreads() ([]string, error) {
	names, err := d.r.threadNames("party/", d.start)
	if err != nil {
		return nil, err
	}
	for _, b := range append(slices.Clip(d.below), d) {
		for name := range maps.Keys(b.threads) {
			if strings.HasPrefix(name, "party/") {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// parties visits every party as the draft sees it.
func (d *Draft) parties(visit func(*PartyRow) error) error {
	names, err := d.partyThreads()
	if err != nil {
		return err
	}
	for _, name := range names {
		row, err := d.thread(name)
		if err != nil {
			return err
		}
		if err := visit(row.State.(*PartyRow)); err != nil {
			return err
		}
	}
	return nil
}
