package register

import "github.com/seed-53cf897a/docket/ledger/record"

// Charter is the newest charter of a view: what judges the entry of index Size.
type Charter struct {
	Record  Record         `json:"entry"`
	Charter record.Charter `json:"charter"`
	Roots   []RootKey      `json:"rootKeys"`
	Entries uint64         `json:"entries"`       // that the view sees
	Records []record.ID    `json:"records"`       // the first charter, and the newest: at most 16, oldest first
	Cut     []string       `json:"cut,omitempty"` // "records" if there are more: the thread "charter" has all
}

// RootKey is one root key of a charter.
type RootKey struct {
	ID     string `json:"keyid"`
	Holder string `json:"holder"`
}

// Charter is the newest charter; its policy text is Charter.Policy.
func (v *View) Charter() (Charter, error) {
	n := len(v.charters)
	if n == 0 {
		return Charter{}, v.absentError("charter")
	}
	r, err := v.RecordAt(v.charters[n-1].Index)
	if err != nil {
		return Charter{}, err
	}
	newest, err := v.rows.newestVersion(ownerRoot, v.size)
	if err != nil {
		return Charter{}, err
	}
	row := newest.State.(*CharterRow)
	c := Charter{Record: r, Charter: row.Charter, Entries: v.size}
	for _, k := range row.Root {
		c.Roots = append(c.Roots, RootKey{ID: k.ID, Holder: k.Holder})
	}
	for i, t := range v.charters {
		if i > 0 && i <= n-maxRecordIDs {
			c.Cut = []string{"records"}
			continue
		}
		c.Records = append(c.Records, t.ID)
	}
	return c, nil
}

// Policy is the text of the newest charter's policy, and the index from which on it holds.
func (v *View) Policy() (text string, from uint64, err error) {
	c, err := v.Charter()
	return c.Charter.Policy, c.Record.Index, err
}
