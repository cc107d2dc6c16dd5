package record

import (
	"fmt"
	"strings"
)

// amendablePaths says what an amendment of each type may touch (RECORDS.md
// "Amendments"), path by path.
var amendablePaths = map[string]func(path string) bool{
	"correction":    func(string) bool { return true },
	"alias":         func(path string) bool { return path == "target.alias" },
	"target-detail": func(path string) bool { return strings.HasPrefix(path, "target.") && path != "target.alias" },
	"scope":         func(path string) bool { return isWithin(path, "scope") || path == "conditions" },
	"extension":     func(path string) bool { return path == "effectiveUntil" },
	"deadline":      func(path string) bool { return path == "responseDue" },
}

// isIdentityField are a designation's identity: what they say, no amendment changes.
func isIdentityField(path string) bool {
	return path == "measure" || path == "source" || path == "source.list" || path == "source.id"
}

func isWithin(path, field string) bool {
	return path == field || strings.HasPrefix(path, field+".")
}

// forbiddenFaults finds what the amendment's type does not let it touch.
func (a *Amendment) forbiddenFaults() (out []Fault) {
	allowed, known := amendablePaths[a.Type]
	if !known {
		return []Fault{{"/predicate/type", "is no type of amendment"}}
	}
	judge := func(pointer, path string) {
		switch {
		case isIdentityField(path):
			out = append(out, Fault{pointer, path + " can never be amended: revoke and designate anew"})
		case !allowed(path):
			out = append(out, Fault{pointer, fmt.Sprintf("an amendment of type %s cannot touch %s", a.Type, path)})
		}
	}
	visitLeaves(a.Drop, designationShape, "/predicate/drop", "", judge)
	for i, path := range a.Unset {
		judge(fmt.Sprintf("/predicate/unset/%d", i), path)
	}
	visitLeaves(a.Set, designationShape, "/predicate/set", "", judge)
	visitLeaves(a.Add, designationShape, "/predicate/add", "", judge)
	return out
}

// visitLeaves visits each scalar and list that a fragment names.
func visitLeaves(o Object, sh *shape, pointer, path string, visit func(pointer, path string)) {
	for _, m := range o {
		_, f := sh.lookupField(m.Name, 0)
		if f == nil {
			continue // a fault of its own
		}
		inner, ok := m.Value.(Object)
		if f.is == isObject && ok {
			visitLeaves(inner, f.shape, pointer+"/"+f.name, joinPath(path, f.name), visit)
			continue
		}
		visit(pointer+"/"+f.name, joinPath(path, f.name))
	}
}

// fragmentFaults types the fragments by the designation's schema, and the paths.
func (a *Amendment) fragmentFaults() []Fault {
	d := decoder{path: []pathStep{{name: "predicate"}}}
	for _, part := range []struct {
		name  string
		o     Object
		lists bool
	}{{"drop", a.Drop, true}, {"set", a.Set, false}, {"add", a.Add, true}} {
		if len(part.o) > 0 {
			d.enter(part.name)
			d.fragment(part.o, &shape{fragment: designationShape, listsOnly: part.lists})
			d.leave()
		}
	}
	d.enter("unset")
	for i, path := range a.Unset {
		d.enterItem(i)
		if _, err := resolveFieldPath(path); err != nil {
			d.fault("%v", err)
		}
		d.leave()
	}
	return d.faults
}
