package customers

import (
	"net/http"
	"slices"
	"time"

	private "github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
)

// disclosureView is a disclosure, and what somebody may do about it now.
type disclosureView struct {
	private.Disclosure
	Prepared    time.Time // where days begin
	State, Says string
	Approvals   []private.Approval // likewise
	Handed      []private.Handed   // likewise: each time it left the house, or when it was withdrawn
	Missing     int                // approvals
}

type disclosuresView struct {
	pageHeader
	Waiting []disclosureView // for an approval, or to be handed out
	Done    []disclosureView // the newest first
	Dir     string
}

// disclosuresPage shows what is about to leave the house, in words, and what has. Nobody
// approves on a page: an approval is a signature, by a key that no server has.
func (s *Server) disclosuresPage(x *request) error {
	all, err := x.log.Disclosures(x.req.Context())
	if err != nil {
		return err
	}
	if err := x.shows(event.Act{Reason: x.client.role(Discloser, Compliance) + ": the disclosures"}, len(all)); err != nil {
		return err
	}
	v := disclosuresView{pageHeader: x.header("Disclosures", "disclosures"), Dir: s.directory()}
	for _, d := range slices.Backward(all) {
		one := x.disclosureView(d)
		if d.State() == "prepared" || d.State() == "approved" {
			v.Waiting = append(v.Waiting, one)
		} else {
			v.Done = append(v.Done, one)
		}
	}
	return x.answerPage(http.StatusOK, "disclosures", v)
}

func (x *request) disclosureView(d private.Disclosure) disclosureView {
	v := disclosureView{Disclosure: d, Prepared: x.here(d.PreparedAt)}
	for _, a := range d.Approved {
		a.At = x.here(a.At)
		v.Approvals = append(v.Approvals, a)
	}
	handed := slices.Clone(d.Disclosed)
	switch d.State() {
	case "prepared":
		v.Missing = private.Approvals - len(d.Approved)
		v.State, v.Says = "overdue", "waits for "+map[bool]string{true: "the second approval", false: "two approvals"}[v.Missing == 1]
	case "approved":
		v.State, v.Says = "open", "approved, and not handed out yet"
	case "disclosed":
		v.State, v.Says = "met", "has left the house"
	case "withdrawn":
		v.State, v.Says = "ended", "withdrawn"
		handed = append(handed, *d.Withdrawn)
	}
	for _, h := range handed {
		h.At = x.here(h.At)
		v.Handed = append(v.Handed, h)
	}
	return v
}
