package programme

import "github.com/seed-53cf897a/docket/ledger/record/schema"

// Members are the names of all members that a programme can have.
func Members() (names []string) {
	var walk func(sh *schema.Shape)
	walk = func(sh *schema.Shape) {
		if sh.Type == schema.TypeList {
			sh = sh.Item
		}
		for _, f := range sh.Fields {
			names = append(names, f.Name)
			walk(f.Shape)
		}
	}
	walk(shape)
	return names
}
