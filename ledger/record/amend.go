package record

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Amend applies an amendment to the designation as it stands (RECORDS.md
// "Amendments") and returns the designation that then stands, with the changes in
// the order in which they were made. current is not touched. Items are dropped,
// then fields unset, then set, then items added; each step must have an effect, and
// the result must be a whole designation. A *[Refusal] of class Invalid has every
// fault; what depends on the day of admission is the register's to judge.
func Amend(current *Designation, a *Amendment) (*Designation, []Change, error) {
	if faults := append(a.fragmentFaults(), a.forbiddenFaults()...); len(faults) > 0 {
		return nil, nil, amendmentRefusal(faults)
	}
	am := &amendmentApplier{result: current.clone()}
	root := reflect.ValueOf(am.result).Elem()
	am.inSection("drop", func() { am.fragment(opDrop, a.Drop, designationShape, root, "") })
	am.inSection("unset", func() { am.unset(a.Unset, root) })
	am.inSection("set", func() { am.fragment(opSet, a.Set, designationShape, root, "") })
	am.inSection("add", func() { am.fragment(opAdd, a.Add, designationShape, root, "") })
	if len(am.faults) == 0 {
		am.deadlines(current, a)
	}
	if len(am.faults) == 0 {
		am.validateResult()
	}
	// A day to respond by re-opens the duty, which is an effect, even if it is the old one.
	if len(am.faults) == 0 && a.ResponseDue == nil && reflect.DeepEqual(current, am.result) {
		what := "undoes itself"
		if len(am.changes) == 0 {
			what = "changes nothing, and there is no duty to respond that it could re-open"
		}
		am.faults = []Fault{{"/predicate", what + ": the designation stays as it is"}}
	}
	if len(am.faults) > 0 {
		return nil, nil, amendmentRefusal(am.faults)
	}
	return am.result, am.changes, nil
}

func amendmentRefusal(faults []Fault) *Refusal {
	return &Refusal{Class: Invalid, Detail: "amendment does not fit its designation", Faults: faults}
}

var designationShape = objectShape(reflect.TypeFor[Designation]())

// clone is a copy that shares nothing that can be changed.
func (d *Designation) clone() *Designation {
	v, err := ParseJSON(appendObject(nil, reflect.ValueOf(d).Elem(), reflect.Value{}, designationShape))
	if err != nil {
		panic("record: encoding a designation: " + err.Error())
	}
	var dec decoder
	c := new(Designation)
	dst := reflect.ValueOf(c).Elem()
	dec.object(v.(Object), designationShape, dst, dst)
	return c
}

// An amender holds the designation as it changes. The decoder in it types the
// fragments and knows where in the amendment it stands.
type amendmentApplier struct {
	decoder
	result  *Designation
	changes []Change
}

func (am *amendmentApplier) inSection(name string, do func()) {
	am.enter("predicate")
	am.enter(name)
	do()
	am.leave()
	am.leave()
}

// fragment applies one of drop, set and add, member by member; an object that is
// not there yet is set whole. The fragment is known to fit the schema.
func (am *amendmentApplier) fragment(op ChangeOp, o Object, sh *shape, dst reflect.Value, path string) {
	for _, m := range o {
		_, f := sh.lookupField(m.Name, 0)
		at := joinPath(path, f.name)
		value := dst.Field(f.index)
		am.enter(f.name)
		nothing := f.pointer && value.IsNil()
		switch {
		case f.is == isObject && nothing && op != opSet:
			am.fault("is not set, so it has no items")
		case f.is == isObject && !nothing:
			inner := value
			if f.pointer {
				inner = value.Elem()
			}
			am.fragment(op, m.Value.(Object), f.shape, inner, at)
		case op == opDrop:
			am.drop(m.Value.([]any), f, value, at)
		case op == opAdd:
			am.add(m.Value.([]any), f, value, at)
		default:
			am.set(m.Value, f, value, at)
		}
		am.leave()
	}
}

func joinPath(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// decodeAs is a value of a fragment as its field's Go type.
func (am *amendmentApplier) decodeAs(v any, sh *shape) reflect.Value {
	dst := reflect.New(sh.typ).Elem()
	am.value(v, sh, dst)
	return dst
}

func (am *amendmentApplier) drop(items []any, f *field, list reflect.Value, path string) {
	for i, item := range items {
		am.enterItem(i)
		v := am.decodeAs(item, f.item)
		if at := indexOf(list, v); at < 0 {
			am.fault("is not there: %s has no item %s", path, formatValue(v, f.item))
		} else {
			list.Set(removeItem(list, at))
			am.changes = append(am.changes, Change{Op: opDrop, Path: path, Old: formatValue(v, f.item)})
		}
		am.leave()
	}
}

func (am *amendmentApplier) add(items []any, f *field, list reflect.Value, path string) {
	for i, item := range items {
		am.enterItem(i)
		v := am.decodeAs(item, f.item)
		if indexOf(list, v) >= 0 {
			am.fault("is there already: %s has item %s", path, formatValue(v, f.item))
		} else {
			list.Set(reflect.Append(list, v))
			am.changes = append(am.changes, Change{Op: opAdd, Path: path, New: formatValue(v, f.item)})
		}
		am.leave()
	}
}

func indexOf(list, v reflect.Value) int {
	for i := range list.Len() {
		if reflect.DeepEqual(list.Index(i).Interface(), v.Interface()) {
			return i
		}
	}
	return -1
}

// removeItem is a new list, nil where nothing is left: as a list that was never there.
func removeItem(list reflect.Value, at int) reflect.Value {
	if list.Len() == 1 {
		return reflect.Zero(list.Type())
	}
	rest := reflect.MakeSlice(list.Type(), 0, list.Len()-1)
	rest = reflect.AppendSlice(rest, list.Slice(0, at))
	return reflect.AppendSlice(rest, list.Slice(at+1, list.Len()))
}

func (am *amendmentApplier) set(v any, f *field, value reflect.Value, path string) {
	next := am.decodeAs(v, f.shape)
	if reflect.DeepEqual(next.Interface(), value.Interface()) {
		am.fault("changes nothing: %s is %s already", path, formatValue(value, f.shape))
		return
	}
	am.changes = append(am.changes, Change{Op: opSet, Path: path, Old: formatValue(value, f.shape), New: formatValue(next, f.shape)})
	value.Set(next)
}

func (am *amendmentApplier) unset(paths []string, root reflect.Value) {
	for i, path := range paths {
		am.enterItem(i)
		am.unsetOne(path, root)
		am.leave()
	}
}

func (am *amendmentApplier) unsetOne(path string, at reflect.Value) {
	f, err := resolveFieldPath(path)
	if err != nil {
		am.fault("%v", err)
		return
	}
	for i, step := range f {
		value := at.Field(step.index)
		switch {
		case isAbsent(value, step.shape):
			am.fault("%s is not set", path)
			return
		case i < len(f)-1 && step.pointer:
			at = value.Elem()
		case i < len(f)-1:
			at = value
		default:
			am.changes = append(am.changes, Change{Op: opUnset, Path: path, Old: formatValue(value, step.shape)})
			value.SetZero()
		}
	}
}

// resolveFieldPath walks a dotted path to an optional field.
func resolveFieldPath(path string) ([]*field, error) {
	var walked []*field
	sh := designationShape
	for name := range strings.SplitSeq(path, ".") {
		if sh == nil || sh.is != isObject {
			return nil, fmt.Errorf("%s leads into what has no members; unset removes whole fields", quote(path))
		}
		_, f := sh.lookupField(name, 0)
		if f == nil {
			return nil, fmt.Errorf("%s is no field of a designation%s", quote(path), didYouMean(name, sh.fieldNames()))
		}
		walked = append(walked, f)
		sh = f.shape
	}
	if walked[len(walked)-1].required {
		return nil, fmt.Errorf("%s is required: it can be set to something else, not unset", path)
	}
	return walked, nil
}

// deadlines are the rules of responseDue and effectiveUntil between old and new.
func (am *amendmentApplier) deadlines(current *Designation, a *Amendment) {
	next := am.result
	fault := func(pointer, format string, args ...any) {
		am.faults = append(am.faults, Fault{pointer, fmt.Sprintf(format, args...)})
	}
	switch {
	case a.ResponseDue != nil && slices.ContainsFunc(am.changes, func(c Change) bool { return c.Path == "responseDue" }):
		fault("/predicate/responseDue", "stands here and in set or unset: once is enough")
	case a.ResponseDue == nil && (a.Reopens || a.ReopensDuty() && current.ResponseDue != nil):
		fault("/predicate/responseDue", "is missing: the duty to respond re-opens and needs a new last day")
	case a.ResponseDue != nil && (next.ResponseDue == nil || *next.ResponseDue != *a.ResponseDue):
		c := Change{Op: opSet, Path: "responseDue", New: a.ResponseDue.String()}
		if next.ResponseDue != nil {
			c.Old = next.ResponseDue.String()
		}
		due := *a.ResponseDue
		next.ResponseDue = &due
		am.changes = append(am.changes, c)
	}
	later := func(path string, old, new *Date) {
		switch {
		case old == nil:
			fault("/predicate/type", "the designation has no %s that could move", path)
		case new == nil || !new.After(*old):
			fault("/predicate/type", "type %s moves %s (%s) to a later day only", a.Type, path, old)
		}
	}
	switch a.Type {
	case "deadline":
		later("responseDue", current.ResponseDue, next.ResponseDue)
	case "extension":
		later("effectiveUntil", current.EffectiveUntil, next.EffectiveUntil)
	}
}

// validateResult judges the result as a designation of its own.
func (am *amendmentApplier) validateResult() {
	v, err := ParseJSON(appendObject(nil, reflect.ValueOf(am.result).Elem(), reflect.Value{}, designationShape))
	if err != nil {
		panic("record: encoding a designation: " + err.Error())
	}
	dec := decoder{path: []pathStep{{name: "predicate"}}}
	scratch := reflect.New(designationShape.typ).Elem()
	dec.object(v.(Object), designationShape, scratch, scratch)
	f := faultList{dec.faults}
	am.result.checkFields(&f)
	for _, fault := range f.list {
		path := strings.ReplaceAll(strings.TrimPrefix(fault.Pointer, "/predicate/"), "/", ".")
		am.faults = append(am.faults, Fault{"/predicate", "leaves no valid designation: " + path + " " + fault.Detail})
	}
}
