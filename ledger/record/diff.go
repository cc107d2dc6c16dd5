package record

import (
	"fmt"
	"reflect"
)

// Diff is the least amendment that turns one designation into another:
// Amend(old, Diff(old, new)) is new. Its type is the narrowest of alias,
// target-detail and correction; reason, source and whether it re-opens the duty are
// the caller's to fill in. Equal designations give nil. What can never be amended
// (measure, the source's list and ID, being imported at all) is an error.
func Diff(old, new *Designation) (*Amendment, error) {
	a := &Amendment{}
	a.Drop, a.Set, a.Add = a.collectDiff(reflect.ValueOf(old).Elem(), reflect.ValueOf(new).Elem(), designationShape, "")
	if len(a.Drop)+len(a.Unset)+len(a.Set)+len(a.Add) == 0 {
		return nil, nil
	}
	for _, a.Type = range []string{"alias", "target-detail", "correction"} {
		if len(a.forbiddenFaults()) == 0 {
			return a, nil
		}
	}
	faults := a.forbiddenFaults()
	return nil, fmt.Errorf("comparing designations: %s", faults[0].Detail)
}

// collectDiff gathers what differs between two objects; what is to be unset goes to a.
func (a *Amendment) collectDiff(old, new reflect.Value, sh *shape, path string) (drop, set, add Object) {
	for _, f := range sh.fields {
		was, is := old.Field(f.index), new.Field(f.index)
		at := joinPath(path, f.name)
		switch {
		case reflect.DeepEqual(was.Interface(), is.Interface()):
		case !f.required && isAbsent(is, f.shape):
			if !isAbsent(was, f.shape) { // else nil against empty: equal
				a.Unset = append(a.Unset, at)
			}
		case f.is == isObject && !isAbsent(was, f.shape):
			if f.pointer {
				was, is = was.Elem(), is.Elem()
			}
			d, s, p := a.collectDiff(was, is, f.shape, at)
			drop, set, add = appendMember(drop, f.name, d), appendMember(set, f.name, s), appendMember(add, f.name, p)
		case f.is == isList:
			gone, came, ordered := compareLists(was, is, f.shape)
			if !ordered {
				set = append(set, Member{f.name, fragmentValue(is, f.shape)})
				continue
			}
			if len(gone) > 0 {
				drop = append(drop, Member{f.name, gone})
			}
			if len(came) > 0 {
				add = append(add, Member{f.name, came})
			}
		default:
			set = append(set, Member{f.name, fragmentValue(is, f.shape)})
		}
	}
	return drop, set, add
}

func appendMember(o Object, name string, inner Object) Object {
	if len(inner) == 0 {
		return o
	}
	return append(o, Member{name, inner})
}

// compareLists says which items are gone and which came. ordered is false where
// dropping and appending would not give the new order, or nothing stays: then the
// list is replaced whole.
func compareLists(old, new reflect.Value, sh *shape) (gone, came []any, ordered bool) {
	kept := 0
	for i := range old.Len() {
		item := old.Index(i)
		switch {
		case indexOf(new, item) < 0:
			gone = append(gone, fragmentValue(item, sh.item))
		case !reflect.DeepEqual(item.Interface(), new.Index(kept).Interface()):
			return nil, nil, false
		default:
			kept++
		}
	}
	for i := kept; i < new.Len(); i++ {
		came = append(came, fragmentValue(new.Index(i), sh.item))
	}
	return gone, came, kept > 0 || old.Len() == 0
}

// fragmentValue is a Go value as a fragment holds it.
func fragmentValue(v reflect.Value, sh *shape) any {
	t, err := ParseJSON(appendValue(nil, v, sh))
	if err != nil {
		panic("record: encoding a value: " + err.Error())
	}
	return t
}
