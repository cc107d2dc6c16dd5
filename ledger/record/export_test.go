package record

import "github.com/seed-53cf897a/docket/ledger/record/schema"

// ShapeFaults are those of the decoder alone, without the rules across fields.
func ShapeFaults(o schema.Object) []Fault {
	name, ok := o.Lookup("predicateType").(string)
	if !ok {
		return []Fault{{Pointer: "/predicateType", Detail: "is missing"}}
	}
	sp, err := findSpecByType(name)
	if err != nil {
		return []Fault{{Pointer: "/predicateType", Detail: err.Error()}}
	}
	s := &Statement{Kind: sp.Kind, Predicate: sp.newPredicate()}
	return s.decode(o, sp)
}
