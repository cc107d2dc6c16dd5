package record

import (
	"fmt"
	"strings"
)

// amendable says what an amendment of each type may touch (RECORDS.md
// "Amendments"), path by path.
var amendable = map[string]func(path string) bool{
	"correction":    func(string) bool { return true },
	"alias":         func(path string) bool { return path == "target.alias" },
	"target-detail": func(path string) bool { return strings.HasPrefix(path, "target.") && path != "target.alias" },
	"scope":         func(path string) bool { return under(path, "scope") || path == "conditions" },
	"extension":     func(path string) bool { return path == "effectiveUntil" },
	"deadline":      func(path string) bool { return path == "responseDue" },
}

// unamendable are a designation's identity: what they say, no amendment changes.
func unamendable(path string) bool {
	return path == "measure" || path == "source" || path == "source.list" || path == "source.id"
}

func under(path, field string) bool {
	return path == field || strings.HasPrefix(path, field+".")
}

// touches finds what the amendment's type does not let it touch.
func (a *Amendment) touches() (out []Fault) {
	allowed, known := amendable[a.Type]
	if !known {
		return []Fault{{"/predicate/type", "is no type of amendment"}}
	}
	judge := func(pointer, path string) {
		switch {
		case unamendable(path):
			out = append(out, Fault{pointer, path + " can never be amended: revoke and designate anew"})
		case !allowed(path):
			out = append(out, Fault{pointer, fmt.Sprintf("an amendment of type %s cannot touch %s", a.Type, path)})
		}
	}
	leaves(a.Drop, designationShape, "/predicate/drop", "", judge)
	for i, path := range a.Unset {
		judge(fmt.Sprintf("/predicate/unset/%d", i), path)
	}
	leaves(a.Set, designationShape, "/predicate/set", "", judge)
	leaves(a.Add, designationShape, "/predicate/add", "", judge)
	return out
}

// leaves visits each scalar and list that a fragment names.
func leaves(o Object, sh *shape, pointer, path string, visit func(pointer, path string)) {
	for _, m := range o {
		_, f := sh.lookup(m.Name, 0)
		if f == nil {
			continue // a fault of its own
		}
		inner, ok := m.Value.(Object)
		if f.is == isObject && ok {
			leaves(inner, f.shape, pointer+"/"+f.name, join(path, f.name), visit)
			continue
		}
		visit(pointer+"/"+f.name, join(path, f.name))
	}
}

// malformed types the fragments by the designation's schema, and the paths.
func (a *Amendment) malformed() []Fault {
	d := decoder{path: []step{{name: "predicate"}}}
	for _, part := range []struct {
		name  string
		o     Object
		lists bool
	}{{"drop", a.Drop, true}, {"set", a.Set, false}, {"add", a.Add, true}} {
		if len(part.o) > 0 {
			d.into(part.name)
			d.fragment(part.o, &shape{fragment: designationShape, lists: part.lists})
			d.out()
		}
	}
	d.into("unset")
	for i, path := range a.Unset {
		d.item(i)
		if _, err := resolve(path); err != nil {
			d.fault("%v", err)
		}
		d.out()
	}
	return d.faults
}
