package record

// ShapeFaults are those of the decoder alone, without the rules across fields.
func ShapeFaults(o Object) []Fault {
	name, ok := o.Lookup("predicateType").(string)
	if !ok {
		return []Fault{{"/predicateType", "is missing"}}
	}
	sp, err := findSpecByType(name)
	if err != nil {
		return []Fault{{"/predicateType", err.Error()}}
	}
	s := &Statement{Kind: sp.Kind, Predicate: sp.newPredicate()}
	return s.decode(o, sp)
}
